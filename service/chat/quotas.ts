import { FactoryError } from '../errors.ts';
import { param, statement } from '../storage/statement.ts';
import type { Transaction } from '../storage/transaction.ts';
import type { Subject } from './messages/directory.ts';
import type { GeneralPolicy } from './policy.ts';

/** What one subject a day and one session may take. Counted in the transaction that writes, so that nobody gets by. */

export type Quotas = GeneralPolicy['quotas'];

/** One limit that is in force, and what is left of it. */
export interface Headroom {
  /** As the header names it. */
  name: string;
  limit: number;
  remaining: number;
  /** Until it begins anew; null: it never does. */
  resetSeconds: number | null;
}

export interface Taking {
  projectId: string;
  subject: Subject;
  /** Of the message. */
  bytes: number;
  /** With the message. */
  session: { id: string; messages: number; bytes: number };
  /** ISO-8601 UTC. */
  at: string;
}

interface Usage {
  project_id: string;
  scope: string;
  period: string;
}

const count = statement<Usage & { bytes: number }>()((db) =>
  db
    .insertInto('chat_usage')
    .values({
      ...{ project_id: param('project_id'), scope: param('scope'), period: param('period') },
      ...{ messages: 1, bytes: param('bytes') },
    })
    .onConflict((conflict) =>
      conflict.columns(['project_id', 'scope', 'period']).doUpdateSet((e) => ({
        messages: e('chat_usage.messages', '+', 1),
        bytes: e('chat_usage.bytes', '+', e.ref('excluded.bytes')),
      })),
    )
    .returning(['messages', 'bytes']),
);
const forgetDays = statement<Usage>()((db) =>
  db
    .deleteFrom('chat_usage')
    .where('project_id', '=', param('project_id'))
    .where('scope', '=', param('scope'))
    .where('period', '<', param('period')),
);

export const isLimited = (quotas: Quotas): boolean => Object.values(quotas).some((most) => most !== null);

/** Counts one message and says what is left. Errors: `quota-exceeded`; nothing is counted then. */
export async function takeQuota(tx: Transaction, quotas: Quotas, taking: Taking): Promise<Headroom[]> {
  const { session, at } = taking;
  const left: Headroom[] = [];
  const limit = (name: string, most: number | null, used: number, resetSeconds: number | null): void => {
    if (most !== null) left.push({ name, limit: most, remaining: most - used, resetSeconds });
  };
  limit('messages-per-session', quotas.messagesPerSession, session.messages, null);
  limit('bytes-per-session', quotas.bytesPerSession, session.bytes, null);
  if (quotas.messagesPerSubjectAndDay !== null || quotas.bytesPerSubjectAndDay !== null) {
    const used = await countDay(tx, taking);
    const reset = secondsLeft(at);
    limit('messages-per-subject-and-day', quotas.messagesPerSubjectAndDay, used.messages, reset);
    limit('bytes-per-subject-and-day', quotas.bytesPerSubjectAndDay, used.bytes, reset);
  }
  const over = left.filter(({ remaining }) => remaining < 0);
  if (over.length > 0) throw exceeded(over, session.id);
  return left;
}

async function countDay(
  tx: Transaction,
  { projectId: project_id, subject, bytes, at }: Taking,
): Promise<{ messages: number; bytes: number }> {
  const day = { project_id, scope: subject.id, period: at.slice(0, 10) };
  const used = (await tx.get(count, { ...day, bytes }))!;
  if (used.messages === 1) await tx.run(forgetDays, day);
  return used;
}

/** Days end at midnight, UTC. */
function secondsLeft(at: string): number {
  const end = Date.parse(`${at.slice(0, 10)}T00:00:00.000Z`) + 86_400_000;
  return Math.ceil((end - Date.parse(at)) / 1000);
}

function exceeded(over: readonly Headroom[], target: string): FactoryError {
  const names = over.map(({ name, limit }) => `${name} (${limit})`).join(', ');
  const waits = over.map(({ resetSeconds }) => resetSeconds);
  const wait = waits.includes(null) ? null : Math.max(...waits.map(Number));
  return new FactoryError({
    ...{ code: 'quota-exceeded', op: 'append message', target, retryable: wait !== null },
    message: `The message would go beyond the quota: ${names}. It was not kept.`,
    hint:
      wait === null
        ? 'Begin another session, or ask an owner for a larger quota (`npx factory governance policies`).'
        : `Wait for ${wait} s, or ask an owner for a larger quota (\`npx factory governance policies\`).`,
    details: { limits: over.map((one) => ({ ...one, remaining: 0 })), retryAfterSeconds: wait },
  });
}

/** RateLimit of draft-ietf-httpapi-ratelimit-headers-10: `"name";r=left;t=seconds`. */
export function rateLimitText(left: readonly Headroom[]): string {
  return left
    .map(
      ({ name, remaining, resetSeconds }) =>
        `"${name}";r=${Math.max(0, remaining)}${resetSeconds === null ? '' : `;t=${resetSeconds}`}`,
    )
    .join(', ');
}

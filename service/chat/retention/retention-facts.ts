import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Reader } from '../../storage/transaction.ts';
import type { Deletion } from '../deletion/deletion.ts';
import type { PolicyParts } from '../policies.ts';
import { DEFAULT_CLASS, KINDS, type ClassPolicy } from '../policy.ts';
import { keepingOf, planSession, type SessionFacts, type Step } from './retention.ts';
import { attachments, removal } from '../deletion/store-deletion.ts';
import { sessionsAfter } from './store-retention.ts';
import type { SessionRow } from '../store.ts';

/** What is there, as rules of retention look at it. */

const PAGE = 50;

export interface Expired {
  steps: Step[];
  held: number;
  /** What is held, by class. */
  heldIn: Record<string, number>;
  /** By the ids of holds; what two of them keep counts for both. */
  heldBy: Record<string, number>;
}

/** Everything that policies make expire at a time, in the order of sessions. Requests are served in between. */
export async function expiredAt(
  reader: Reader,
  projectId: string,
  policies: PolicyParts,
  now: number,
  deletion: Pick<Deletion, 'keptBy'>,
): Promise<Expired> {
  const found: Expired = { steps: [], held: 0, heldIn: {}, heldBy: {} };
  for (let after = 0; ;) {
    const page = await reader.all(sessionsAfter, { project_id: projectId, after, limit: PAGE });
    for (const row of page) {
      const policy = policyOf(policies, row.class);
      // Most installations keep everything for ever: nothing has to be looked at.
      if (KINDS.every((kind) => keepingOf(kind, policy, policies.general).days === null)) continue;
      const planned = planSession(await factsOf(reader, row, deletion), policy, policies.general, now);
      found.steps.push(...planned.steps);
      found.held += planned.held;
      if (planned.held > 0) found.heldIn[row.class] = (found.heldIn[row.class] ?? 0) + planned.held;
      for (const id of planned.heldBy) found.heldBy[id] = (found.heldBy[id] ?? 0) + 1;
    }
    if (page.length < PAGE) return found;
    after = page.at(-1)!.number;
    await nextTurn();
  }
}

export function policyOf({ classes }: PolicyParts, kind: string): ClassPolicy {
  return (Object.hasOwn(classes, kind) ? classes[kind] : classes['general']) ?? DEFAULT_CLASS;
}

export async function factsOf(
  reader: Reader,
  row: SessionRow,
  deletion: Pick<Deletion, 'keptBy'>,
): Promise<SessionFacts> {
  const of = { session: row.number };
  const holdsOf = await deletion.keptBy(reader, row);
  const files = await reader.all(attachments.ofSession, of);
  const fact = (one: { subject: number | null; created_at: string; bytes: number }) => ({
    ...{ createdAt: one.created_at, bytes: Number(one.bytes), ...heldBy(holdsOf(one)) },
  });
  const ofFiles = new Map<number, string[]>();
  for (const file of files)
    if (file.message !== null)
      ofFiles.set(file.message, [...(ofFiles.get(file.message) ?? []), ...holdsOf(file)]);
  const messageFact = (one: Parameters<typeof fact>[0] & { seq: number }, binnedAt: string | null) => {
    const facts = { ...fact(one), seq: one.seq, binnedAt };
    return { ...facts, ...heldBy([...facts.holds, ...(ofFiles.get(one.seq) ?? [])]) };
  };
  const messages = await reader.all(removal.live, of);
  const outputs = await reader.all(removal.outputs, of);
  return {
    ...{ id: row.id, class: row.class, createdAt: row.created_at, bytes: 0 },
    ...{ binnedAt: row.binned_at, ...heldBy(holdsOf(row)) },
    messages: messages.map((one) => messageFact(one, one.binned_at)),
    outputs: outputs.map((one) => messageFact(one, one.tool_binned_at)),
    files: files.map((one) => ({
      ...{ ...fact(one), id: one.id, message: one.message, binnedAt: one.binned_at },
    })),
  };
}

const heldBy = (ids: readonly string[]) => ({ held: ids.length > 0, holds: [...new Set(ids)] });

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { DEFAULT_CLASS } from '../../service/chat/policy.ts';
import type { QuarantineView } from '../../service/chat/quarantine/quarantine.ts';
import type { Finding } from '../../service/chat/types.ts';
import { secretSample } from '../acceptance/corpus.ts';
import { createRandom } from '../acceptance/random.ts';
import type { TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

/** What tests of the quarantine do on a test service. */

export const QUARANTINE = '/api/governance/quarantine';
export const RULE = 'github-personal-token';
export const PLACEHOLDER = `[withheld: ${RULE}]`;
export const reason = 'It is a test account';

export interface Appended {
  seq: number;
  findings?: Finding[];
  quarantineId?: string;
  code?: string;
}
export interface Shown {
  id: string;
  seq: number;
  parts: { type: string; text?: string }[];
  findings?: Finding[];
}

/** Tokens of two owners, and of one who only looks on. */
export interface QuarantinePeople {
  first: string;
  second: string;
  auditor: string;
}

export async function quarantinePeople(service: TestService): Promise<QuarantinePeople> {
  const owner = async (): Promise<string> => {
    const { id } = await service.context.people.invite(SYSTEM, { name: 'An owner', role: 'owner' });
    await service.cookie(id);
    return service.token({ role: 'owner', personId: id });
  };
  return {
    ...{ first: await owner(), second: await owner() },
    auditor: await service.token({ role: 'auditor' }),
  };
}

export const text = (one: string) => [{ type: 'text', text: one }];

/** `seed`: of the secrets that it makes up. */
export function quarantineOf(service: () => TestService, people: () => QuarantinePeople, seed: number) {
  const random = createRandom(seed);
  const { call, begin, messages } = clientOf(service);

  /** Of the class `held`, in which secrets wait for a decision, and of `open`, which lets them in. */
  async function policies(general: object = {}, retention: object = {}): Promise<void> {
    const { body } = await call<{ general: object; classes: object }>('GET', '/api/governance/policies');
    const held = {
      ...DEFAULT_CLASS,
      retention: { ...DEFAULT_CLASS.retention, ...retention },
      sensitive: { ...DEFAULT_CLASS.sensitive, secrets: 'quarantine', personal: 'redact' },
    };
    const open = { ...DEFAULT_CLASS, sensitive: { ...DEFAULT_CLASS.sensitive, secrets: 'allow' } };
    const document = { general: { ...body.general, ...general }, classes: { ...body.classes, held, open } };
    expect((await call('PUT', '/api/governance/policies', document)).status).toBe(200);
  }

  const secret = (): string => {
    const { text, start, end } = secretSample('GitHub classic token', 'plain', random);
    return text.slice(start, end);
  };

  const session = (input: object = {}) => begin({ class: 'held', ...input });
  const send = (id: string, parts: object[], more: object = {}, key?: string) =>
    call<Appended>(
      ...(['POST', `/api/sessions/${id}/messages`, { role: 'user', parts, ...more }, undefined] as const),
      key === undefined ? {} : { 'Idempotency-Key': key },
    );
  const shown = async (id: string) => (await messages(id)).messages as unknown as Shown[];
  const waiting = async () =>
    (await call<{ quarantined: QuarantineView[] }>('GET', `${QUARANTINE}?limit=200`)).body.quarantined;
  const waitsIn = async (id: string) => (await waiting()).filter(({ sessionId }) => sessionId === id);
  const decide = (id: string, what: 'release' | 'reject', as: string) =>
    call<QuarantineView & { code?: string }>('POST', `${QUARANTINE}/${id}/${what}`, { reason }, as);
  const original = (id: string, as = people().first) =>
    call<{ parts?: object[]; title?: string; code?: string }>(
      'GET',
      `${QUARANTINE}/${id}/original`,
      undefined,
      as,
    );

  /** A message that waits. */
  async function held(input: object = {}, more: object = {}) {
    const { id } = await session(input);
    const token = secret();
    const { body } = await send(id, text(`it is ${token}`), more);
    return { id, token, quarantineId: body.quarantineId ?? '' };
  }

  /** Every byte that the service left in its folder, and in its database. */
  async function everything(): Promise<string> {
    const files = readdirSync(service().dataDir, { recursive: true, withFileTypes: true }).filter((one) =>
      one.isFile(),
    );
    const bytes = files.map((one) => readFileSync(join(one.parentPath, one.name)).toString('latin1'));
    const { read } = service().context.storage;
    for (const table of ['chat_messages', 'chat_quarantine', 'chat_sessions', 'events'] as const)
      bytes.push(JSON.stringify(await read.query((db) => db.selectFrom(table).selectAll())));
    return bytes.join('\n');
  }

  const actions = async (id: string): Promise<string[]> => {
    const rows = await service().context.storage.read.query((db) =>
      db.selectFrom('events').select('type').where('stream_id', '=', id).orderBy('seq'),
    );
    return rows.map(({ type }) => type);
  };

  return {
    policies,
    secret,
    session,
    send,
    shown,
    waiting,
    waitsIn,
    decide,
    original,
    held,
    everything,
    actions,
  };
}

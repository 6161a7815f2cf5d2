import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { clientOf } from './client.ts';
import { startService, type TestService } from '../helpers/service.ts';

/** Live messages of a session. */

let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);

interface Stream {
  status: number;
  /** Resolves with the messages when there are so many. */
  until(count: number): Promise<{ id: string; event: string; data: { seq: number; parts: object[] } }[]>;
  ended: Promise<void>;
}

const aborts: AbortController[] = [];
afterEach(() => {
  for (const abort of aborts.splice(0)) abort.abort();
});

async function open(id: string, headers: object = {}, as = service.owner): Promise<Stream> {
  const abort = new AbortController();
  aborts.push(abort);
  const answer = await fetch(`${service.url}/api/sessions/${id}/events`, {
    headers: { Authorization: `Bearer ${as}`, ...headers },
    signal: abort.signal,
  });
  const events: Awaited<ReturnType<Stream['until']>> = [];
  const waiting: { count: number; done: () => void }[] = [];
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of answer.body ?? []) {
      const blocks = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = Object.fromEntries(
          block.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)),
        ) as Record<string, string | undefined>;
        if (fields['data'] !== undefined)
          events.push({
            id: fields['id'] ?? '',
            event: fields['event'] ?? '',
            data: JSON.parse(fields['data']) as { seq: number; parts: object[] },
          });
      }
      for (const { count, done } of waiting) if (events.length >= count) done();
    }
  };
  const ended = read().catch(() => undefined);
  return {
    status: answer.status,
    ended,
    until: (count) =>
      new Promise((resolve) => {
        const done = (): void => resolve(events);
        if (events.length >= count) done();
        else waiting.push({ count, done });
      }),
  };
}

const text = (n: number) => `m${n} \u0000 \ud800 \n\n data: x`;

describe('a stream of a session', () => {
  it('tells each message as it is read, from now on or after a place', async () => {
    const { id } = await begin();
    const other = await begin();
    for (const n of [1, 2]) await say(id, text(n));
    const live = await open(id);
    await say(other.id, 'not yours');
    await Promise.all([3, 4, 5].map((n) => say(id, text(n))));
    const seen = await live.until(3);
    expect(seen.map((one) => [one.id, one.event])).toEqual(['3', '4', '5'].map((seq) => [seq, 'message']));
    const first = (await call('GET', `/api/sessions/${id}/messages/${id}.3`)).body;
    expect(seen[0]?.data).toEqual(first);
    const resumed = await open(id, { 'Last-Event-ID': '1' });
    await say(id, text(6));
    expect((await resumed.until(5)).map(({ data }) => data.seq)).toEqual([2, 3, 4, 5, 6]);
  });

  it('resumes after many without a gap while others write', async () => {
    const { id } = await begin();
    const batch = (count: number) =>
      call('POST', `/api/sessions/${id}/messages:batch`, {
        messages: Array.from({ length: count }, () => ({
          role: 'user',
          parts: [{ type: 'text', text: 'x' }],
        })),
      });
    await batch(300);
    const resumed = await open(id, { 'Last-Event-ID': '0' });
    await Promise.all(Array.from({ length: 10 }, () => batch(10)));
    const seen = await resumed.until(400);
    expect(seen.map(({ data }) => data.seq)).toEqual(seen.map((_, n) => n + 1));
  });

  it('ends with its session, and is for those who may read it', async () => {
    const planner = await service.token({ role: 'planner' });
    const { id } = await begin({}, planner);
    const stream = await open(id, {}, planner);
    const auditor = await service.token({ role: 'auditor' });
    expect((await open(id, {}, auditor)).status).toBe(403);
    expect((await call('DELETE', `/api/sessions/${id}`, undefined, planner)).status).toBe(204);
    await stream.ended;
    expect((await open(id, {}, planner)).status).toBe(410);
  });

  it('ends when its token is revoked', async () => {
    const agent = await service.token({ role: 'agent' });
    const { id } = await begin({}, agent);
    const stream = await open(id, {}, agent);
    expect(stream.status).toBe(200);
    const { storage, tokens, feed } = service.context;
    const rows = await storage.read.query((db) =>
      db.selectFrom('tokens').select('id').orderBy('created_at', 'desc').limit(1),
    );
    await tokens.revoke({ kind: 'system', id: 'system', personId: null, roles: [] }, rows[0]!.id);
    await feed.recheck();
    await stream.ended;
  });
});

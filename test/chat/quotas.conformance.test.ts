import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { manualClock } from '../../service/clock.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

let service: TestService;
const clock = manualClock('2026-05-01T22:00:00.000Z');
beforeAll(async () => {
  service = await startService({ engine: inject('engine'), clock });
});
afterAll(() => service.close());

const { call, begin, say, messages } = clientOf(() => service);
const NONE = {
  ...{ messagesPerSubjectAndDay: null, bytesPerSubjectAndDay: null },
  ...{ messagesPerSession: null, bytesPerSession: null },
};

async function set(quotas: object): Promise<void> {
  const { body } = await call<{ general: object; classes: object }>('GET', '/api/governance/policies');
  const general = { ...body.general, quotas: { ...NONE, ...quotas } };
  expect((await call('PUT', '/api/governance/policies', { general, classes: body.classes })).status).toBe(
    200,
  );
}

describe('quotas', () => {
  it('are none by themselves', async () => {
    const { id } = await begin();
    const answer = await say(id, 'hello');
    expect([answer.status, answer.headers.get('RateLimit')]).toEqual([201, null]);
  });

  it('of a session say what is left, and refuse what is more, for good', async () => {
    await set({ messagesPerSession: 2 });
    const { id } = await begin();
    expect((await say(id, 'one', 'k')).headers.get('RateLimit')).toBe('"messages-per-session";r=1');
    expect((await say(id, 'two')).headers.get('RateLimit')).toBe('"messages-per-session";r=0');
    const refused = await say(id, 'three');
    expect([refused.status, refused.headers.get('RateLimit')]).toEqual([429, '"messages-per-session";r=0']);
    expect(refused.headers.get('Retry-After')).toBeNull();
    expect(refused.body).toMatchObject({
      ...{ code: 'quota-exceeded', retryable: false, retryAfterSeconds: null, limits: [{ limit: 2 }] },
    });
    // What was written can be asked for again, and the place that was not taken is nobody's.
    expect((await say(id, 'one', 'k')).status).toBe(200);
    await set({ messagesPerSession: 3 });
    expect((await say(id, 'three')).body.seq).toBe(3);
  });

  it('of a session count bytes, and a batch as a whole', async () => {
    await set({ bytesPerSession: 600 });
    const { id } = await begin();
    const batch = [1, 2, 3].map(() => ({ role: 'user', parts: [{ type: 'text', text: 'x'.repeat(200) }] }));
    expect((await call('POST', `/api/sessions/${id}/messages:batch`, { messages: batch })).status).toBe(429);
    expect((await messages(id)).messages).toEqual([]);
    const two = await call('POST', `/api/sessions/${id}/messages:batch`, { messages: batch.slice(1) });
    expect([two.status, two.headers.get('RateLimit')]).toMatchObject([201, /^"bytes-per-session";r=\d+$/]);
  });

  it('of a subject count over its sessions, until midnight', async () => {
    await set({ messagesPerSubjectAndDay: 3 });
    const [first, second] = [await begin({ subjectId: 'ada' }), await begin({ subjectId: 'ada' })];
    for (const { id } of [first, second, first]) expect((await say(id, 'x')).status).toBe(201);
    const refused = await say(second.id, 'x');
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([429, '7200']);
    expect(refused.headers.get('RateLimit')).toBe('"messages-per-subject-and-day";r=0;t=7200');
    expect((await say((await begin({ subjectId: 'bob' })).id, 'x')).status).toBe(201);
    clock.advance(2 * 3_600_000);
    expect((await say(second.id, 'x')).headers.get('RateLimit')).toBe(
      '"messages-per-subject-and-day";r=2;t=86400',
    );
    const days = await service.context.storage.read.query((db) =>
      db.selectFrom('chat_usage').select('period'),
    );
    expect(days.map(({ period }) => period).sort()).toEqual(['2026-05-01', '2026-05-02']);
  });

  it('are kept by many at once to the message', async () => {
    await set({ messagesPerSubjectAndDay: 10 });
    const { id } = await begin({ subjectId: 'crowd' });
    const all = await Promise.all(Array.from({ length: 25 }, (_, n) => say(id, `message ${n}`)));
    expect(all.filter(({ status }) => status === 201)).toHaveLength(10);
    expect(all.filter(({ status }) => status === 429)).toHaveLength(15);
    expect((await messages(id)).messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('and findings are counted in the metrics', async () => {
    const text = await (
      await fetch(`${service.url}/metrics`, { headers: { authorization: `Bearer ${service.owner}` } })
    ).text();
    expect(text).toMatch(/factory_chat_messages_total\{outcome="appended"\} \d+/);
    expect(text).toMatch(/factory_chat_messages_total\{outcome="quota-exceeded"\} \d+/);
    expect(text).toMatch(/factory_chat_messages_total\{outcome="replayed"\} 1/);
  });
});

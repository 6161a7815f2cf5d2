import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startService, type TestService } from '../helpers/service.ts';


let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
});
afterAll(() => service.close());

const json = { 'Content-Type': 'application/json' };

async function call(method: string, path: string, body?: unknown, as = service.owner, headers = {}) {
  const answer = await fetch(`${service.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${as}`, ...(body === undefined ? {} : json), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text === '' ? null : JSON.parse(text) };
}

const begin = async (input: object = {}, as = service.owner) =>
  (await call('POST', '/api/sessions', input, as)).body as { id: string };
const say = (session: string, text: string, key?: string, as = service.owner) =>
  call(
    ...(['POST', `/api/sessions/${session}/messages`, { role: 'user', parts: [{ type: 'text', text }] }, as] as const),
    key === undefined ? {} : { 'Idempotency-Key': key },
  );

describe('a session', () => {
  it('is begun, shown and listed, newest first', async () => {
    const made = await call('POST', '/api/sessions', { title: 'Why is it red?', class: 'support', subjectId: 'ada@example.org' });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ title: 'Why is it red?', class: 'support', subjectId: 'ada@example.org', messages: 0, lastSeq: 0 });
    expect(made.headers.get('location')).toBe(`/api/sessions/${made.body.id}`);
    expect((await call('GET', `/api/sessions/${made.body.id}`)).body).toEqual(made.body);
    const second = await begin({ class: 'support' });
    const list = (await call('GET', '/api/sessions?class=support&limit=1')).body;
    expect(list.sessions.map((one: { id: string }) => one.id)).toEqual([second.id]);
    const next = (await call('GET', `/api/sessions?class=support&cursor=${list.nextCursor}`)).body;
    expect(next.sessions.map((one: { id: string }) => one.id)).toEqual([made.body.id]);
    expect(next.nextCursor).toBeNull();
  });

  it('takes messages in order, once for each key', async () => {
    const { id } = await begin();
    const first = await say(id, 'one', 'k1');
    expect(first).toMatchObject({ status: 201, body: { seq: 1, id: `${id}.1` } });
    const again = await say(id, 'one', 'k1');
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await say(id, 'other', 'k1')).toMatchObject({ status: 422, body: { code: 'idempotency-key-reused' } });
    expect(await say(id, 'two', 'k2')).toMatchObject({ status: 201, body: { seq: 2 } });
    const { body } = await call('GET', `/api/sessions/${id}/messages`);
    expect(body.messages.map((one: { seq: number; parts: unknown }) => [one.seq, one.parts])).toEqual([
      [1, [{ type: 'text', text: 'one' }]],
      [2, [{ type: 'text', text: 'two' }]],
    ]);
    expect(body.nextCursor).toBeNull();
  });

  it('gives back every part as it was sent', async () => {
    const { id } = await begin();
    const parts = [
      { type: 'text', text: 'NUL \u0000, half a pair \ud800, 日本語 🎉' },
      { type: 'tool-call', toolCallId: 'c1', name: 'run', arguments: { deep: [1, null, { a: 'b' }] } },
      { type: 'tool-result', toolCallId: 'c1', name: 'run', output: 'x'.repeat(2_000_000), isError: false },
      { type: 'tool-result', toolCallId: 'c2', name: 'run', output: null },
    ];
    expect((await call('POST', `/api/sessions/${id}/messages`, { role: 'tool', parts })).status).toBe(201);
    expect((await call('GET', `/api/sessions/${id}/messages`)).body.messages[0].parts).toEqual(parts);
    expect((await call('GET', `/api/sessions/${id}/messages/${id}.1`)).body.parts).toEqual(parts);
  });

  it('takes many messages at once, all or none', async () => {
    const { id } = await begin();
    const messages = Array.from({ length: 100 }, (_, n) => ({ role: 'user', parts: [{ type: 'text', text: `m${n}` }], idempotencyKey: `b${n}` }));
    const made = await call('POST', `/api/sessions/${id}/messages:batch`, { messages });
    expect(made.status).toBe(201);
    expect(made.body.messages.map((one: { seq: number }) => one.seq)).toEqual(messages.map((_, n) => n + 1));
    const again = await call('POST', `/api/sessions/${id}/messages:batch`, { messages });
    expect(again.body.messages.every((one: { replayed: boolean }) => one.replayed)).toBe(true);
    const broken = [...messages.slice(0, 1).map((one) => ({ ...one, idempotencyKey: 'new' })), { ...messages[0], parts: [{ type: 'text', text: 'other' }] }];
    expect((await call('POST', `/api/sessions/${id}/messages:batch`, { messages: broken })).status).toBe(422);
    expect((await call('GET', `/api/sessions/${id}`)).body.lastSeq).toBe(100);
    const page = (await call('GET', `/api/sessions/${id}/messages?limit=60`)).body;
    const rest = (await call('GET', `/api/sessions/${id}/messages?cursor=${page.nextCursor}`)).body;
    expect([...page.messages, ...rest.messages].map((one: { seq: number }) => one.seq)).toEqual(messages.map((_, n) => n + 1));
  });

  it('is there for nobody else', async () => {
    const planner = await service.token({ role: 'planner' });
    const agent = await service.token({ role: 'agent' });
    const auditor = await service.token({ role: 'auditor' });
    const operator = await service.token({ role: 'operator' });
    const { id } = await begin({ title: 'Secret plans' }, planner);
    await say(id, 'hello', undefined, planner);
    for (const other of [agent, operator]) {
      expect((await call('GET', `/api/sessions/${id}/messages`, undefined, other)).status).toBe(404);
      expect((await call('GET', `/api/sessions/${id}`, undefined, other)).status).toBe(404);
    }
    expect((await say(id, 'x', undefined, agent)).status).toBe(404);
    expect((await call('GET', `/api/sessions/${id}`, undefined, auditor)).body).toMatchObject({ id, title: null, subjectId: null, messages: 1 });
    expect((await call('GET', `/api/sessions/${id}/messages`, undefined, auditor)).status).toBe(404);
    expect((await call('GET', '/api/sessions', undefined, operator)).status).toBe(403);
    expect((await call('GET', '/api/sessions', undefined, agent)).body.sessions).toEqual([]);
    expect((await call('GET', `/api/sessions/${id}/messages`)).body.messages).toHaveLength(1);
  });

  it('refuses what is no message, and says why', async () => {
    const { id } = await begin();
    const path = `/api/sessions/${id}/messages`;
    const many = { role: 'user', parts: Array.from({ length: 100_000 }, () => ({ type: 'text', text: '' })) };
    expect(await call('POST', path, many)).toMatchObject({ status: 400, body: { code: 'bad-input' } });
    const deep = `{"role":"tool","parts":[{"type":"tool-result","toolCallId":"c","name":"n","output":${'['.repeat(5000)}${']'.repeat(5000)}}]}`;
    expect(await call('POST', path, deep)).toMatchObject({ status: 400, body: { code: 'bad-input' } });
    expect((await call('POST', path, { role: 'boss', parts: [{ type: 'text', text: 'x' }] })).body.problems[0].path).toBe('role');
    const other = await begin();
    await call('POST', `/api/sessions/${other.id}/messages:batch`, { messages: [1, 2].map((n) => ({ role: 'user', parts: [{ type: 'text', text: `${n}` }] })) });
    const { nextCursor } = (await call('GET', `/api/sessions/${other.id}/messages?limit=1`)).body;
    expect((await call('GET', `${path}?cursor=${nextCursor}`)).body.code).toBe('cursor-unknown');
    expect((await call('GET', '/api/sessions/00000000-0000-7000-8000-000000000000')).status).toBe(404);
    expect((await call('GET', `/api/sessions/${id}`)).body.lastSeq).toBe(0);
  });

  it('leaves nothing of its content in the database and in the log', async () => {
    const { id } = await begin({ title: 'marker-title', subjectId: 'marker-subject' });
    await say(id, 'marker-text', 'marker-key');
    const { storage } = service.context;
    const rows = JSON.stringify(
      await Promise.all(
        (['chat_sessions', 'chat_messages', 'chat_subjects', 'events', 'audit_entries'] as const).map(async (table) =>
          (await storage.read.query((db) => db.selectFrom(table).selectAll())).map((row) =>
            Object.values(row).map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : value)),
          ),
        ),
      ),
    );
    expect(rows).not.toMatch(/marker-(title|subject|text|key)/);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });
});

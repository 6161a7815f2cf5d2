import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { clientOf } from './client.ts';
import { startService, type TestService } from '../helpers/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
});
afterAll(() => service.close());

const { call, begin, say, messages, sessions } = clientOf(() => service);
const seqs = (all: { seq: number }[]) => all.map(({ seq }) => seq);
const ids = (all: { id: string }[]) => all.map(({ id }) => id);

describe('a session', () => {
  it('is begun, shown and listed, newest first', async () => {
    const input = { title: 'Why is it red?', class: 'support', subjectId: 'ada@example.org' };
    const made = await call<{ id: string }>('POST', '/api/sessions', input);
    expect(made).toMatchObject({ status: 201, body: { ...input, messages: 0, lastSeq: 0 } });
    expect(made.headers.get('location')).toBe(`/api/sessions/${made.body.id}`);
    expect((await call('GET', `/api/sessions/${made.body.id}`)).body).toEqual(made.body);
    const second = await begin({ class: 'support' });
    const list = await sessions('?class=support&limit=1');
    expect(ids(list.sessions)).toEqual([second.id]);
    const next = await sessions(`?class=support&cursor=${list.nextCursor}`);
    expect(ids(next.sessions)).toEqual([made.body.id]);
    expect(next.nextCursor).toBeNull();
  });

  it('is begun once for each key of its caller', async () => {
    const input = { title: 'Once', subjectId: 'ada@example.org' };
    const once = (body: object, as?: string, key = 'begin-1') =>
      call<{ id: string }>('POST', '/api/sessions', body, as, { 'Idempotency-Key': key });
    const all = await Promise.all([1, 2, 3].map(() => once(input)));
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 201]);
    expect(new Set(all.map(({ body }) => body.id)).size).toBe(1);
    const { id } = all[0]!.body;
    const again = await once(input);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([200, 'true']);
    expect(again.headers.get('location')).toBe(`/api/sessions/${id}`);
    for (const other of [{ ...input, title: 'Twice' }, { ...input, class: 'x' }, { title: 'Once' }])
      expect(await once(other)).toMatchObject({ status: 422, body: { code: 'idempotency-key-reused' } });
    const planner = await service.token({ role: 'planner' });
    expect((await once(input, planner)).body.id).not.toBe(id);
    expect((await once(input, undefined, 'begin-2')).body.id).not.toBe(id);
    await call('DELETE', `/api/sessions/${id}`);
    expect((await once(input)).status).toBe(410);
  });

  it('takes messages in order, once for each key', async () => {
    const { id } = await begin();
    const first = await say(id, 'one', 'k1');
    expect(first).toMatchObject({ status: 201, body: { seq: 1, id: `${id}.1` } });
    const again = await say(id, 'one', 'k1');
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await say(id, 'other', 'k1')).toMatchObject({
      status: 422,
      body: { code: 'idempotency-key-reused' },
    });
    expect(await say(id, 'two', 'k2')).toMatchObject({ status: 201, body: { seq: 2 } });
    const page = await messages(id);
    expect(page.messages.map(({ seq, parts }) => [seq, parts])).toEqual([
      [1, [{ type: 'text', text: 'one' }]],
      [2, [{ type: 'text', text: 'two' }]],
    ]);
    expect(page.nextCursor).toBeNull();
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
    expect((await messages(id)).messages[0]?.parts).toEqual(parts);
    expect((await call('GET', `/api/sessions/${id}/messages/${id}.1`)).body).toMatchObject({ parts });
  });

  it('takes many messages at once, all or none', async () => {
    const { id } = await begin();
    const path = `/api/sessions/${id}/messages:batch`;
    const message = (n: number, text = `m${n}`) => ({ role: 'user', parts: [{ type: 'text', text }] });
    const batch = Array.from({ length: 100 }, (_, n) => ({ ...message(n), idempotencyKey: `b${n}` }));
    const post = (all: object[]) =>
      call<{ messages: { seq: number; replayed: boolean }[] }>('POST', path, { messages: all });
    const made = await post(batch);
    expect(made.status).toBe(201);
    expect(seqs(made.body.messages)).toEqual(batch.map((_, n) => n + 1));
    expect((await post(batch)).body.messages.every(({ replayed }) => replayed)).toBe(true);
    const broken = [
      { ...message(1), idempotencyKey: 'new' },
      { ...message(0, 'other'), idempotencyKey: 'b0' },
    ];
    expect((await post(broken)).status).toBe(422);
    expect((await call('GET', `/api/sessions/${id}`)).body).toMatchObject({ lastSeq: 100 });
    const page = await messages(id, '?limit=60');
    const rest = await messages(id, `?cursor=${page.nextCursor}`);
    expect(seqs([...page.messages, ...rest.messages])).toEqual(batch.map((_, n) => n + 1));
  });

  it('takes a key once within one batch too, between what is known and what is new', async () => {
    const { id } = await begin();
    await say(id, 'known', 'k');
    const one = (text: string, idempotencyKey?: string) => ({
      ...{ role: 'user', parts: [{ type: 'text', text }] },
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    });
    const post = (all: object[]) =>
      call<{ messages: { id: string; seq: number; replayed: boolean }[] }>(
        ...(['POST', `/api/sessions/${id}/messages:batch`, { messages: all }] as const),
      );
    const batch = [
      ...[one('a', 'a'), one('known', 'k'), one('b'), one('a', 'a'), one('c', 'c')],
      ...[one('b'), one('known', 'k'), one('c', 'c')],
    ];
    const { body } = await post(batch);
    expect(body.messages.map(({ seq, replayed }) => [seq, replayed])).toEqual([
      ...[
        [2, false],
        [1, true],
        [3, false],
        [2, true],
        [4, false],
      ],
      ...[
        [5, false],
        [1, true],
        [4, true],
      ],
    ]);
    expect(body.messages[3]!.id).toBe(body.messages[0]!.id);
    expect(await post([one('d', 'd'), one('other', 'd')])).toMatchObject({
      ...{ status: 422, body: { code: 'idempotency-key-reused' } },
    });
    expect((await post(batch.slice(3, 5))).body.messages.map(({ replayed }) => replayed)).toEqual([
      true,
      true,
    ]);
    const texts = (await messages(id)).messages.map(({ parts }) => parts[0]!.text);
    expect(texts).toEqual(['known', 'a', 'b', 'c', 'b']);
    expect((await call('GET', `/api/sessions/${id}`)).body).toMatchObject({ lastSeq: 5, messages: 5 });
  });

  it('is there for nobody else', async () => {
    const [planner, agent, auditor, operator] = await Promise.all(
      (['planner', 'agent', 'auditor', 'operator'] as const).map((role) => service.token({ role })),
    );
    const { id } = await begin({ title: 'Secret plans' }, planner);
    await say(id, 'hello', undefined, planner);
    for (const other of [agent, operator]) {
      expect((await call('GET', `/api/sessions/${id}/messages`, undefined, other)).status).toBe(404);
      expect((await call('GET', `/api/sessions/${id}`, undefined, other)).status).toBe(404);
    }
    expect((await say(id, 'x', undefined, agent)).status).toBe(404);
    const seen = (await call('GET', `/api/sessions/${id}`, undefined, auditor)).body;
    expect(seen).toMatchObject({ id, title: null, subjectId: null, messages: 1 });
    expect(await call('GET', `/api/sessions/${id}/messages`, undefined, auditor)).toMatchObject({
      ...{
        status: 403,
        body: { code: 'permission-missing', detail: expect.stringContaining('not for your role') },
      },
    });
    expect(
      (await call('GET', `/api/sessions/01890a5d-ac96-774b-bcce-b302099a8057/messages`, undefined, auditor))
        .status,
    ).toBe(404);
    // Who may not list is told nothing.
    expect((await call('GET', `/api/sessions/${id}/messages`, undefined, operator)).status).toBe(404);
    expect((await call('GET', '/api/sessions', undefined, operator)).status).toBe(403);
    expect((await sessions('', agent)).sessions).toEqual([]);
    expect((await messages(id)).messages).toHaveLength(1);
  });

  it('refuses what is no message, and says why', async () => {
    const { id } = await begin();
    const path = `/api/sessions/${id}/messages`;
    const many = { role: 'user', parts: Array.from({ length: 100_000 }, () => ({ type: 'text', text: '' })) };
    expect(await call('POST', path, many)).toMatchObject({ status: 400, body: { code: 'bad-input' } });
    const nested = `${'['.repeat(5000)}${']'.repeat(5000)}`;
    const deep = `{"role":"tool","parts":[{"type":"tool-result","toolCallId":"c","name":"n","output":${nested}}]}`;
    expect(await call('POST', path, deep)).toMatchObject({ status: 400, body: { code: 'bad-input' } });
    const boss = { role: 'boss', parts: [{ type: 'text', text: 'x' }] };
    expect((await call('POST', path, boss)).body).toMatchObject({ problems: [{ path: 'role' }] });
    const other = await begin();
    for (const text of ['1', '2']) await say(other.id, text);
    const { nextCursor } = await messages(other.id, '?limit=1');
    expect((await call('GET', `${path}?cursor=${nextCursor}`)).body).toMatchObject({
      code: 'cursor-unknown',
    });
    expect((await call('GET', '/api/sessions/00000000-0000-7000-8000-000000000000')).status).toBe(404);
    expect((await call('GET', `/api/sessions/${id}`)).body).toMatchObject({ lastSeq: 0 });
  });

  it('leaves nothing of its content in the database and in the log', async () => {
    const { id } = await begin({ title: 'marker-title', subjectId: 'marker-subject' });
    await say(id, 'marker-text', 'marker-key');
    const { storage } = service.context;
    const tables = ['chat_sessions', 'chat_messages', 'chat_subjects', 'events', 'audit_entries'] as const;
    for (const table of tables) {
      const rows = await storage.read.query((db) => db.selectFrom(table).selectAll());
      const values = rows.flatMap((row): unknown[] => Object.values(row));
      const text = values.map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : String(value)));
      expect(text.join('\n'), table).not.toMatch(/marker-(title|subject|text|key)/);
    }
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });
});

describe('what is deleted', () => {
  it('is gone for reads and writes: a message leaves its place, a session nothing', async () => {
    const { id } = await begin({ title: 'Going' });
    for (const n of [1, 2, 3]) await say(id, `m${n}`, `k${n}`);
    const second = `/api/sessions/${id}/messages/${id}.2`;
    expect((await call('DELETE', second)).status).toBe(204);
    expect((await call('GET', second)).status).toBe(410);
    expect((await call('DELETE', second)).status).toBe(410);
    expect((await say(id, 'm2', 'k2')).status).toBe(410);
    expect(seqs((await messages(id)).messages)).toEqual([1, 3]);
    expect((await say(id, 'm4')).body.seq).toBe(4);
    expect((await call('DELETE', `/api/sessions/${id}`)).status).toBe(204);
    const ways = [
      ['GET', ''],
      ['GET', '/messages'],
      ['DELETE', ''],
      ['GET', `/messages/${id}.1`],
    ] as const;
    for (const [method, path] of ways)
      expect((await call(method, `/api/sessions/${id}${path}`)).status, `${method} ${path}`).toBe(410);
    expect((await say(id, 'late', 'k9')).status).toBe(410);
    expect(ids((await sessions()).sessions)).not.toContain(id);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });
});

it('a page of messages says which of its places are gone, to those who may read it', async () => {
  const planner = await service.token({ role: 'planner' });
  const { id } = await begin({}, planner);
  for (let n = 1; n <= 9; n += 1) await say(id, `m${n}`, undefined, planner);
  for (const seq of [1, 4, 5, 9])
    await call('DELETE', `/api/sessions/${id}/messages/${id}.${seq}`, undefined, planner);
  const page = async (query: string, as = planner) =>
    (
      await call<{ messages: { seq: number }[]; gone: object[]; nextCursor: string | null }>(
        ...(['GET', `/api/sessions/${id}/messages${query}`, undefined, as] as const),
      )
    ).body;
  const gap = (from: number, to = from) => ({ from, to });
  expect((await page('')).gone).toEqual([gap(1), gap(4, 5), gap(9)]);
  const first = await page('?limit=3');
  expect([first.messages.map(({ seq }) => seq), first.gone]).toEqual([
    [2, 3, 6],
    [gap(1), gap(4, 5)],
  ]);
  expect((await page(`?limit=3&cursor=${first.nextCursor}`)).gone).toEqual([gap(9)]);
  expect((await page('?after=4&limit=1')).gone).toEqual([gap(5)]);
  expect((await page('?after=9')).gone).toEqual([]);
  const auditor = await service.token({ role: 'auditor' });
  expect(await page('', auditor)).toMatchObject({ code: 'permission-missing' });
  await call('DELETE', `/api/sessions/${id}/messages/${id}.${8}`, undefined, planner);
  for (const seq of [2, 3, 6, 7])
    await call('DELETE', `/api/sessions/${id}/messages/${id}.${seq}`, undefined, planner);
  expect(await page('')).toEqual({ messages: [], gone: [gap(1, 9)], nextCursor: null });
});

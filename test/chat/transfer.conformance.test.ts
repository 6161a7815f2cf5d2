import { createHash, randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { manualClock } from '../../service/clock.ts';
import { clientOf } from './client.ts';
import { startService, type TestService } from '../helpers/service.ts';

/** Two installations: what one exports the other imports. */

const clock = manualClock('2026-01-01T00:00:00.000Z');
let here: TestService;
let there: TestService;
beforeAll(async () => {
  const engine = inject('engine');
  [here, there] = await Promise.all([startService({ engine, clock }), startService({ engine })]);
});
afterAll(() => Promise.all([here.close(), there.close()]));

const { call, begin, say, messages } = clientOf(() => here);
const away = clientOf(() => there);

type Fields = Record<string, unknown>;
type Answer = { status: number; body: Fields };

async function exported(from: TestService, id: string, format = ''): Promise<string> {
  const answer = await fetch(`${from.url}/api/sessions/${id}/export${format && `?format=${format}`}`, {
    headers: { Authorization: `Bearer ${from.owner}` },
  });
  expect(answer.status).toBe(200);
  return answer.text();
}

async function imported(
  to: TestService,
  text: string | ReadableStream,
  { format = '', as = to.owner, query = {} }: { format?: string; as?: string; query?: object } = {},
): Promise<Answer> {
  const parameters = new URLSearchParams({ ...(format && { format }), ...query }).toString();
  const answer = await fetch(`${to.url}/api/sessions/import?${parameters}`, {
    ...{ method: 'POST', duplex: 'half', body: text },
    headers: { Authorization: `Bearer ${as}`, 'Content-Type': 'application/x-ndjson' },
  });
  return { status: answer.status, body: (await answer.json()) as Fields };
}

const post = (id: string, message: object) => call('POST', `/api/sessions/${id}/messages`, message);
const upload = async (id: string, content: Buffer): Promise<{ id: string }> => {
  const answer = await fetch(
    `${here.url}/api/sessions/${id}/attachments?name=${encodeURIComponent('日.bin')}`,
    {
      ...{ method: 'POST', body: content },
      headers: { Authorization: `Bearer ${here.owner}`, 'Content-Type': 'image/x-test' },
    },
  );
  return (await answer.json()) as { id: string };
};

/** One with everything in it. */
async function rich(): Promise<string> {
  const { id } = await begin({ title: 'A "title"', class: 'support', subjectId: 'ada' });
  await say(id, 'NUL \u0000, half a pair \ud800, \udc00, \u2028, 日本語 🎉', 'k1');
  await say(id, 'going');
  const file = await upload(id, randomBytes(500_000));
  const empty = await upload(id, Buffer.alloc(0));
  const parts = [
    ...[file, empty].map((one) => ({
      type: 'attachment',
      attachmentId: one.id,
      name: 'as the sender calls it',
    })),
    { type: 'tool-call', toolCallId: 'c', name: 'run', input: { b: 1, a: [null, -0.5, 1e21, ''] } },
    {
      isError: false,
      output: { x: 'y'.repeat(2_000_000) },
      type: 'tool-result',
      toolCallId: 'c',
      name: 'run',
    },
    { type: 'tool-result', toolCallId: 'd', name: 'run' },
  ];
  expect((await post(id, { role: 'tool', parts, subjectId: 'bob' })).status).toBe(201);
  const going = await upload(id, Buffer.from('gone with its message'));
  await post(id, { role: 'user', parts: [{ type: 'attachment', attachmentId: going.id }] });
  clock.advance(1000);
  for (const seq of [2, 4]) await call('DELETE', `/api/sessions/${id}/messages/${id}.${seq}`);
  await say(id, 'x'.repeat(2_000_000));
  return id;
}

const linesOf = (text: string) => text.split('\n').slice(0, -1);
const typesOf = (text: string) => linesOf(text).map((line) => (JSON.parse(line) as { type: string }).type);
const blobs = (of: TestService) =>
  readdirSync(join(of.dataDir, 'blobs'), { withFileTypes: true, recursive: true }).filter((one) =>
    one.isFile(),
  );

describe('a session that goes to another installation', () => {
  it('is the same there to the byte, with files, times, authors, subjects and tombstones', async () => {
    const id = await rich();
    const text = await exported(here, id);
    expect(typesOf(text).filter((type) => type !== 'data')).toEqual([
      ...[
        'session',
        'message',
        'tombstone',
        'attachment',
        'attachment',
        'message',
        'tombstone',
        'message',
        'end',
      ],
    ]);
    const answer = await imported(there, text);
    expect(answer).toEqual({
      status: 201,
      body: { sessions: [{ id, created: true, messages: 3, attachments: 2 }] },
    });
    const back = await exported(there, id);
    expect(createHash('sha256').update(back).digest('hex')).toBe(
      createHash('sha256').update(text).digest('hex'),
    );
    const session = (await away.call<Fields>('GET', `/api/sessions/${id}`)).body;
    const original = (await call<Fields>('GET', `/api/sessions/${id}`)).body;
    expect(session).toEqual({ ...original, author: { ...(original['author'] as object), foreign: true } });
    const read = (await away.messages(id)).messages as unknown as Fields[];
    const known = (await messages(id)).messages as unknown as Fields[];
    expect(read).toEqual(
      known.map((one) => ({ ...one, author: { ...(one['author'] as object), foreign: true } })),
    );
    const file = (known[1]?.['parts'] as { attachmentId: string }[])[0]?.attachmentId;
    const [one, two] = await Promise.all(
      [here, there].map(async (of) =>
        Buffer.from(
          await (
            await fetch(`${of.url}/api/sessions/${id}/attachments/${file}`, {
              headers: { Authorization: `Bearer ${of.owner}` },
            })
          ).arrayBuffer(),
        ),
      ),
    );
    expect([one?.length, one?.equals(two ?? Buffer.alloc(0))]).toEqual([500_000, true]);
    // It goes on there.
    expect((await away.say(id, 'more')).body.seq).toBe(6);
    expect(await there.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('is no change where it is there already, and refused where it is another', async () => {
    const { id } = await begin({ title: 'Twice' });
    for (const text of ['one', 'two']) await say(id, text);
    const text = await exported(here, id);
    expect((await imported(there, text)).body['sessions']).toMatchObject([{ created: true }]);
    expect(await imported(there, text)).toMatchObject({
      status: 201,
      body: { sessions: [{ id, created: false }] },
    });
    expect(await imported(here, text)).toMatchObject({
      status: 201,
      body: { sessions: [{ id, created: false }] },
    });
    const other = text.replace('"two"', '"2"');
    expect(await imported(there, other)).toMatchObject({
      status: 409,
      body: {
        ...{ code: 'import-conflict', line: 3, imported: [] },
        // To delete the one that is there would lose both.
        hint: expect.stringMatching(/^Delete neither: .*refused for ever.*Keep the file.*format=openai/),
      },
    });
    await away.say(id, 'three');
    expect((await imported(there, text)).status).toBe(409);
    const stranger = await there.token({ role: 'planner' });
    expect(await imported(there, text, { as: stranger })).toMatchObject({
      status: 409,
      body: { code: 'import-conflict' },
    });
    await away.call('DELETE', `/api/sessions/${id}`);
    expect(await imported(there, text)).toMatchObject({ status: 410, body: { code: 'gone', line: 1 } });
  });

  it('belongs to the one who imports it, whoever wrote it', async () => {
    const { id } = await begin();
    await say(id, 'hello');
    const agent = await there.token({ role: 'agent' });
    expect((await imported(there, await exported(here, id), { as: agent })).status).toBe(201);
    expect((await away.call('GET', `/api/sessions/${id}/messages`, undefined, agent)).status).toBe(200);
    const other = await there.token({ role: 'agent' });
    expect((await away.call('GET', `/api/sessions/${id}`, undefined, other)).status).toBe(404);
    const auditor = await there.token({ role: 'auditor' });
    expect((await imported(there, '', { as: auditor })).status).toBe(403);
  });

  it('comes whole or not at all: cut, out of order, with a file that lies', async () => {
    const id = await rich();
    const text = await exported(here, id);
    const lines = linesOf(text);
    const first = await begin();
    await say(first.id, 'first');
    const before = await exported(here, first.id);
    const files = blobs(there).length;
    const file = lines.findIndex((line) => line.startsWith('{"type":"attachment"'));
    const data = lines.findIndex((line) => line.startsWith('{"type":"data"'));
    const without = (at: number) => lines.filter((_, index) => index !== at);
    const changed = (at: number, from: string | RegExp, to: string) =>
      lines.map((line, index) => (index === at ? line.replace(from, to) : line));
    const n = lines.length;
    const cases: [string, string[], object][] = [
      ['cut before its end', lines.slice(0, -1), { status: 400, body: { code: 'import-cut', line: n - 1 } }],
      [
        'cut in a file',
        lines.slice(0, data + 1),
        { status: 400, body: { code: 'import-cut', line: data + 1 } },
      ],
      ['without a message', without(1), { status: 400, body: { code: 'import-malformed', line: 2 } }],
      ['without a tombstone', without(2), { status: 400, body: { code: 'import-malformed' } }],
      ['without data', without(data), { status: 400, body: { code: 'import-malformed' } }],
      ['without its head', lines.slice(1), { status: 400, body: { code: 'import-malformed', line: 1 } }],
      [
        'with a lying end',
        changed(n - 1, /"messages":\d+/, '"messages":9'),
        { status: 400, body: { line: n } },
      ],
      ['with a lying digest', changed(file, /"sha256":"../, '"sha256":"00'), { status: 422 }],
      ['with a strange member', changed(1, '{', '{"more":1,'), { status: 400, body: { line: 2 } }],
      ['with a strange role', changed(1, '"user"', '"boss"'), { status: 400, body: { line: 2 } }],
      ['that is no JSON', changed(1, '{', '['), { status: 400, body: { line: 2 } }],
    ];
    for (const [how, given, expected] of cases) {
      const answer = await imported(there, `${given.join('\n')}\n`);
      expect(answer, how).toMatchObject(expected);
      expect((await away.call('GET', `/api/sessions/${id}`)).status, how).toBe(404);
    }
    const torn = await imported(there, text.slice(0, text.length / 2));
    expect(torn).toMatchObject({ status: 400, body: { imported: [] } });
    const { storage, chat } = there.context;
    const rows = await storage.read.query((db) =>
      db.selectFrom('chat_sessions').select('id').where('class', '=', 'importing'),
    );
    expect(rows).toEqual([]);
    expect(blobs(there)).toHaveLength(files);
    // Sessions before it are kept, and named.
    const answer = await imported(there, `${before}${lines.slice(0, 4).join('\n')}\n`);
    expect(answer).toMatchObject({ status: 400, body: { imported: [{ id: first.id }] } });
    expect((await imported(there, `${before}${text}`)).body['sessions']).toMatchObject([
      { id: first.id, created: false },
      { id, created: true },
    ]);
    expect(await exported(there, id)).toBe(text);
    await chat.replay();
    expect(await exported(there, id)).toBe(text);
  });

  it('is taken as lines of JSON alone, and nothing is nothing', async () => {
    const send = (headers: object, body?: string) =>
      fetch(`${there.url}/api/sessions/import`, {
        ...{ method: 'POST', headers: { Authorization: `Bearer ${there.owner}`, ...headers } },
        ...(body === undefined ? {} : { body }),
      });
    expect((await send({ 'Content-Type': 'text/csv' }, 'a,b')).status).toBe(415);
    const encoded = { 'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'gzip' };
    expect((await send(encoded, 'x')).status).toBe(415);
    const none = await send({});
    expect([none.status, await none.json()]).toEqual([201, { sessions: [] }]);
  });

  it('leaves nothing of an import that a crash ended', async () => {
    const id = await rich();
    const text = await exported(here, id);
    const { storage, chat } = there.context;
    let wake = (): void => undefined;
    const reached = new Promise<void>((resolve) => (wake = resolve));
    const source = (async function* () {
      yield Buffer.from(linesOf(text).slice(0, -1).join('\n') + '\n');
      wake();
      await new Promise(() => undefined);
    })();
    const owner = {
      kind: 'person',
      id: 'p',
      personId: 'p',
      roles: [],
      permissions: new Set<string>(),
    } as never;
    void chat.import.jsonl(owner, source);
    await reached;
    const rows = () =>
      storage.read.query((db) =>
        db.selectFrom('chat_sessions').select('number').where('deleted_by', '=', 'import'),
      );
    await expect.poll(async () => (await rows()).length).toBe(1);
    expect((await away.call('GET', `/api/sessions/${id}`)).status).toBe(404);
    expect((await imported(there, text)).body).toMatchObject({ code: 'in-flight' });
    await chat.replay();
    expect(await rows()).toEqual([]);
    expect((await imported(there, text)).status).toBe(201);
    expect(await exported(there, id)).toBe(text);
  });
});

describe('an export', () => {
  it('has each of 4,000 messages of one time once, while others write', async () => {
    const { id } = await begin();
    const message = (n: number) => ({ role: 'user', parts: [{ type: 'text', text: `m${n}` }] });
    const batch = (from: number, count: number) =>
      call('POST', `/api/sessions/${id}/messages:batch`, {
        messages: Array.from({ length: count }, (_, n) => message(from + n)),
      });
    for (let n = 0; n < 4; n += 1) await batch(n * 1000, 1000);
    const seen: number[] = [];
    const writing = Promise.all(Array.from({ length: 20 }, (_, n) => batch(10_000 + n * 20, 20)));
    const text = await exported(here, id);
    await writing;
    for (const line of linesOf(text)) {
      const one = JSON.parse(line) as { type: string; seq: number; createdAt: string };
      if (one.type === 'message') seen.push(one.seq);
    }
    expect(seen).toEqual(seen.map((_, n) => n + 1));
    expect(seen.length).toBeGreaterThanOrEqual(4000);
    const pages: number[] = [];
    const later = Promise.all(Array.from({ length: 20 }, (_, n) => batch(20_000 + n * 20, 20)));
    for (let cursor = ''; ;) {
      const page = await messages(id, `?limit=200${cursor}`);
      pages.push(...page.messages.map(({ seq }) => seq));
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    await later;
    expect(pages).toEqual(pages.map((_, n) => n + 1));
    expect(pages.length).toBeGreaterThanOrEqual(4400);
    const answer = await imported(there, text);
    expect(answer.body['sessions']).toMatchObject([{ messages: seen.length }]);
    expect(await exported(there, id)).toBe(text);
  });

  it('is for those who may read the session, and told in the audit log', async () => {
    const [planner, auditor] = await Promise.all(
      (['planner', 'auditor'] as const).map((role) => here.token({ role })),
    );
    const { id } = await begin({}, planner);
    for (const [as, status] of [
      [planner, 200],
      [auditor, 403],
    ] as const) {
      const answer = await fetch(`${here.url}/api/sessions/${id}/export`, {
        headers: { Authorization: `Bearer ${as}` },
      });
      await answer.text();
      expect(answer.status).toBe(status);
    }
    const { entries } = (
      await call<{ entries: { leaf: { action: string; object: { id: string } } }[] }>(
        'GET',
        '/api/audit/entries?limit=20',
      )
    ).body;
    expect(entries.filter(({ leaf }) => leaf.object?.id === id).map(({ leaf }) => leaf.action)).toContain(
      'session.export',
    );
    expect((await call('GET', `/api/sessions/${id}/export?format=xml`)).status).toBe(400);
    await call('DELETE', `/api/sessions/${id}`);
    expect((await call('GET', `/api/sessions/${id}/export`)).status).toBe(410);
  });

  it('in the form of OpenAI is read by others, and comes back the same', async () => {
    const id = await rich();
    await post(id, {
      role: 'assistant',
      parts: [
        { type: 'text', text: 'I look.' },
        { type: 'tool-call', toolCallId: 'c1', name: 'search', arguments: { q: 'x' } },
      ],
    });
    await post(id, {
      role: 'tool',
      parts: [{ type: 'tool-result', toolCallId: 'c1', name: 'search', output: ['a'] }],
    });
    const text = await exported(here, id, 'openai');
    const document = JSON.parse(text) as { messages: object[] };
    expect(document.messages.slice(-2)).toEqual([
      {
        role: 'assistant',
        content: 'I look.',
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'search', arguments: '{"q":"x"}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: '["a"]' },
    ]);
    const answer = await imported(there, `${text}${text}`, { format: 'openai' });
    const [one, two] = answer.body['sessions'] as { id: string }[];
    for (const session of [one, two]) expect(await exported(there, session!.id, 'openai')).toBe(text);
    const read = (await away.messages(one!.id)).messages;
    expect(read.at(-1)?.parts).toEqual([
      { type: 'tool-result', toolCallId: 'c1', name: 'search', output: '["a"]' },
    ]);
    const image = '{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}';
    expect(await imported(there, `${text}${image}\n`, { format: 'openai' })).toMatchObject({
      status: 400,
      body: { code: 'import-malformed', line: 2, imported: [{}] },
    });
  });
});

const json = fc.jsonValue({ maxDepth: 4 });
const word = fc.string({ unit: 'binary', maxLength: 40 });
const text = fc.oneof(word, fc.constantFrom('\u0000', '\ud800', '\udfff x', '\u2028', '', '"\\', '\r\n'));
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const part = fc.oneof(
  fc.record({ type: fc.constant('text'), text }),
  fc.record({
    type: fc.constant('tool-call'),
    toolCallId: name,
    name,
    arguments: optional(json),
    input: optional(json),
  }),
  fc.record({
    type: fc.constant('tool-result'),
    toolCallId: name,
    name,
    output: optional(json),
    isError: optional(fc.boolean()),
  }),
);
const message = fc.record({
  role: fc.constantFrom('user', 'assistant', 'system', 'tool'),
  parts: fc.array(part, { minLength: 1, maxLength: 4 }),
  subjectId: optional(name),
});
const session = fc.record({
  head: fc.record({ title: optional(text), subjectId: optional(name) }),
  messages: fc.array(message, { maxLength: 12 }),
  deleted: fc.array(fc.nat(11), { maxLength: 4 }),
});

it('gives back random sessions, in both forms', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(session, async ({ head, messages: all, deleted }) => {
      const { id } = await begin(head);
      if (all.length > 0)
        expect((await call('POST', `/api/sessions/${id}/messages:batch`, { messages: all })).status).toBe(
          201,
        );
      for (const index of new Set(deleted.filter((one) => one < all.length)))
        await call('DELETE', `/api/sessions/${id}/messages/${id}.${index + 1}`);
      const text = await exported(here, id);
      expect((await imported(there, text)).status).toBe(201);
      expect(await exported(there, id)).toBe(text);
      const openai = await exported(here, id, 'openai');
      expect(await exported(there, id, 'openai')).toBe(openai);
      const again = (await imported(there, openai, { format: 'openai' })).body['sessions'] as {
        id: string;
      }[];
      expect(await exported(there, again[0]!.id, 'openai')).toBe(openai);
    }),
    { numRuns: 40 },
  );
});

describe('what comes in the form of OpenAI', () => {
  const lineOf = (content: string, more: object = {}) =>
    `${JSON.stringify({ ...more, messages: [{ role: 'user', content }] })}\n`;
  const openai = (text: string, query: object = {}, as?: string) =>
    imported(there, text, { format: 'openai', query, ...(as === undefined ? {} : { as }) });
  const show = async (id: string, as?: string) =>
    (await away.call<Fields>('GET', `/api/sessions/${id}`, undefined, as)).body;
  const idsOf = ({ body }: Answer) => (body['sessions'] as { id: string }[]).map(({ id }) => id);

  it('has the class and subject that are named, and the title of its line or else the one that is named', async () => {
    const answer = await openai(lineOf('one', { title: 'Its own' }) + lineOf('two'), {
      ...{ class: 'support', subjectId: 'customer 7', title: 'From the old tool' },
    });
    expect(answer.status).toBe(201);
    const [own, named] = await Promise.all(idsOf(answer).map((id) => show(id)));
    expect(own).toMatchObject({ title: 'Its own', class: 'support', subjectId: 'customer 7' });
    expect(named).toMatchObject({ title: 'From the old tool', class: 'support', subjectId: 'customer 7' });
    const read = (await away.messages(own!['id'] as string)).messages as unknown as Fields[];
    expect(read).toMatchObject([{ subjectId: 'customer 7' }]);
    const plain = await openai(lineOf('three', { title: null }));
    expect(await show(idsOf(plain)[0]!)).toMatchObject({ title: null, class: 'general' });
  });

  it('is looked through by the policy of its class, title and all', async () => {
    const policies = (await away.call<{ classes: Fields }>('GET', '/api/governance/policies')).body;
    const blocks = { secrets: 'block', personal: 'allow', nationalIds: 'allow', roles: {} };
    const strict = { ...(policies.classes['general'] as object), sensitive: blocks };
    const classes = { ...policies.classes, strict };
    expect((await away.call('PUT', '/api/governance/policies', { ...policies, classes })).status).toBe(200);
    const secret = 'password=S3cr3t!horse9';
    for (const line of [lineOf(secret), lineOf('x', { title: secret })])
      expect(await openai(line, { class: 'strict' })).toMatchObject({
        ...{ status: 422, body: { code: 'sensitive-data-blocked', line: 1 } },
      });
    const taken = await openai(lineOf('x', { title: secret }));
    expect((await show(idsOf(taken)[0]!))['title']).not.toContain('S3cr3t');
  });

  it('is taken from those who may begin a session, is theirs, and is checked as a new one', async () => {
    const [planner, auditor] = await Promise.all(
      (['planner', 'auditor'] as const).map((role) => there.token({ role })),
    );
    const answer = await openai(lineOf('one'), { class: 'support' }, planner);
    expect(await show(idsOf(answer)[0]!, planner)).toMatchObject({ class: 'support' });
    expect((await openai(lineOf('one'), {}, auditor)).status).toBe(403);
    expect((await openai(lineOf('one'), { class: 'no class' })).status).toBe(400);
    expect((await openai(lineOf('one'), { title: 'x'.repeat(501) })).status).toBe(400);
    expect((await openai(lineOf('one'), { subjectId: '' })).status).toBe(400);
    for (const title of [7, 'x'.repeat(501)])
      expect(await openai(lineOf('one', { title }))).toMatchObject({
        ...{ status: 400, body: { code: 'import-malformed', line: 1 } },
      });
    const asJsonl = await imported(there, '', { query: { title: 'x' } });
    expect(asJsonl).toMatchObject({ status: 409, body: { problems: [{ path: 'title' }] } });
    const erased = { subjectId: 'who was erased' };
    expect((await openai(lineOf('one'), erased)).status).toBe(201);
    await away.call('POST', '/api/governance/erasures', { ...erased, reason: 'asked' });
    await there.context.chat.governance.erasures.idle();
    expect(await openai(lineOf('one'), erased)).toMatchObject({
      ...{ status: 410, body: { code: 'subject-erased', imported: [], fromLine: 1 } },
    });
  });

  it('names what has no place here, and nothing where all of it has', async () => {
    const call = { id: 'c', type: 'function', function: { name: 'run', arguments: '{}' }, index: 0 };
    const line = {
      ...{ model: 'm', tools: [{}], metadata: {}, messages: [] },
      messages: [
        { role: 'user', name: 'ada', content: [{ type: 'text', text: 'x', cache_control: { type: 'y' } }] },
        { role: 'assistant', content: null, refusal: null, tool_calls: [call], annotations: [] },
        { role: 'tool', name: 'run', tool_call_id: 'c', content: 'done' },
        { role: 'assistant', content: 'no', refusal: 'I will not' },
      ],
    };
    const answer = await openai(`${JSON.stringify(line)}\n${lineOf('all', { title: 't' })}`);
    const [some, all] = answer.body['sessions'] as { dropped?: string[] }[];
    expect(some!.dropped?.sort()).toEqual([
      ...['messages[].content[].cache_control', 'messages[].name', 'messages[].refusal'],
      ...['messages[].tool_calls[].index', 'model', 'tools'],
    ]);
    expect(all).not.toHaveProperty('dropped');
  });

  it('that ends in the middle goes on at the line that is named, and has nothing twice', async () => {
    const bad = '{"messages":[{"role":"boss"}]}\n';
    const kind = { class: 'resumed' };
    const [one, two, three] = ['one', 'two', 'three'].map((text) => lineOf(text));
    const broken = await openai(`${one}\n${two}${bad}${three}`, kind);
    expect(broken).toMatchObject({
      status: 400,
      body: {
        ...{ code: 'import-malformed', line: 4, fromLine: 4, imported: [{}, {}] },
        hint: expect.stringMatching(/import the same file with fromLine=4/),
      },
    });
    const mended = `${one}\n${two}${lineOf('mended')}${three}`;
    expect(idsOf(await openai(mended, { ...kind, fromLine: 4 }))).toHaveLength(2);
    expect((await away.sessions('?class=resumed')).sessions).toHaveLength(4);
    const again = await openai(`${one}${two}${three}${bad}`, { ...kind, fromLine: 3 });
    expect(again.body).toMatchObject({ line: 4, fromLine: 4, imported: [{}] });
    expect(idsOf(await openai(mended, { ...kind, fromLine: 99 }))).toEqual([]);
    expect((await openai(mended, { fromLine: 0 })).status).toBe(400);
    // Of ours nothing comes twice anyway.
    const { id } = await begin();
    const text = await exported(here, id);
    const whole = await imported(there, `${text}{}\n`, { query: { fromLine: 1 } });
    expect(whole.body).toMatchObject({ line: 3, fromLine: 3, imported: [{ id }] });
    expect(whole.body['hint']).not.toContain('fromLine');
  });

  it('says that one document a line is expected', async () => {
    const document = JSON.parse(lineOf('one')) as object;
    for (const text of [
      JSON.stringify(document, null, 2),
      JSON.stringify([document], null, 2),
      JSON.stringify([document]),
    ])
      for (const format of ['openai', 'jsonl'])
        expect(await imported(there, text, { format })).toMatchObject({
          status: 400,
          body: {
            ...{ code: 'import-malformed', line: 1 },
            hint: expect.stringMatching(/^One JSON document a line is expected.*jq -c/),
          },
        });
  });
});

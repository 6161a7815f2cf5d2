import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { DEFAULT_CLASS } from '../../service/chat/policy.ts';
import type { Finding } from '../../service/chat/types.ts';
import { secretSample } from '../acceptance/corpus.ts';
import { createRandom } from '../acceptance/random.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
  const { body } = await call<{ general: object; classes: object }>('GET', '/api/governance/policies');
  const classes = {
    ...body.classes,
    strict: sensitive({ secrets: 'block', personal: 'block', nationalIds: 'block' }),
    careful: sensitive({ personal: 'redact', nationalIds: 'redact', roles: { tool: { personal: 'allow' } } }),
    open: sensitive({ secrets: 'allow' }),
    held: sensitive({ secrets: 'quarantine' }),
  };
  expect((await call('PUT', '/api/governance/policies', { general: body.general, classes })).status).toBe(
    200,
  );
});
afterAll(() => service.close());

const { call, begin, messages } = clientOf(() => service);
const sensitive = (change: object) => ({
  ...DEFAULT_CLASS,
  sensitive: { ...DEFAULT_CLASS.sensitive, ...change },
});

const random = createRandom(5);
const secret = (kind = 'GitHub classic token'): string => {
  const { text, start, end } = secretSample(kind, 'plain', random);
  return text.slice(start, end);
};

interface Answer {
  id: string;
  seq: number;
  findings?: Finding[];
  code?: string;
}

const send = (session: string, parts: object[], role = 'user', key?: string) =>
  call<Answer>(
    ...(['POST', `/api/sessions/${session}/messages`, { role, parts }, undefined] as const),
    key === undefined ? {} : { 'Idempotency-Key': key },
  );
const text = (one: string) => [{ type: 'text', text: one }];

/** Every byte that the service left in its folder, and in its database. */
async function everything(): Promise<string> {
  const files = readdirSync(service.dataDir, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  const bytes = files.map((one) => readFileSync(join(one.parentPath, one.name)).toString('latin1'));
  const rows = await service.context.storage.read.query((db) => db.selectFrom('chat_messages').selectAll());
  return [...bytes, JSON.stringify(rows)].join('\n');
}

describe('secrets', () => {
  it('are taken out of every class by itself, and the answer says where they were', async () => {
    const { id } = await begin();
    const token = secret();
    const sent = `the token is ${token}, use it`;
    const { status, body } = await send(id, text(sent));
    expect(status).toBe(201);
    expect(body.findings).toEqual([
      { rule: 'github-personal-token', action: 'redact', part: 0, start: 13, end: 13 + token.length },
    ]);
    const [kept] = (await messages(id)).messages;
    const stored = kept?.parts[0]?.text ?? '';
    expect(stored).toHaveLength(sent.length);
    expect(stored).toMatch(/^the token is \[github-personal-token█+\], use it$/);
    expect(await everything()).not.toContain(token);
  });

  it('are taken out of what tools are called with and answer, of names too', async () => {
    const { id } = await begin();
    const [first, second, password] = [secret(), secret('AWS access key'), 'S3cr3t!horse'];
    await send(
      id,
      [
        {
          type: 'tool-call',
          toolCallId: 'c',
          name: 'run',
          arguments: { env: { DB_PASSWORD: password }, args: [first] },
        },
        { type: 'tool-result', toolCallId: 'c', name: 'run', output: { [second]: 1, log: `used ${first}` } },
      ],
      'assistant',
    );
    const answer = JSON.stringify((await messages(id)).messages);
    for (const one of [first, second, password]) expect(answer).not.toContain(one);
    expect(answer).toContain('[github-personal-token');
    expect(answer).toContain('"log":"used [');
  });

  it('are taken out of titles, of the names of files, and of both where they are imported', async () => {
    const [token, named] = [secret(), secret()];
    const title = async (input: object) =>
      (
        await call<{ id: string; title: string }>('POST', '/api/sessions', {
          title: `for ${token}`,
          ...input,
        })
      ).body;
    expect((await title({})).title).toMatch(/^for \[github/);
    const headers = { Authorization: `Bearer ${service.owner}` };
    const upload = async (id: string) =>
      (
        await fetch(`${service.url}/api/sessions/${id}/attachments?name=${named}.log`, {
          ...{ method: 'POST', headers: { ...headers, 'Content-Type': 'text/plain' }, body: 'a log' },
        })
      ).json() as Promise<{ id: string; name: string }>;
    expect((await upload((await begin()).id)).name).toMatch(/^\[github.*\]\.log$/);

    // Where everything is let in, both are as they were sent; in another class they are not.
    const whole = await title({ class: 'open' });
    const file = await upload(whole.id);
    expect([whole.title, file.name]).toEqual([`for ${token}`, `${named}.log`]);
    await send(whole.id, [{ type: 'attachment', attachmentId: file.id, name: `${named}.log` }]);
    const lines = await (await fetch(`${service.url}/api/sessions/${whole.id}/export`, { headers })).text();
    expect(lines.split(named).length).toBeGreaterThan(2);
    const [session, attachment] = [randomUUID(), randomUUID()];
    const moved = lines
      .replace('"class":"open"', '"class":"general"')
      .replaceAll(whole.id, session)
      .replaceAll(file.id, attachment);
    const imported = await call(...(['POST', '/api/sessions/import', moved, undefined] as const), {
      'Content-Type': 'application/x-ndjson',
    });
    expect(imported.status).toBe(201);
    const again = await (await fetch(`${service.url}/api/sessions/${session}/export`, { headers })).text();
    expect(again).toContain('"class":"general"');
    expect([again.includes(token), again.includes(named)]).toEqual([false, false]);
  });

  it('are taken out where they stand over two parts, elements or messages of a batch, once for a key', async () => {
    const { id } = await begin();
    const half = (one: string): [string, string] => [one.slice(0, 20), one.slice(20)];
    const [[a, b], [c, d], [e, f], [g, h]] = [half(secret()), half(secret()), half(secret()), half(secret())];
    await send(id, [...text(`t ${a}`), ...text(`${b} is it`)]);
    await send(
      id,
      [{ type: 'tool-result', toolCallId: 'c', name: 'run', output: { lines: [c, d] } }],
      'tool',
    );
    const batch = () =>
      call<{ messages: Answer[] }>('POST', `/api/sessions/${id}/messages:batch`, {
        messages: [e, f].map((one, n) => ({ role: 'user', parts: text(one), idempotencyKey: `b${n}` })),
      });
    const first = (await batch()).body.messages;
    expect(
      first.map(({ seq, findings = [] }) => [seq, findings.map(({ start, end }) => [start, end])]),
    ).toEqual([
      [3, [[0, 20]]],
      [4, [[0, 20]]],
    ]);
    const again = (await batch()).body.messages;
    expect(again.map(({ id, findings }) => ({ id, findings }))).toEqual(
      first.map(({ id, findings }) => ({ id, findings })),
    );
    await send(id, [{ type: 'tool-call', toolCallId: g + h, name: g + h, input: {} }], 'assistant');
    const left = JSON.stringify((await messages(id)).messages) + (await everything());
    for (const one of [a, b, c, d, e, f, g, h]) expect(left).not.toContain(one);
  });

  it('are refused in the name of a subject, which nothing can be taken out of', async () => {
    const name = `me ${secret()}`;
    const refused = { status: 422, body: { code: 'sensitive-data-blocked' } };
    expect(await call('POST', '/api/sessions', { subjectId: name })).toMatchObject(refused);
    const { id } = await begin();
    const body = { role: 'user', parts: text('x'), subjectId: name };
    expect(await call('POST', `/api/sessions/${id}/messages`, body)).toMatchObject(refused);
    const upload = await fetch(
      `${service.url}/api/sessions/${id}/attachments?subjectId=${encodeURIComponent(name)}`,
      {
        method: 'POST',
        headers: { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'text/plain' },
        body: 'a log',
      },
    );
    expect(upload.status).toBe(422);
    const open = await call<{ id: string }>('POST', '/api/sessions', { class: 'open', subjectId: name });
    expect(open.status).toBe(201);
    const lines = await (
      await fetch(`${service.url}/api/sessions/${open.body.id}/export`, {
        headers: { Authorization: `Bearer ${service.owner}` },
      })
    ).text();
    const moved = lines.replace('"class":"open"', '"class":"general"').replaceAll(open.body.id, randomUUID());
    const imported = await call(...(['POST', '/api/sessions/import', moved, undefined] as const), {
      'Content-Type': 'application/x-ndjson',
    });
    expect(imported).toMatchObject(refused);
    expect((await call('POST', '/api/sessions', { subjectId: 'ada@lovelace.dev' })).status).toBe(201);
  });

  it('keep a file out as a whole, and nothing of it stays', async () => {
    const { id } = await begin();
    const token = secret();
    const content = `${'a line of a log\n'.repeat(20_000)}token ${token}\n`;
    const upload = (bytes: string) =>
      fetch(`${service.url}/api/sessions/${id}/attachments`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'application/octet-stream' },
        body: bytes,
      });
    const blobs = (): number =>
      readdirSync(join(service.dataDir, 'blobs'), { recursive: true, withFileTypes: true }).filter((one) =>
        one.isFile(),
      ).length;
    const before = blobs();
    const refused = await upload(content);
    expect([refused.status, await refused.json()]).toMatchObject([
      422,
      { code: 'sensitive-data-blocked', findings: [{ rule: 'github-personal-token', start: 320_006 }] },
    ]);
    expect(blobs()).toBe(before);
    expect((await upload(content.replace(token, 'none'))).status).toBe(201);
    expect(blobs()).toBe(before + 1);
  });

  it('are taken out of what is imported', async () => {
    const token = secret();
    const line = JSON.stringify({ messages: [{ role: 'user', content: `here: ${token}` }] });
    const { status, body } = await call<{ sessions: { id: string }[] }>(
      ...(['POST', '/api/sessions/import?format=openai', `${line}\n`, undefined] as const),
      { 'Content-Type': 'application/x-ndjson' },
    );
    expect(status).toBe(201);
    const [kept] = (await messages(body.sessions[0]?.id ?? '')).messages;
    expect(kept?.parts[0]?.text).toMatch(/^here: \[github/);
  });

  it('are known again by a key: the same body is the same message, another secret is another body', async () => {
    const { id } = await begin();
    const token = secret();
    const first = await send(id, text(`it is ${token}`), 'user', 'k1');
    const again = await send(id, text(`it is ${token}`), 'user', 'k1');
    expect([again.status, again.body]).toEqual([200, first.body]);
    const other = await send(id, text(`it is ${secret()}`), 'user', 'k1');
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
  });

  it('leave a keyed digest with the message, which knows them again, tells nothing, and is shown to nobody', async () => {
    const [token, other] = [secret(), secret()];
    const [one, two] = [await begin({ subjectId: 'keyed one' }), await begin({ subjectId: 'keyed two' })];
    for (const [{ id }, what] of [
      [one, token],
      [one, token],
      [one, other],
      [two, token],
    ] as const)
      expect(JSON.stringify((await send(id, text(`it is ${what}`))).body)).not.toContain('digest');
    const line = JSON.stringify({ messages: [{ role: 'user', content: `it is ${token}` }] });
    await call(...(['POST', '/api/sessions/import?format=openai', `${line}\n`, undefined] as const), {
      'Content-Type': 'application/x-ndjson',
    });
    expect(JSON.stringify(await messages(one.id))).not.toContain('digest');
    const rows = await service.context.storage.read.query((db) =>
      db.selectFrom('chat_messages').select('findings').orderBy('number', 'desc').limit(5),
    );
    const [imported, elsewhere, third, again, first] = rows.map(
      ({ findings }) => (JSON.parse(findings ?? '[]') as { digest?: string }[])[0]?.digest,
    );
    expect(first).toMatch(/^[\w-]{43}$/);
    expect(again).toBe(first);
    expect(new Set([first, third, elsewhere, imported]).size).toBe(4);
    expect(imported).toMatch(/^[\w-]{43}$/);
  });

  it('come and go through an export and an import without being marked twice', async () => {
    const { id } = await begin();
    await send(id, text(`it is ${secret()}`));
    const headers = { Authorization: `Bearer ${service.owner}` };
    const lines = await (await fetch(`${service.url}/api/sessions/${id}/export`, { headers })).text();
    const { status, body } = await call<{ sessions: { created: boolean }[] }>(
      ...(['POST', '/api/sessions/import', lines, undefined] as const),
      { 'Content-Type': 'application/x-ndjson' },
    );
    expect([status, body.sessions[0]?.created]).toEqual([201, false]);
  });
});

describe('the policy of a class', () => {
  it.each([
    ['strict', 'user', 422, undefined],
    ['held', 'user', 201, 'held back'],
    ['open', 'user', 201, 'whole'],
    ['general', 'user', 201, 'redacted'],
  ])('%s, for a secret of the role %s', async (kind, role, status, kept) => {
    const { id } = await begin({ class: kind });
    const token = secret();
    const answer = await send(id, text(`it is ${token}`), role);
    expect(answer.status).toBe(status);
    if (status === 422) {
      expect(answer.body).toMatchObject({ code: 'sensitive-data-blocked', findings: [{ start: 6 }] });
      expect(JSON.stringify(answer.body)).not.toContain(token);
      expect(await everything()).not.toContain(token);
      expect((await messages(id)).messages).toEqual([]);
      return;
    }
    const shown = (await messages(id)).messages[0]?.parts[0]?.text ?? '';
    expect(shown.includes(token)).toBe(kept === 'whole');
    expect(shown.startsWith('it is')).toBe(kept !== 'held back');
  });

  it('has other verdicts for personal data, and for what tools say', async () => {
    const { id } = await begin({ class: 'careful' });
    const sent =
      'Write to ada@lovelace.dev or call +44 20 7946 0958, IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111';
    const { body } = await send(id, text(sent));
    expect(body.findings?.map(({ rule }) => rule)).toEqual([
      'email-address',
      'phone-number',
      'iban',
      'payment-card',
    ]);
    const [kept] = (await messages(id)).messages;
    expect(kept?.parts[0]?.text).not.toMatch(/ada|7946|3704|4111/);
    expect((await send(id, text(sent), 'tool')).body.findings).toBeUndefined();
    const number = await send(id, [
      { type: 'tool-call', toolCallId: 'c', name: 'pay', input: { card: 4111111111111111 } },
    ]);
    expect(number.body.findings?.[0]?.rule).toBe('payment-card');
  });

  it('holds for all messages of a batch, or none of it is kept', async () => {
    const { id } = await begin({ class: 'strict' });
    const batch = [
      { role: 'user', parts: text('fine') },
      { role: 'user', parts: text(`it is ${secret()}`) },
    ];
    expect((await call('POST', `/api/sessions/${id}/messages:batch`, { messages: batch })).status).toBe(422);
    expect((await messages(id)).messages).toEqual([]);
  });
});

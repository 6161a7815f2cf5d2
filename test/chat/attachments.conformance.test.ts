import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { manualClock } from '../../service/clock.ts';
import { clientOf } from './client.ts';
import { startService, type TestService } from '../helpers/service.ts';

const clock = manualClock('2026-01-01T00:00:00.000Z');
let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine'), clock });
});
afterAll(() => service.close());

const { call, begin, messages } = clientOf(() => service);

interface Attachment {
  id: string;
  bytes: number;
  sha256: string;
  mediaType: string;
  name: string | null;
}
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function send(
  session: string,
  content: Buffer | string | ReadableStream,
  { query = '', headers = {}, as = service.owner }: { query?: string; headers?: object; as?: string } = {},
): Promise<{ status: number; headers: Headers; body: Attachment & { code?: string } }> {
  const answer = await fetch(`${service.url}/api/sessions/${session}/attachments${query}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${as}`, ...headers },
    body: content,
    ...(content instanceof ReadableStream ? { duplex: 'half' } : {}),
  });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Attachment };
}

async function get(session: string, id: string, as = service.owner) {
  const answer = await fetch(`${service.url}/api/sessions/${session}/attachments/${id}`, {
    headers: { Authorization: `Bearer ${as}` },
  });
  return { status: answer.status, headers: answer.headers, content: Buffer.from(await answer.arrayBuffer()) };
}

const naming = (...ids: string[]) => ({
  role: 'user',
  parts: ids.map((attachmentId) => ({ type: 'attachment', attachmentId })),
});
const name = (session: string, ...ids: string[]) =>
  call('POST', `/api/sessions/${session}/messages`, naming(...ids));

/** Every file of the blob store, by its path. */
function files(folder = join(service.dataDir, 'blobs')): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('an attachment', () => {
  it.each([0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_003])(
    'of %i bytes comes back as it was sent',
    async (size) => {
      const { id } = await begin();
      const content = randomBytes(size);
      const sent = await send(id, content, {
        headers: {
          'Content-Type': 'image/png',
          'Content-Disposition': `form-data; filename="../e\\"vil.png"; filename*=UTF-8''%E6%97%A5%20a.png`,
          'Content-Digest': `sha-256=:${createHash('sha256').update(content).digest('base64')}:`,
        },
      });
      expect(sent).toMatchObject({
        status: 201,
        body: { bytes: size, sha256: sha256(content), mediaType: 'image/png', name: '日 a.png' },
      });
      expect(sent.headers.get('location')).toBe(`/api/sessions/${id}/attachments/${sent.body.id}`);
      const got = await get(id, sent.body.id);
      expect([got.status, sha256(got.content)]).toEqual([200, sha256(content)]);
      expect(Object.fromEntries(got.headers)).toMatchObject({
        'content-type': 'image/png',
        'content-length': String(size),
        'content-disposition': `attachment; filename="_ a.png"; filename*=UTF-8''%E6%97%A5%20a.png`,
        'content-security-policy': "default-src 'none'; sandbox",
        'x-content-type-options': 'nosniff',
      });
    },
  );

  it('belongs to the one message that names it', async () => {
    const { id } = await begin();
    const other = await begin();
    const { body } = await send(id, 'report', { query: '?name=a%2Fb.txt' });
    expect(body).toMatchObject({ name: 'b.txt', mediaType: 'text/plain;charset=UTF-8' });
    expect(await name(other.id, body.id)).toMatchObject({ status: 409, body: { code: 'input-refused' } });
    expect(await name(id, body.id, body.id)).toMatchObject({ status: 409 });
    expect((await call('GET', `/api/sessions/${id}`)).body).toMatchObject({ lastSeq: 0 });
    expect((await name(id, body.id)).status).toBe(201);
    expect((await messages(id)).messages[0]?.parts).toEqual(naming(body.id).parts);
    expect(await name(id, body.id)).toMatchObject({
      status: 409,
      body: { problems: [{ path: 'parts.0.attachmentId' }] },
    });
    expect((await get(other.id, body.id)).status).toBe(404);
    expect((await get(id, body.id)).content.toString()).toBe('report');
  });

  it('is stored once for equal content of a subject, and goes with its last user', async () => {
    const before = files().length;
    const content = randomBytes(100_000);
    const one = await begin({ subjectId: 'same' });
    const two = await begin({ subjectId: 'same' });
    const three = await begin({ subjectId: 'another' });
    const sent = await Promise.all([one, two, three].map(({ id }) => send(id, content)));
    expect(files()).toHaveLength(before + 2);
    for (const [index, { id }] of [one, two, three].entries()) await name(id, sent[index]!.body.id);
    await call('DELETE', `/api/sessions/${one.id}`);
    expect((await get(one.id, sent[0]!.body.id)).status).toBe(410);
    expect(files()).toHaveLength(before + 2);
    expect((await get(two.id, sent[1]!.body.id)).content.equals(content)).toBe(true);
    await call('DELETE', `/api/sessions/${two.id}/messages/${two.id}.1`);
    expect((await get(two.id, sent[1]!.body.id)).status).toBe(404);
    expect(files()).toHaveLength(before + 1);
    expect((await get(three.id, sent[2]!.body.id)).content.equals(content)).toBe(true);
    await call('DELETE', `/api/sessions/${three.id}`);
    expect(files()).toHaveLength(before);
  });

  it('follows the subject of the message that names it', async () => {
    const { id } = await begin({ subjectId: 'first' });
    const { body } = await send(id, 'about the second');
    const message = { ...naming(body.id), subjectId: 'second' };
    expect((await call('POST', `/api/sessions/${id}/messages`, message)).status).toBe(201);
    expect((await get(id, body.id)).content.toString()).toBe('about the second');
    const { storage } = service.context;
    const rows = await storage.read.query((db) =>
      db
        .selectFrom('chat_attachments as a')
        .innerJoin('chat_messages as m', (join) => join.onRef('m.session', '=', 'a.session'))
        .select(['a.subject', 'm.subject as of_message'])
        .where('a.id', '=', body.id),
    );
    expect(rows).toEqual([{ subject: rows[0]?.of_message, of_message: rows[0]?.of_message }]);
  });

  it('is refused once its session is about nobody any more, and when that happens while it is sent', async () => {
    const { id } = await begin({ subjectId: 'leaving' });
    await call('POST', `/api/sessions/${id}/messages`, {
      ...{ role: 'user', subjectId: 'staying', parts: [{ type: 'text', text: 'of another one' }] },
    });
    await send((await begin()).id, 'of somebody else');
    const before = files();
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const sent = send(id, readable);
    const writer = writable.getWriter();
    await writer.write(Buffer.from('the first half'));
    await call('POST', '/api/governance/erasures', { subjectId: 'leaving', reason: 'asked' });
    await service.context.chat.governance.erasures.idle();
    await writer.write(Buffer.from('and the second'));
    await writer.close();
    for (const { status, body } of [await sent, await send(id, 'afterwards')])
      expect([status, body.code]).toEqual([410, 'subject-erased']);
    expect(files()).toEqual(before);
  });

  it('is kept only with the digest that was announced', async () => {
    const { id } = await begin();
    const before = files().length;
    const lie = sha256(Buffer.from('something else'));
    const refused = await send(id, 'content', { query: `?sha256=${lie}` });
    expect(refused).toMatchObject({ status: 422, body: { code: 'digest-mismatch', expected: lie } });
    const base64 = Buffer.from(lie, 'hex').toString('base64');
    const header = await send(id, 'content', { headers: { 'Content-Digest': `sha-256=:${base64}:` } });
    expect(header.status).toBe(422);
    const none = await send(id, 'content', { headers: { 'Content-Digest': 'md5=:AAAA:' } });
    expect(none).toMatchObject({ status: 409, body: { code: 'input-refused' } });
    expect(files()).toHaveLength(before);
    const rows = await unnamed();
    expect((await send(id, 'content', { query: `?sha256=${sha256(Buffer.from('content'))}` })).status).toBe(
      201,
    );
    expect(await unnamed()).toBe(rows + 1);
  });

  it('is refused where it is too large or its sender goes away, and leaves nothing', async () => {
    const { id } = await begin();
    const before = files().length;
    const chunk = Buffer.alloc(1024 * 1024);
    function* endless() {
      for (let n = 0; n < 101; n += 1) yield chunk;
    }
    const large = await send(id, Readable.toWeb(Readable.from(endless())) as ReadableStream);
    expect(large).toMatchObject({ status: 413, body: { code: 'body-too-large' } });
    const abort = new AbortController();
    async function* cut() {
      yield chunk;
      abort.abort();
      yield chunk;
    }
    const sending = fetch(`${service.url}/api/sessions/${id}/attachments`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${service.owner}` },
      body: Readable.toWeb(Readable.from(cut())),
      duplex: 'half',
      signal: abort.signal,
    });
    await expect(sending).rejects.toThrow();
    await expect.poll(() => files().length).toBe(before);
  });

  it('is for those who may read the session, and told in the audit log by ids alone', async () => {
    const [planner, auditor] = await Promise.all(
      (['planner', 'auditor'] as const).map((role) => service.token({ role })),
    );
    const { id } = await begin({}, planner);
    const { body } = await send(id, 'marker-content', {
      ...{ query: '?name=marker-name', as: planner, headers: { 'Content-Type': 'text/marker-type' } },
    });
    expect((await get(id, body.id, auditor)).status).toBe(403);
    expect((await send(id, 'x', { as: auditor! })).status).toBe(403);
    const { storage } = service.context;
    const rows = await storage.read.query((db) => db.selectFrom('events').selectAll());
    const leaves = await storage.read.query((db) => db.selectFrom('audit_entries').selectAll());
    const about = await storage.read.query((db) => db.selectFrom('chat_attachments').selectAll());
    expect(JSON.stringify([rows, leaves])).toContain(body.id);
    const text = JSON.stringify([rows, leaves, about.map(({ about: bytes }) => bytes?.toString('latin1'))]);
    expect(text).not.toMatch(/marker-/);
    for (const path of files()) expect(readFileSync(path).includes('marker-')).toBe(false);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('is an error with a name where its file was altered, cut or lost', async () => {
    const { id } = await begin();
    const content = randomBytes(200_000);
    const known = new Set(files());
    const { body } = await send(id, content);
    const path = files().find((one) => !known.has(one))!;
    const sealed = readFileSync(path);
    const wrong = Buffer.from(sealed);
    wrong[100]! ^= 1;
    writeFileSync(path, wrong);
    const altered = await get(id, body.id);
    expect([altered.status, JSON.parse(altered.content.toString())]).toMatchObject([
      500,
      { code: 'content-unreadable' },
    ]);
    writeFileSync(path, sealed);
    // Cut between chunks: the last one that is left does not say that it is the last.
    truncateSync(path, 4 + 2 * (65_536 + 16));
    await expect(get(id, body.id)).rejects.toThrow();
    writeFileSync(path, sealed);
    expect((await get(id, body.id)).content.equals(content)).toBe(true);
  });
});

const unnamed = async () =>
  (
    await service.context.storage.read.query((db) =>
      db.selectFrom('chat_attachments').select('id').where('message', 'is', null),
    )
  ).length;

describe('the sweep', () => {
  it('takes uploads that no message named for a day, and files without a row', async () => {
    const { sweep } = service.context.chat;
    const { id } = await begin();
    const [used, idle] = [(await send(id, randomBytes(10))).body, (await send(id, randomBytes(11))).body];
    await name(id, used.id);
    const stray = join(service.dataDir, 'blobs', 'incoming', 'stray.part');
    const orphan = files()[0]!.replace(/[0-9a-f]{62}$/, 'f'.repeat(62));
    for (const path of [stray, orphan]) writeFileSync(path, 'x');
    const hours = async (count: number): Promise<number> => {
      let uploads = 0;
      for (let hour = 0; hour < count; hour += 1) {
        clock.advance(60 * 60 * 1000);
        uploads += (await sweep.run()).uploads;
      }
      return uploads;
    };
    await sweep.run();
    await hours(22);
    const late = (await send(id, randomBytes(12))).body;
    // A clock that jumps, and a service that was stopped, make nothing old.
    const before = clock.iso();
    clock.advance(10 * 365 * 24 * 60 * 60 * 1000);
    await sweep.run();
    clock.set(before);
    await sweep.run();
    expect((await get(id, idle.id)).status).toBe(200);
    const old = new Date(Date.now() - 25 * 60 * 60 * 1000);
    for (const path of [stray, orphan]) utimesSync(path, old, old);
    expect(await hours(3)).toBeGreaterThan(0);
    expect(files().filter((path) => [stray, orphan].includes(path))).toEqual([]);
    expect((await get(id, idle.id)).status).toBe(404);
    expect((await get(id, late.id)).status).toBe(200);
    expect((await get(id, used.id)).status).toBe(200);
    expect(statSync(join(service.dataDir, 'blobs')).mode & 0o777).toBe(0o700);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { DEFAULT_CLASS } from '../../service/chat/policy.ts';
import type { SearchPage } from '../../service/chat/search/search.ts';
import { secretSample } from '../acceptance/corpus.ts';
import { createRandom } from '../acceptance/random.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

/** Titles and files of text are searched as messages are: by the same words, for the same people, as long as they are there. */

let service: TestService;
let planner: string;
let other: string;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
  [planner, other] = [await service.token({ role: 'planner' }), await service.token({ role: 'planner' })];
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);

async function ask(q: string, filters: Record<string, string> = {}, as?: string) {
  for (;;) {
    const query = new URLSearchParams({ q, ...filters }).toString();
    const { status, body } = await call<SearchPage>('GET', `/api/search?${query}`, undefined, as);
    expect(status).toBe(200);
    // On a busy machine what was just written takes its time.
    if (body.complete) return body;
  }
}

/** Where it stands, in the order of the answer. */
const found = async (q: string, filters: Record<string, string> = {}, as?: string) =>
  (await ask(q, filters, as)).results.map(
    (hit) => `${hit.in} ${hit.attachment?.name ?? hit.seq ?? hit.sessionId}`,
  );

async function attach(
  session: string,
  name: string,
  type: string,
  content: string | Buffer,
  as = service.owner,
) {
  const answer = await fetch(`${service.url}/api/sessions/${session}/attachments`, {
    method: 'POST',
    headers: {
      ...{ Authorization: `Bearer ${as}`, 'Content-Type': type },
      'Content-Disposition': `attachment; filename="${name}"`,
    },
    body: content,
  });
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { id: string }).id;
}
const send = (session: string, parts: object[], as?: string) =>
  call<{ id: string; quarantineId?: string }>(
    ...(['POST', `/api/sessions/${session}/messages`, { role: 'user', parts }, as] as const),
  );
const naming = (attachmentId: string) => ({ type: 'attachment', attachmentId });

const indexFiles = (): string =>
  readdirSync(join(service.dataDir, 'search'))
    .map((name) => readFileSync(join(service.dataDir, 'search', name)).toString('latin1'))
    .join('\n');

/** A change behind the back of the index, as where it is behind. */
const changed = (
  table: 'chat_attachments' | 'chat_sessions',
  id: string,
  set: Record<string, string | null>,
) =>
  service.context.storage.write((tx) =>
    tx.query((db) => db.updateTable(table).set(set).where('id', '=', id).returning('number')),
  );

describe('a title', () => {
  it('is found before messages, by who may read its session, and says that it is one', async () => {
    const older = await begin({ title: 'Caracal in winter' }, planner);
    await say(older.id, 'a caracal, as a message', undefined, planner);
    const newer = await begin({ title: 'Another caracal' }, planner);
    expect(await found('caracal', {}, planner)).toEqual([
      `title ${newer.id}`,
      `title ${older.id}`,
      'message 1',
    ]);
    expect(await found('caracal', { in: 'title' })).toEqual([`title ${newer.id}`, `title ${older.id}`]);
    expect(await found('caracal', { in: 'message' })).toEqual(['message 1']);
    expect(await found('caracal', { sessionId: older.id, limit: '1' })).toEqual([`title ${older.id}`]);
    expect(await found('caracal', {}, other)).toEqual([]);
    const { results, nextCursor } = await ask('"caracal in winter"', {}, planner);
    expect(nextCursor).toBeNull();
    expect(results).toMatchObject([
      {
        sessionId: older.id,
        messageId: null,
        seq: null,
        role: null,
        snippet: 'Caracal in winter',
        marks: [[0, 17]],
      },
    ]);
  });

  it('goes page by page into the messages', async () => {
    const { id } = await begin({ title: 'Bongo' });
    for (let n = 0; n < 3; n += 1) await say(id, `bongo ${n}`);
    const pages: string[][] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: SearchPage = await ask('bongo', { limit: '2', ...(cursor === '' ? {} : { cursor }) });
      pages.push(page.results.map((hit) => `${hit.in} ${hit.seq}`));
      cursor = page.nextCursor;
    }
    expect(pages).toEqual([
      ['title null', 'message 3'],
      ['message 2', 'message 1'],
    ]);
  });

  it('is found no more when it went with its session, or with its subject; nothing of it stays in the file', async () => {
    const gone = await begin({ title: 'Gonetitle1' });
    await call('DELETE', `/api/sessions/${gone.id}`);
    expect(await found('gonetitle*')).toEqual([]);
    expect(indexFiles()).not.toContain('gonetitle1');

    const shared = await begin({ title: 'Gonetitle2', subjectId: 'about a title' });
    await call('POST', `/api/sessions/${shared.id}/messages`, {
      ...{ role: 'user', parts: [{ type: 'text', text: 'of somebody else' }], subjectId: 'somebody else' },
    });
    expect(await found('gonetitle*')).toEqual([`title ${shared.id}`]);
    const made = await call<{ id: string }>('POST', '/api/governance/erasures', {
      ...{ subjectId: 'about a title', reason: 'r' },
    });
    await expect
      .poll(async () => (await call('GET', `/api/governance/erasures/${made.body.id}`)).body, {
        timeout: 10_000,
      })
      .toMatchObject({ status: 'done' });
    expect(indexFiles()).not.toContain('gonetitle2');
    expect(await found('gonetitle*')).toEqual([]);
  });

  it('is hidden by the commit alone, whatever the index says', async () => {
    const { id } = await begin({ title: 'Phantomtitle' });
    expect(await found('phantomtitle')).toHaveLength(1);
    await changed('chat_sessions', id, { title: null });
    expect(await found('phantomtitle')).toEqual([]);
  });
});

describe('a file', () => {
  it('of text or JSON is found by what is in it, and says which it is', async () => {
    const { id } = await begin({}, planner);
    const files = [
      await attach(id, 'notes.txt', 'text/plain', 'The serow climbs.', planner),
      await attach(
        id,
        'data.json',
        'application/json',
        JSON.stringify({ animal: 'first\nserow', n: 9090 }),
        planner,
      ),
      await attach(id, 'page.html', 'text/html; charset=utf-8', '<p>serow</p>', planner),
      await attach(id, 'data.bin', 'application/octet-stream', 'serow', planner),
    ];
    // Nobody sees a file that no message names.
    expect(await found('serow')).toEqual([]);
    await send(id, [{ type: 'text', text: 'see here' }, ...files.slice(0, 3).map(naming)], planner);
    await send(id, [naming(files[3]!)], planner);
    const all = ['attachment page.html', 'attachment data.json', 'attachment notes.txt'];
    expect(await found('serow')).toEqual(all);
    expect(await found('serow', { in: 'attachment' }, planner)).toEqual(all);
    expect(await found('serow', {}, other)).toEqual([]);
    expect(await found('serow', { in: 'message' })).toEqual([]);
    expect(await found('"first serow" animal 9090')).toEqual(['attachment data.json']);
    expect(await found('notes serow')).toEqual(['attachment notes.txt']);
    const { results } = await ask('climbs', {}, planner);
    expect(results).toMatchObject([
      {
        sessionId: id,
        messageId: `${id}.1`,
        seq: 1,
        role: 'user',
        attachment: { id: files[0], name: 'notes.txt' },
      },
    ]);
    const [{ snippet, marks }] = results as [SearchPage['results'][0]];
    expect(marks.map(([from, to]) => snippet.slice(from, to))).toEqual(['climbs']);
  });

  it('is searched as far as its first 256 KiB, up to a whole word', async () => {
    const { id } = await begin();
    const text = `${'filler '.repeat(37_448)}dikdik muntjac`;
    expect(text.indexOf('muntjac')).toBeLessThan(256 * 1024);
    expect(text.length).toBeGreaterThan(256 * 1024);
    const file = await attach(id, 'long.txt', 'text/plain', text);
    await send(id, [naming(file)]);
    expect(await found('dikdik', { sessionId: id })).toEqual(['attachment long.txt']);
    expect(await found('muntjac', { sessionId: id })).toEqual([]);
    expect(await found('mun*', { sessionId: id })).toEqual([]);
  });

  it('goes with its message, and by itself', async () => {
    const { id } = await begin();
    const file = await attach(id, 'gone.txt', 'text/plain', 'gonefilemarker');
    await send(id, [naming(file)]);
    expect(await found('gonefilemarker')).toHaveLength(1);
    expect(indexFiles()).toContain('gonefilemarker');
    await changed('chat_attachments', file, { binned_at: '2026-01-01T00:00:00.000Z' });
    expect(await found('gonefilemarker')).toEqual([]);
    await changed('chat_attachments', file, { binned_at: null });
    expect(await found('gonefilemarker')).toHaveLength(1);
    await call('DELETE', `/api/sessions/${id}/messages/${id}.1`);
    expect(await found('gonefilemarker')).toEqual([]);
    expect(indexFiles()).not.toContain('gonefilemarker');
  });
});

describe('what is held back', () => {
  it('is found when it is let in, and not before; a file beside it does not wait', async () => {
    const { body } = await call<{ general: object; classes: object }>('GET', '/api/governance/policies');
    const sensitive = { ...DEFAULT_CLASS.sensitive, secrets: 'quarantine' };
    const classes = { ...body.classes, held: { ...DEFAULT_CLASS, sensitive } };
    await call('PUT', '/api/governance/policies', { general: body.general, classes });
    const { text, start, end } = secretSample('GitHub classic token', 'plain', createRandom(9));
    const token = text.slice(start, end);
    const session = await begin({ class: 'held', title: `Klipspringer title ${token}` });
    const file = await attach(session.id, 'beside.txt', 'text/plain', 'klipspringer file');
    const waiting = await attach(session.id, 'waiting.txt', 'text/plain', `klipspringer waits ${token}`);
    await send(session.id, [naming(waiting)]);
    const held = await send(session.id, [
      { type: 'text', text: `klipspringer message ${token}` },
      naming(file),
    ]);
    expect(await found('klipspringer')).toEqual(['attachment beside.txt']);
    expect(await found('withheld', { sessionId: session.id })).toEqual([
      `title ${session.id}`,
      'message 2',
      expect.stringContaining('attachment [withheld'),
    ]);
    const { quarantined } = (
      await call<{ quarantined: { id: string; sessionId: string }[] }>('GET', '/api/governance/quarantine')
    ).body;
    expect(quarantined.map(({ id }) => id)).toContain(held.body.quarantineId);
    const { id } = await service.context.people.invite(SYSTEM, { name: 'Second', role: 'owner' });
    await service.cookie(id);
    const second = await service.token({ role: 'owner', personId: id });
    for (const one of quarantined)
      for (const as of [service.owner, second])
        await call('POST', `/api/governance/quarantine/${one.id}/release`, { reason: 'It is a test' }, as);
    expect(await found('klipspringer')).toEqual([
      `title ${session.id}`,
      'attachment beside.txt',
      'message 2',
      'attachment waiting.txt',
    ]);
    expect(await found('withheld', { sessionId: session.id })).toEqual([]);
  });
});

describe('the page', () => {
  it('says of each hit what it stands in, and leads there', async () => {
    const { id } = await begin({ title: 'Takin <b>' });
    const file = await attach(id, 'takin.txt', 'text/plain', 'a takin in a file');
    await send(id, [{ type: 'text', text: 'a takin in a message' }, naming(file)]);
    expect(await found('takin')).toHaveLength(3);
    const headers = { Cookie: await service.cookie() };
    const page = await (await fetch(`${service.url}/search?q=takin`, { headers })).text();
    const hits = page.split('<li>').filter((one) => one.includes('class="snippet"'));
    expect(hits).toHaveLength(3);
    expect(hits[0]).toContain(`href="/sessions/${id}"`);
    expect(hits[0]).toContain('<mark>Takin</mark> &lt;b&gt;');
    expect(hits[1]).toContain('takin.txt');
    expect(hits[1]).toContain('#m1"');
    expect(hits[2]).toContain('a <mark>takin</mark> in a message');
  });
});

describe('an index that is made anew', () => {
  it('has titles, messages and files again', async () => {
    const { id } = await begin({ title: 'Gerenuk' });
    const file = await attach(id, 'g.md', 'text/markdown', '# gerenuk');
    await send(id, [{ type: 'text', text: 'gerenuk' }, naming(file)]);
    const all = [`title ${id}`, 'attachment g.md', 'message 1'];
    expect(await found('gerenuk')).toEqual(all);
    await call('POST', '/api/search/index/rebuild');
    expect(await found('gerenuk')).toEqual(all);
  });
});

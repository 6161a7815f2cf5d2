import fc from 'fast-check';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { matches, parseQuery } from '../../service/chat/search/query.ts';
import { tokenTexts } from '../../service/chat/search/tokens.ts';
import type { SearchPage } from '../../service/chat/search/search.ts';
import { secretSample } from '../acceptance/corpus.ts';
import { createRandom } from '../acceptance/random.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

let service: TestService;
let planner: string;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
  planner = await service.token({ role: 'planner' });
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);

const search = (query: Record<string, string>, as?: string) =>
  call<SearchPage>('GET', `/api/search?${new URLSearchParams(query).toString()}`, undefined, as);

/** Ids of what is found, all pages of it. */
async function found(q: string, filters: Record<string, string> = {}, as?: string): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const next: Record<string, string> = cursor === '' ? {} : { cursor };
    const { status, body } = await search({ q, ...filters, ...next }, as);
    expect(status).toBe(200);
    // On a busy machine what was just written takes its time.
    if (!body.complete) continue;
    ids.push(...body.results.map(({ sessionId, messageId }) => messageId ?? sessionId));
    cursor = body.nextCursor;
  }
  return ids;
}

interface Said {
  id: string;
  tokens: string[];
}

/** What a plain reading of the query finds, newest first. */
function expected(all: readonly Said[], q: string): string[] {
  const query = parseQuery(q);
  return all
    .filter(({ tokens }) => matches(query, tokens))
    .map(({ id }) => id)
    .reverse();
}

const WORDS = [
  ...['alpha', 'beta', 'Gamma', 'delta', 'migration', 'migrate', 'migrant', 'Straße', 'STRASSE', 'café'],
  ...[
    '東京',
    '東京都',
    '京都',
    'カフェ',
    'ประเทศไทย',
    '서울',
    'שלום',
    '👍',
    '👍🏽',
    '👨‍👩‍👧',
    '🇩🇪',
    'FACTORY_DATA_DIR',
  ],
  ...['a\0b', 'x'.repeat(130), 'foo-bar', '½', 'ﬁle', '42', 'don’t', 'half\ud83d'],
];

/** Always the same, so that both engines are asked the same. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}

describe('a search', () => {
  const all: Said[] = [];
  const next = random(41);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;

  beforeAll(async () => {
    const sessions = [await begin(), await begin({ class: 'support' }), await begin()];
    for (let n = 0; n < 120; n += 1) {
      const text = Array.from({ length: 1 + Math.floor(next() * 8) }, () => pick(WORDS)).join(' ');
      const { id } = (await say(pick(sessions).id, text)).body;
      all.push({ id, tokens: tokenTexts(text) });
    }
    const large = `${'lorem ipsum '.repeat(170_000)} needle-in-it ${'x'.repeat(1000)}`;
    all.push({ id: (await say(sessions[0]!.id, large)).body.id, tokens: tokenTexts(large) });
    // A text of 2 MB takes its second.
    while (!(await service.context.chat.search.state()).complete);
  });

  const queries: string[] = [];
  {
    const draw = random(7);
    const one = <T>(from: readonly T[]): T => from[Math.floor(draw() * from.length)]!;
    const term = (): string => {
      const kind = Math.floor(draw() * 5);
      if (kind === 0) return `"${one(WORDS)} ${one(WORDS)}"`;
      if (kind === 1) return `${one(['migr', 'al', 'str', 'fact', 'xx', 'caf', '서울', 'מי', 'שלו'])}*`;
      if (kind === 2) return `"${one(WORDS)} ${one(['mi', 'al', 'str', 'be'])}"*`;
      return one(WORDS);
    };
    for (let n = 0; n < 230; n += 1) {
      const wanted = Array.from({ length: 1 + Math.floor(draw() * 2) }, term);
      const without = draw() < 0.3 ? [`${one(['-', 'NOT '])}${term()}`] : [];
      queries.push([...wanted, ...without].join(' '));
    }
    queries.push(
      'needle',
      '"needle in it"',
      'lorem',
      'ipsum -needle',
      '"ipsum needle"',
      'absent',
      `${'x'.repeat(1000)}`,
    );
  }

  it.each(queries.map((q, n) => [n, q]))('%i: %s', async (_n, q) => {
    // A URL carries no half of a surrogate pair.
    const asked = q.toWellFormed();
    expect(await found(asked, { limit: '7' })).toEqual(expected(all, asked));
  });

  it('agrees with a plain reading whatever is asked', async () => {
    const word = fc.constantFrom(...WORDS.map((one) => one.toWellFormed()), 'mi*', 'alp*', '"');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('', '', '-', 'NOT ', '"'), word), { minLength: 1, maxLength: 4 }),
        async (terms) => {
          const q = terms.map(([before, one]) => before + one).join(' ');
          const { status, body } = await search({ q, limit: '200' });
          let plain: string[] | null = null;
          try {
            plain = expected(all, q);
          } catch {
            expect(status).toBe(409);
            return;
          }
          expect(body.results.map(({ messageId }) => messageId)).toEqual(plain);
        },
      ),
      { numRuns: 100, seed: 11 },
    );
  });

  it('shows where its hits are', async () => {
    const session = await begin();
    await say(session.id, 'The Straße of unicorns, and another STRASSE');
    const { body } = await search({ q: 'strasse unicorn*', sessionId: session.id });
    const [hit] = body.results;
    expect(hit).toMatchObject({ sessionId: session.id, messageId: `${session.id}.1`, seq: 1, role: 'user' });
    expect(hit!.marks.map(([from, to]) => hit!.snippet.slice(from, to))).toEqual([
      ...['Straße', 'unicorns', 'STRASSE'],
    ]);
  });

  it('finds what tools were asked and answered, and names of files', async () => {
    const session = await begin();
    const parts = [
      { type: 'tool-call', toolCallId: 'c', name: 'grep', arguments: { pattern: 'wombat', max: 77123 } },
      { type: 'tool-result', toolCallId: 'c', name: 'grep', output: { lines: ['a quokka'] } },
    ];
    await call('POST', `/api/sessions/${session.id}/messages`, { role: 'tool', parts });
    for (const q of ['wombat', '77123', 'quokka', 'pattern quokka'])
      expect(await found(q, { sessionId: session.id })).toEqual([`${session.id}.1`]);
  });

  it('goes by session, person, class and time', async () => {
    const [one, other] = [await begin({ class: 'filters' }), await begin({}, planner)];
    const first = (await say(one.id, 'okapi one')).body.id;
    await new Promise((done) => setTimeout(done, 5));
    const between = new Date().toISOString();
    await new Promise((done) => setTimeout(done, 5));
    const second = (await say(other.id, 'okapi two', undefined, planner)).body.id;
    expect(await found('okapi')).toEqual([second, first]);
    expect(await found('okapi', { sessionId: one.id })).toEqual([first]);
    expect(await found('okapi', { class: 'filters' })).toEqual([first]);
    expect(await found('okapi', { from: between })).toEqual([second]);
    expect(await found('okapi', { to: between })).toEqual([first]);
    const sessions = await service.context.storage.read.query((db) =>
      db.selectFrom('chat_sessions').selectAll().where('id', '=', other.id),
    );
    expect(await found('okapi', { personId: sessions[0]!.person_id })).toEqual([second]);
    expect(await found('okapi', { personId: 'nobody' })).toEqual([]);
    expect(await found('okapi', { sessionId: '0190a000-0000-7000-8000-000000000000' })).toEqual([]);
  });

  it('refuses what asks for nothing, and a cursor of another search', async () => {
    for (const q of ['-only', '…', 'a*']) {
      const { status, body } = await search({ q });
      expect(status).toBe(409);
      expect(body).toMatchObject({ code: 'input-refused', hint: expect.stringContaining('star') as string });
    }
    const { body } = await search({ q: 'alpha', limit: '1' });
    expect(body.nextCursor).not.toBeNull();
    expect((await search({ q: 'beta', cursor: body.nextCursor! })).status).toBe(400);
    expect((await search({ q: '' })).status).toBe(400);
  });
});

describe('the page', () => {
  it('searches in messages, titles or files alone, and says that OR is no operator', async () => {
    const { id } = await begin({ title: 'A bilby in a title' });
    await say(id, 'a bilby in a message');
    const cookie = await service.cookie();
    const page = async (query: string) =>
      (await fetch(`${service.url}/search?${query}`, { headers: { Cookie: cookie } })).text();
    const hits = async (query: string) => (await page(query)).match(/class="snippet"/g)?.length ?? 0;
    await expect.poll(() => hits('q=bilby'), { timeout: 30_000 }).toBe(2);
    expect([
      await hits('q=bilby'),
      await hits('q=bilby&in=title'),
      await hits('q=bilby&in=attachment'),
    ]).toEqual([2, 1, 0]);
    expect(await page('q=bilby&in=message')).toMatch(/value="message" selected[^]*in a message|in a message/);
    expect(await page('q=bilby&in=nowhere')).toContain('Search');
    expect(await page('q=bilby+OR+wombat')).toMatch(/<code>OR<\/code> is not an operator/);
    expect(await page('q=bilby+%22a+OR+b%22')).not.toContain('is not an operator');
  });
});

describe('who searches', () => {
  it('finds what they may read, by grants too, and nothing else', async () => {
    const other = await service.token({ role: 'planner' });
    const mine = await begin({}, planner);
    await say(mine.id, 'narwhal', undefined, planner);
    expect(await found('narwhal', {}, planner)).toEqual([`${mine.id}.1`]);
    expect(await found('narwhal')).toEqual([`${mine.id}.1`]);
    expect(await found('narwhal', {}, other)).toEqual([]);
    expect(await found('narwhal', { sessionId: mine.id }, other)).toEqual([]);
    const auditor = await search({ q: 'narwhal' }, await service.token({ role: 'auditor' }));
    expect(auditor).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('not for your role') },
    });
    for (const role of ['operator', 'ci'] as const)
      expect((await search({ q: 'narwhal' }, await service.token({ role }))).status).toBe(403);
    const me = (await call<{ personId: string }>('GET', '/api/me', undefined, other)).body;
    const grant = { sessionId: mine.id, grantee: me.personId, reason: 'helps', expiresAt: in1h() };
    const made = await call<{ id: string }>('POST', '/api/governance/grants', grant);
    expect(made.status).toBe(201);
    expect(await found('narwhal', {}, other)).toEqual([`${mine.id}.1`]);
    await call('DELETE', `/api/governance/grants/${made.body.id}`);
    expect(await found('narwhal', {}, other)).toEqual([]);
  });

  const in1h = (): string => new Date(Date.now() + 3_600_000).toISOString();

  it('with a token of an agent finds what it wrote itself', async () => {
    const agent = await service.token({ role: 'agent' });
    const own = await begin({}, agent);
    await say(own.id, 'pangolin', 'k1', agent);
    await say((await begin({}, planner)).id, 'pangolin', undefined, planner);
    expect(await found('pangolin', {}, agent)).toEqual([`${own.id}.1`]);
  });

  it('leaves an entry of the log for each session that was shown, without the words', async () => {
    const reader = await service.token({ role: 'planner' });
    const own = await begin({}, reader);
    await say(own.id, 'secretive axolotl', undefined, reader);
    await found('axolotl', {}, reader);
    const { entries } = (
      await call<{ entries: object[] }>('GET', `/api/audit/entries?object=${own.id}&action=session.read`)
    ).body;
    expect(entries).toHaveLength(1);
    expect(JSON.stringify(entries)).not.toContain('axolotl');
  });
});

describe('what goes', () => {
  const indexFiles = (): string =>
    readdirSync(join(service.dataDir, 'search'))
      .map((name) => readFileSync(join(service.dataDir, 'search', name)).toString('latin1'))
      .join('\n');

  it('is found no more once that was answered, and is nowhere in the file', async () => {
    const session = await begin();
    for (const text of ['gonemarker1 stays', 'gonemarker2 goes']) await say(session.id, text);
    expect(await found('gonemarker*')).toHaveLength(2);
    expect(indexFiles()).toContain('gonemarker2');
    await call('DELETE', `/api/sessions/${session.id}/messages/${session.id}.2`);
    expect(await found('gonemarker*')).toEqual([`${session.id}.1`]);
    expect(indexFiles()).not.toContain('gonemarker2');
    expect(indexFiles()).toContain('gonemarker1');
    await call('DELETE', `/api/sessions/${session.id}`);
    expect(await found('gonemarker*')).toEqual([]);
    expect(indexFiles()).not.toContain('gonemarker');
  });

  it('is hidden by the commit alone, whatever the index says', async () => {
    const session = await begin();
    await say(session.id, 'phantom');
    expect(await found('phantom')).toHaveLength(1);
    // As where the index is behind.
    await service.context.storage.write((tx) =>
      tx.query((db) =>
        db
          .updateTable('chat_messages')
          .set({ binned_at: '2026-01-01T00:00:00.000Z' })
          .where(
            'session',
            'in',
            db.selectFrom('chat_sessions').select('number').where('id', '=', session.id),
          )
          .returning('seq'),
      ),
    );
    expect(await found('phantom')).toEqual([]);
  });

  it('was masked: what detection took out never comes in', async () => {
    const session = await begin();
    const { text, start, end } = secretSample('GitHub classic token', 'plain', createRandom(5));
    const key = text.slice(start, end);
    await say(session.id, `the key is ${key}, said the walrus`);
    expect(await found('walrus')).toHaveLength(1);
    expect(await found(key)).toEqual([]);
    expect(indexFiles().toLowerCase()).not.toContain(key.toLowerCase());
  });
});

describe('the index', () => {
  it('is made anew on request', async () => {
    const session = await begin();
    await say(session.id, 'capybara');
    const asked = await call<{ messages: number }>('POST', '/api/search/index/rebuild');
    expect(asked.status).toBe(202);
    expect(await found('capybara')).toEqual([`${session.id}.1`]);
    const state = await call('GET', '/api/search/index');
    expect(state.body).toEqual({
      ...{ complete: true, indexed: asked.body.messages, messages: asked.body.messages },
    });
    expect((await call('POST', '/api/search/index/rebuild', undefined, planner)).status).toBe(403);
  });

  it('takes in what another process wrote, and one that is damaged is made anew', async () => {
    const session = await begin();
    await say(session.id, 'tapir');
    expect(await found('tapir')).toHaveLength(1);
    const path = join(service.dataDir, 'search', 'index.db');
    await service.context.chat.search.state();
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0xaa, 4096));
    await call('POST', '/api/search/index/rebuild');
    expect(await found('tapir')).toHaveLength(1);
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { permissionsOf } from '../service/access/roles.ts';
import type { Caller } from '../service/chat/dependencies.ts';
import { parseConfig } from '../service/config.ts';
import { createContext, type Context } from '../service/context.ts';
import { createLogger } from '../service/logger.ts';
import { findPostgres, POSTGRES_HINT, startPostgres } from '../test/helpers/postgres-server.ts';
import { quantile } from './figures.ts';
import type { Figure, Options } from './figures.ts';

/**
 * Searching many messages, newest first: what the service does for one answer, with its access filter, the rows, their
 * content opened, the snippets and the entry of the log, but without HTTP.
 */

const OF_ONE_SESSION = 1000;
const WORDS_OF_ONE = 40;
const TIMES = 100;
const GOAL_MS = 25;
/** Few words are in most messages, and most words in few. */
const VOCABULARY = 40_000;

const owner: Caller = personOf('owner-1', 'owner');
const member: Caller = personOf('member-1', 'planner');

function personOf(id: string, role: string): Caller {
  return { kind: 'person', id, personId: id, roles: [role], permissions: permissionsOf([role]) };
}

export async function search(options: Options): Promise<Figure[]> {
  if (options.engine === 'sqlite') return searchIn(options, {});
  const bin = findPostgres();
  if (bin === null) throw new Error(`Postgres is not on this machine. ${POSTGRES_HINT}`);
  const server = await startPostgres(bin);
  try {
    return await searchIn(options, { FACTORY_DATABASE_URL: server.url });
  } finally {
    await server.stop();
  }
}

async function searchIn(
  { messages, engine, say }: Options,
  database: Record<string, string>,
): Promise<Figure[]> {
  const bench = engine === 'sqlite' ? 'search' : `search (${engine})`;
  const dir = mkdtempSync(join(tmpdir(), 'factory-bench-'));
  const own = { FACTORY_DATA_DIR: join(dir, 'data'), FACTORY_JOBS: 'off', FACTORY_WORK_ITEMS_DIR: dir };
  const env = { ...own, ...database };
  const parsed = parseConfig(env, { cwd: dir });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  const context = await createContext(parsed.config, { logger: createLogger('silent'), forge: null });
  try {
    await context.start();
    const size = messages.toLocaleString('en');
    say(`writing ${size} messages`);
    await fill(context, messages);
    say('waiting for the index');
    await complete(context);
    const figures = await asked(context, bench, say);
    say('making the index anew');
    const started = performance.now();
    await context.chat.search.rebuild(owner);
    await complete(context);
    const seconds = (performance.now() - started) / 1000;
    return [...figures, { bench, what: `index of ${size} messages made anew`, value: seconds, unit: 's' }];
  } finally {
    await context.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function complete({ chat }: Context): Promise<void> {
  while (!(await chat.search.state()).complete);
}

/** Every second message has `common`, one in 60,000 `seldom`; one session in a hundred is the member's. */
async function fill({ chat }: Context, count: number): Promise<void> {
  const random = randomFrom(7);
  const word = (): string => `w${Math.floor(random() ** 3 * VOCABULARY).toString(36)}`;
  for (let n = 0; n < count;) {
    const author = Math.floor(n / OF_ONE_SESSION) % 100 === 7 ? member : owner;
    const { id } = await chat.sessions.create(author, {});
    const inputs = [];
    for (let one = 0; one < OF_ONE_SESSION && n < count; one += 1, n += 1) {
      const words = Array.from({ length: WORDS_OF_ONE }, word);
      if (n % 2 === 0) words.push('common');
      if (n % 60_000 === 5) words.push('seldom');
      const text = words.join(' ');
      inputs.push({
        message: { role: 'user' as const, parts: [{ type: 'text' as const, text }] },
        key: undefined,
      });
    }
    await chat.append.batch(author, id, inputs);
  }
}

async function asked({ chat }: Context, bench: string, say: Options['say']): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [what, q, who] of [
    ['a common word', 'common', owner],
    ['a rare word', 'seldom', owner],
    ['an absent word', 'nowhere', owner],
    ['a phrase of common words', '"w0 w1"', owner],
    ['a beginning of two letters', 'w1*', owner],
    ['a common word without another', 'common -w0', owner],
    ['a common word, by who may read one session in a hundred', 'common', member],
  ] as const) {
    say(`${what}, ${TIMES} times`);
    const took: number[] = [];
    for (let n = 0; n < TIMES; n += 1) {
      const started = performance.now();
      await chat.search.find(who, { q });
      took.push(performance.now() - started);
    }
    figures.push({
      ...{ bench, what: `${what}: p95`, value: quantile(took, 0.95), unit: 'ms' },
      goal: { most: GOAL_MS },
    });
  }
  return figures;
}

function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

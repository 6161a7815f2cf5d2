import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { permissionsOf, type Role } from '../../../service/access/roles.ts';
import { SYSTEM } from '../../../service/audit/events.ts';
import { manualClock } from '../../../service/clock.ts';
import { loadConfig } from '../../../service/config-load.ts';
import { createContext } from '../../../service/context.ts';
import { createLogger } from '../../../service/logger.ts';
import type { Principal } from '../../../service/work-items/types.ts';
import { factory, newPlace } from '../../process/service.ts';
import type { Place } from '../../process/service.ts';
import { queueOf } from '../lab.ts';
import { LANES } from '../lanes.ts';
import type { Random } from '../random.ts';
import { everyStep, putPolicies, takeStep } from './steps.ts';
import type { Using } from './steps.ts';
import { vocabulary } from './words.ts';

/**
 * An installation as it is after people and agents have used it for two months: made by the product's own functions, drawn at
 * random, with rows in every table that there is.
 */

const DAY_MS = 86_400_000;
const LASTED_MS = 60 * DAY_MS;
const ITEMS = 12;
/** Until a step that may be refused was taken once. */
const TRIES = 100;
/** Messages that are written at once, mostly. */
const MOST_BATCH = 60;

export interface Member {
  role: Role;
  id: string;
  token: string;
  /** `Cookie` header of a browser that is signed in. */
  cookie: string;
}

export interface Used {
  place: Place;
  members: Member[];
  /** Names of subjects that are left. */
  subjects: string[];
  words: readonly string[];
  /** Rows of each table. */
  counts: Record<string, number>;
  /** How often each step was taken, and how often one was refused. */
  figures: Record<string, number>;
  /** Express paths of all pages. */
  pages: string[];
}

export interface Wanted {
  random: Random;
  messages: number;
  /** Where its folder is made. */
  below?: string | undefined;
  say?: (written: number) => void;
}

/** Throws where a table stayed empty: the next one that is added has to be used here, too. */
export async function useAtRandom({ random, messages, below, say = () => undefined }: Wanted): Promise<Used> {
  const { files } = queueOf(ITEMS, LANES);
  // Nothing that is on the way of an answer hangs on the port or on the machine.
  const place = newPlace({ files, below, env: { FACTORY_BASE_URL: 'http://factory.example' } });
  const using = await open(place, random, messages);
  const members = await admit(using);
  await putPolicies(using);
  for (const step of everyStep)
    for (let tries = 0; using.figures[step] === undefined; tries += 1) {
      if (tries === TRIES) throw new Error(`Nobody could ${step}: ${JSON.stringify(using.figures)}`);
      await takeStep(using, step);
    }
  while (using.written < messages) {
    await takeStep(using);
    using.clock.advance((random.next() * 2 * LASTED_MS * using.lastWritten) / Math.max(messages, 1));
    if (using.clock.now() > Date.now()) using.clock.set(new Date().toISOString());
    say(using.written);
  }
  using.clock.set(new Date().toISOString());
  // Files that no message named go at the next start otherwise, at some moment of it.
  await using.context.chat.sweep.run();
  // What they signed in with at first is over by now.
  for (const member of members)
    if (member.cookie !== '') member.cookie = await signIn(using.context, member.id);
  await owe(using, place);
  const pages = pagesOf(using.context.web.pages);
  await using.close();
  // The next start writes what is owed.
  rmSync(join(place.queue, 'cancelled'));
  renameSync(join(place.dir, 'put-away'), join(place.queue, 'cancelled'));
  for (const job of ['backup', 'drill']) {
    const { code, stderr } = await factory(place, 'jobs', 'run', job);
    if (code !== 0) throw new Error(`The ${job} ended with ${code}: ${stderr}`);
  }
  const counts = countsOf(join(place.data, 'factory.db'));
  const empty = Object.keys(counts).filter((name) => counts[name] === 0);
  if (empty.length > 0) throw new Error(`Nobody used ${empty.join(', ')}.`);
  const { figures, subjects } = using;
  return { place, members, subjects, words: vocabulary, counts, figures, pages };
}

/** Nothing of it is needed any more. */
export function discard({ place }: Used): void {
  rmSync(place.dir, { recursive: true, force: true });
}

async function open(place: Place, random: Random, messages: number): Promise<Using> {
  const loaded = loadConfig(place.dir, { ...place.env, FACTORY_LOG_LEVEL: 'silent' });
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems));
  const clock = manualClock(new Date(Date.now() - LASTED_MS).toISOString());
  const context = await createContext(loaded.config, { clock, logger: createLogger('silent'), forge: null });
  const owner = await context.people.ensureOwner();
  await context.start();
  return {
    ...{ random, clock, context, people: { owner: principalOf('owner', owner) } as Using['people'] },
    ...{ items: queueOf(ITEMS, LANES).ids, sessions: [], subjects: [], holds: [], plans: [], files: [] },
    ...{ written: 0, lastWritten: 0, figures: {} },
    batch: Math.max(4, Math.min(MOST_BATCH, messages / 40)),
    overAll: Math.min(1, 2000 / messages),
    async close() {
      await context.items.settle();
      await context.close();
    },
  };
}

function principalOf(role: Role, id: string): Principal {
  return {
    ...{ kind: 'person', id, name: `The ${role}`, personId: id, roles: [role] },
    permissions: permissionsOf([role]),
  };
}

/** Somebody of each role, with a token and a browser that is signed in. */
async function admit({ context, people }: Using): Promise<Member[]> {
  const members: Member[] = [];
  for (const role of ['owner', 'planner', 'reviewer', 'auditor', 'operator'] as const) {
    const id =
      role === 'owner'
        ? people.owner.id
        : (await context.people.invite(SYSTEM, { name: `Ada ${role} 中文`, role })).id;
    people[role] = principalOf(role, id);
    const token = await tokenOf(context, role, id);
    members.push({ role, id, token, cookie: await signIn(context, id) });
    await context.tokens.authenticate(token);
  }
  // Another owner, for what takes two.
  const second = await context.people.invite(SYSTEM, { name: 'Grace', role: 'owner' });
  people.second = principalOf('owner', second.id);
  const link = new URL(second.url).searchParams.get('link') ?? '';
  await context.sessions.signInWithLink(link);
  members.push({
    role: 'agent',
    id: '',
    token: await tokenOf(context, 'agent', people.planner.id),
    cookie: '',
  });
  return members;
}

async function signIn(context: Using['context'], id: string): Promise<string> {
  const link = new URL((await context.people.loginLink(id)).url).searchParams.get('link') ?? '';
  const signedIn = await context.sessions.signInWithLink(link);
  if (!('secret' in signedIn)) throw new Error(`Signing in was refused: ${signedIn.refused}`);
  return `factory=${signedIn.secret}`;
}

async function tokenOf(context: Using['context'], role: Role, personId: string): Promise<string> {
  const input = { name: `${role} token`, roles: [role], personId, expires: role === 'agent' ? '300d' : null };
  return (await context.tokens.create(SYSTEM, input)).token;
}

/** A record that cannot be written: a file lies where its collection has to be. */
async function owe({ context, people, items }: Using, { queue, dir }: Place): Promise<void> {
  const id = items[0] ?? '';
  renameSync(join(queue, 'cancelled'), join(dir, 'put-away'));
  writeFileSync(join(queue, 'cancelled'), '');
  const moved = items.map((one) =>
    context.items.act(people.owner, one, 'cancel', { input: { note: 'not needed' } }).catch(() => null),
  );
  if ((await Promise.all(moved)).every((one) => one === null))
    throw new Error(`${id} could not be cancelled`);
}

interface Layer {
  route?: { path: string | string[]; methods: Record<string, boolean> };
  handle: { stack?: Layer[] };
}

/** As the router has them, so that none can be forgotten. */
function pagesOf(router: unknown): string[] {
  const { stack } = router as { stack: Layer[] };
  return stack.flatMap(({ route, handle }) => {
    if (route) return route.methods['get'] ? [route.path].flat() : [];
    return handle.stack ? pagesOf(handle) : [];
  });
}

function countsOf(path: string): Record<string, number> {
  const handle = new Database(path, { readonly: true });
  try {
    const names = handle
      .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by 1")
      .pluck()
      .all() as string[];
    return Object.fromEntries(
      names.map((name) => [name, Number(handle.prepare(`select count(*) from "${name}"`).pluck().get())]),
    );
  } finally {
    handle.close();
  }
}

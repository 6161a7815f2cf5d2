import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { permissionsOf } from '../../service/access/roles.ts';
import type { Caller } from '../../service/chat/dependencies.ts';
import { DEFAULT_CLASS } from '../../service/chat/policy.ts';
import { manualClock } from '../../service/clock.ts';
import { parseConfig, type Config } from '../../service/config.ts';
import { createContext, type Context } from '../../service/context.ts';
import { FactoryError } from '../../service/errors.ts';
import { createLogger } from '../../service/logger.ts';
import type { Transaction } from '../../service/storage/transaction.ts';
import type { Outcome, Run } from './lab.ts';
import type { Random } from './random.ts';

/**
 * Random steps of everything that takes content away or keeps it: deletion, holds, retention, erasure, a stop in the middle,
 * the database put back from a copy of before. What is held is never lost, and what went never returns.
 */

const SUBJECTS = 6;
const CLASSES = ['general', 'short', 'brief'];
const COPIES = 4;
/** Sessions that steps are about: older ones are mostly gone. */
const RECENT = 8;

/** Content by its place and time: after a restore the same place can be that of another message. */
interface Message {
  key: string;
  session: string;
  seq: number;
  /** By its name; null: not known any more. */
  subject: string | null;
  class: string;
  createdAt: string;
  binned: boolean;
}

interface Hold {
  id: string;
  subject?: string;
  session?: string;
  class?: string;
  from?: string;
  to?: string;
}

interface Copy {
  /** File, or name of a database. */
  at: string;
  live: Message[];
  /** Whether another timeline went on from it. */
  abandoned: boolean;
}

const owner: Caller = {
  ...{ kind: 'person', id: 'owner', personId: 'owner', roles: ['owner'] },
  permissions: permissionsOf(['owner']),
};

class Walk {
  readonly run: Run;
  readonly random: Random;
  readonly clock = manualClock('2026-01-01T00:00:00.000Z');
  readonly dir: string;
  readonly failures: string[] = [];
  readonly figures: Record<string, number> = {};
  context!: Context;
  isOpen = false;
  /** What a step finds is judged when the service is there again. */
  interrupted = false;
  config!: Config;
  names = Array.from({ length: SUBJECTS }, (_, n) => `subject ${n}`);
  /** Subject number of the database -> its name; numbers can be given again after a restore, so by id. */
  readonly nameById = new Map<string, string>();
  readonly erased = new Set<string>();
  readonly gone = new Set<string>();
  readonly closed = new Set<string>();
  holds: Hold[] = [];
  copies: Copy[] = [];
  sessions: string[] = [];
  plans: string[] = [];
  step = '';

  constructor(run: Run) {
    this.run = run;
    this.random = run.random;
    this.dir = mkdtempSync(join(run.below ?? tmpdir(), 'factory-governance-'));
  }

  fail(text: string): void {
    this.failures.push(`${this.step}: ${text}`);
  }

  async open(): Promise<void> {
    this.context = await createContext(this.config, { clock: this.clock, logger: createLogger('silent') });
    this.isOpen = true;
    await this.context.chat.start();
    await this.settled();
    const rows = await this.context.storage.read.query((db) =>
      db
        .selectFrom('chat_sessions')
        .select('id')
        .where('deleted_at', 'is', null)
        .where('binned_at', 'is', null)
        .orderBy('number', 'desc')
        .limit(RECENT),
    );
    this.sessions = rows.map(({ id }) => id).reverse();
  }

  async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    const { chat, feed, items, audit, storage } = this.context;
    await Promise.all([feed.close(), items.stop(), chat.stop()]);
    await audit.stop();
    await storage.close();
    chat.close();
  }

  async settled(): Promise<void> {
    await this.context.chat.governance.erasures.idle();
  }

  /** What is there, the bin too, past everything that hides it. */
  async live(): Promise<Message[]> {
    const rows = await this.context.storage.read.query((db) =>
      db
        .selectFrom('chat_messages as m')
        .innerJoin('chat_sessions as s', 's.number', 'm.session')
        .leftJoin('chat_subjects as j', 'j.number', 'm.subject')
        .select(['s.id as session', 's.class', 's.binned_at as session_binned', 'm.seq', 'm.created_at'])
        .select(['m.binned_at', 'm.body', 'j.id as subject'])
        .where('m.deleted_at', 'is', null)
        .where('s.deleted_at', 'is', null),
    );
    return rows.map((row) => {
      if (row.body === null) this.fail(`${row.session}.${row.seq} is there without its content`);
      return {
        ...{ key: `${row.session}.${row.seq}@${row.created_at}`, session: row.session, seq: row.seq },
        ...{
          subject: this.nameById.get(row.subject ?? '') ?? null,
          class: row.class,
          createdAt: row.created_at,
        },
        binned: row.binned_at !== null || row.session_binned !== null,
      };
    });
  }

  count(name: string): void {
    this.figures[name] = (this.figures[name] ?? 0) + 1;
  }
}

/** As a person would say what a hold covers; written apart from the product's own rule. */
function covers(hold: Hold, message: Message): boolean {
  if (hold.subject !== undefined && hold.subject !== message.subject) return false;
  if (hold.session !== undefined && hold.session !== message.session) return false;
  if (hold.class !== undefined && hold.class !== message.class) return false;
  if (hold.from !== undefined && message.createdAt < hold.from) return false;
  return hold.to === undefined || message.createdAt <= hold.to;
}

const STEPS: [name: string, weight: number, step: (walk: Walk) => Promise<void>][] = [
  ['append', 30, append],
  ['begin', 8, begin],
  ['delete-message', 8, deleteMessage],
  ['delete-session', 4, deleteSession],
  ['hold', 6, placeHold],
  ['release', 9, releaseHold],
  ['erase', 3, erase],
  ['retain', 8, retain],
  ['undo', 1, undo],
  ['days', 8, async ({ clock, random }) => clock.advance((1 + random.below(3)) * 86_400_000)],
  ['stop', 2, stopInTheMiddle],
  ['copy', 3, copy],
  ['restore', 2, restore],
];

/** What may be refused: by a hold, for what is gone, for what is not there after a restore. */
const REFUSALS = new Set(['on-hold', 'gone', 'not-found', 'subject-erased', 'plan-outdated']);

async function attempt(walk: Walk, work: () => Promise<unknown>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (error instanceof FactoryError && REFUSALS.has(error.code)) return error.code;
    throw error;
  }
}

async function begin(walk: Walk): Promise<void> {
  const subjectId = walk.random.pick(walk.names);
  const input = { subjectId, class: walk.random.pick(CLASSES), title: `About ${subjectId}` };
  const refused = await attempt(walk, async () => {
    const made = await walk.context.chat.sessions.create(owner, input);
    walk.sessions = [...walk.sessions, made.id].slice(-RECENT);
  });
  // An erasure that a stop interrupted was in the journal already.
  if (refused === 'subject-erased') forgetName(walk, subjectId);
  else await learn(walk, subjectId);
}

async function append(walk: Walk): Promise<void> {
  if (walk.sessions.length === 0) return begin(walk);
  const session = walk.random.pick(walk.sessions);
  const subjectId = walk.random.chance(0.4) ? walk.random.pick(walk.names) : undefined;
  const parts = [{ type: 'text' as const, text: `words ${walk.random.below(1e9)}` }];
  await attempt(walk, () =>
    walk.context.chat.append.message(owner, session, { role: 'user', parts, subjectId }, randomUUID()),
  );
  if (subjectId !== undefined) await learn(walk, subjectId);
}

/** Which id a name has: a restored database may give another one. */
async function learn(walk: Walk, name: string): Promise<void> {
  const rows = await walk.context.storage.read.query((db) =>
    db.selectFrom('chat_subjects').select('id').orderBy('number', 'desc').limit(1),
  );
  const id = rows[0]?.id;
  if (id !== undefined && !walk.nameById.has(id)) walk.nameById.set(id, name);
}

async function deleteMessage(walk: Walk): Promise<void> {
  const live = await walk.live();
  if (live.length === 0) return;
  const { session, seq, ...one } = walk.random.pick(live);
  const held = walk.holds.some((hold) => covers(hold, { session, seq, ...one }));
  const refused = await attempt(walk, () =>
    walk.context.chat.deleteMessage(owner, session, `${session}.${seq}`),
  );
  if (held && refused === null) walk.fail(`${session}.${seq} was deleted under a hold`);
}

async function deleteSession(walk: Walk): Promise<void> {
  if (walk.sessions.length === 0) return;
  const session = walk.random.pick(walk.sessions);
  const refused = await attempt(walk, () => walk.context.chat.deleteSession(owner, session));
  if (refused === null) walk.closed.add(session);
}

async function placeHold(walk: Walk): Promise<void> {
  const { random, clock } = walk;
  const hold: Omit<Hold, 'id'> = {};
  if (random.chance(0.5)) hold.subject = random.pick(walk.names);
  if (random.chance(0.4) && walk.sessions.length > 0) hold.session = random.pick(walk.sessions);
  if (random.chance(0.3)) hold.class = random.pick(CLASSES);
  if (random.chance(0.2)) hold.from = new Date(clock.now() - random.below(20) * 86_400_000).toISOString();
  if (random.chance(0.2)) hold.to = new Date(clock.now() - random.below(5) * 86_400_000).toISOString();
  if (hold.from !== undefined && hold.to !== undefined && hold.from > hold.to) delete hold.to;
  // One that covers all would leave nothing to do.
  if (hold.subject === undefined && hold.session === undefined) hold.subject = random.pick(walk.names);
  const { subject, session, ...rest } = hold;
  await attempt(walk, async () => {
    const input = { reason: 'case', subjectId: subject, sessionId: session, ...rest };
    const { id } = await walk.context.chat.governance.holds.place(owner, input);
    walk.holds.push({ id, ...hold });
  });
  if (subject !== undefined) await learn(walk, subject);
}

async function releaseHold(walk: Walk): Promise<void> {
  if (walk.holds.length === 0) return;
  const { id } = walk.random.pick(walk.holds);
  await walk.context.chat.governance.holds.release(owner, id);
  walk.holds = walk.holds.filter((hold) => hold.id !== id);
  await walk.context.chat.governance.erasures.resume();
  await walk.settled();
}

async function erase(walk: Walk): Promise<void> {
  const subjectId = walk.random.pick(walk.names);
  const { erasures } = walk.context.chat.governance;
  let id = '';
  if (
    (await attempt(
      walk,
      async () => (id = (await erasures.request(owner, { subjectId, reason: 'asked' })).id),
    )) !== null
  )
    return;
  forgetName(walk, subjectId);
  await walk.settled();
  walk.count(`erasure ${(await erasures.show(id)).status}`);
}

async function retain(walk: Walk): Promise<void> {
  const { retention } = walk.context.chat.governance;
  const plan = await retention.plan(owner);
  // A run that a stop interrupted can go on meanwhile.
  const refused = await attempt(walk, () => retention.apply(owner, plan.id, plan.digest));
  if (refused !== null) return walk.count(refused);
  const done = await retention.show(plan.id);
  if (!walk.interrupted && (done.state !== 'applied' || done.record === null))
    walk.fail(`plan ${plan.id} is ${done.state}`);
  if (done.purge.message + done.purge.session > 0) walk.count('purges');
  walk.plans.push(plan.id);
}

async function undo(walk: Walk): Promise<void> {
  const plan = walk.plans.at(-1);
  if (plan !== undefined) await attempt(walk, () => walk.context.chat.governance.retention.undo(owner, plan));
}

/** The next step fails at some statement, and the service with it: what a start finds is whole. */
async function stopInTheMiddle(walk: Walk): Promise<void> {
  const { storage } = walk.context;
  const write = storage.write.bind(storage);
  const at = walk.random.below(12);
  let statements = 0;
  storage.write = (unit) =>
    write((tx) => {
      const counted: Transaction = {
        ...tx,
        run: (statement, params) => {
          statements += 1;
          if (statements > at) throw new Error('interrupted');
          return tx.run(statement, params);
        },
      };
      return unit(counted);
    });
  const step = walk.random.pick([deleteMessage, deleteSession, erase, retain, releaseHold, placeHold]);
  walk.interrupted = true;
  await step(walk).catch((error: unknown) => {
    if (!(error instanceof Error) || !/interrupted|journal|has no/.test(error.message)) throw error;
  });
  storage.write = write;
  walk.interrupted = false;
  await reopen(walk);
  await readHolds(walk);
  await readErased(walk);
}

async function readErased(walk: Walk): Promise<void> {
  const rows = await walk.context.storage.read.query((db) =>
    db.selectFrom('chat_subjects').select(['id', 'state']),
  );
  for (const { id, state } of rows) {
    const name = walk.nameById.get(id);
    if (state !== 'active' && name !== undefined) forgetName(walk, name);
  }
}

/** Nothing can be written about it any more: another one takes its part. */
function forgetName(walk: Walk, name: string): void {
  walk.erased.add(name);
  if (walk.names.includes(name))
    walk.names = [
      ...walk.names.filter((one) => one !== name),
      `subject ${walk.clock.now()} ${walk.erased.size}`,
    ];
}

/** What was asked for when it was interrupted may stand in the journal, and then it was carried out. */
async function readHolds(walk: Walk): Promise<void> {
  const inForce = await walk.context.chat.governance.holds.list(owner, { limit: 10_000 });
  const known = new Map(walk.holds.map((hold) => [hold.id, hold]));
  walk.holds = inForce.holds.map((view) => {
    const own = known.get(view.id);
    if (own) return own;
    const hold: Hold = { id: view.id };
    if (view.subject !== null) hold.subject = walk.nameById.get(view.subject) ?? view.subject;
    if (view.sessionId !== null) hold.session = view.sessionId;
    if (view.class !== null) hold.class = view.class;
    if (view.from !== null) hold.from = view.from;
    if (view.to !== null) hold.to = view.to;
    return hold;
  });
}

async function reopen(walk: Walk): Promise<void> {
  await walk.close();
  await walk.open();
}

async function copy(walk: Walk): Promise<void> {
  const live = await walk.live();
  await walk.close();
  const at = await duplicate(walk, walk.config.databaseUrl);
  walk.copies.push({ at, live, abandoned: false });
  if (walk.copies.length > COPIES) await discard(walk, walk.copies.shift()!);
  await walk.open();
}

async function restore(walk: Walk): Promise<void> {
  if (walk.copies.length === 0) return;
  const chosen = walk.random.pick(walk.copies);
  await walk.close();
  await putBack(walk, chosen.at);
  const held = walk.holds.map(({ id }) => id).sort();
  await walk.open();
  const after = await walk.live();
  const keys = new Set(after.map(({ key }) => key));
  for (const key of keys) if (walk.gone.has(key)) walk.fail(`${key} was gone and is there again`);
  const inForce = (await walk.context.chat.governance.holds.list(owner, { limit: 10_000 })).holds;
  if (JSON.stringify(inForce.map(({ id }) => id).sort()) !== JSON.stringify(held))
    walk.fail('other holds are in force');
  if (!chosen.abandoned)
    for (const message of chosen.live)
      if (!keys.has(message.key) && !walk.gone.has(message.key))
        walk.fail(`${message.key} is lost, and was not deleted`);
  // What came after it belongs to another timeline now.
  for (const later of walk.copies.slice(walk.copies.indexOf(chosen) + 1)) later.abandoned = true;
}

async function onServer(walk: Walk, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: walk.run.postgresUrl });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

const fileOf = (url: string): string => url.slice('sqlite:'.length);
const nameOf = (url: string): string => new URL(url).pathname.slice(1);

async function duplicate(walk: Walk, url: string): Promise<string> {
  if (walk.run.engine === 'sqlite') {
    const path = join(walk.dir, `copy-${randomUUID()}.db`);
    copyFileSync(fileOf(url), path);
    return path;
  }
  const name = `copy_${randomUUID().replaceAll('-', '')}`;
  await onServer(walk, `create database ${name} template ${nameOf(url)}`);
  return name;
}

async function putBack(walk: Walk, at: string): Promise<void> {
  const url = walk.config.databaseUrl;
  // A restore in place tells the log what was given up; here the checkpoints of the other timeline just go.
  rmSync(join(walk.config.dataDir, 'checkpoints'), { recursive: true, force: true });
  if (walk.run.engine === 'sqlite') {
    for (const end of ['-wal', '-shm']) rmSync(`${fileOf(url)}${end}`, { force: true });
    return copyFileSync(at, fileOf(url));
  }
  await onServer(walk, `drop database ${nameOf(url)}`, `create database ${nameOf(url)} template ${at}`);
}

async function discard(walk: Walk, { at }: Copy): Promise<void> {
  if (walk.run.engine === 'sqlite') rmSync(at);
  else await onServer(walk, `drop database ${at}`);
}

async function takeStep(walk: Walk): Promise<void> {
  const total = STEPS.reduce((sum, [, weight]) => sum + weight, 0);
  let draw = walk.random.below(total);
  const [name, , step] = STEPS.find(([, weight]) => (draw -= weight) < 0)!;
  walk.clock.advance(1000);
  walk.count(name);
  const [before, held] = [await walk.live(), walk.holds];
  await step(walk);
  if (name === 'restore') return readSome(walk);
  const after = new Set((await walk.live()).map(({ key }) => key));
  const through = held.filter(({ id }) => walk.holds.some((hold) => hold.id === id));
  for (const message of before) {
    if (after.has(message.key)) continue;
    const keeping = through.find((hold) => covers(hold, message));
    if (keeping) walk.fail(`${message.key} was lost under hold ${JSON.stringify(keeping)}`);
    walk.gone.add(message.key);
  }
  await readSome(walk);
}

/** What is there can be read, and what is of an erased subject is there only while it is held. */
async function readSome(walk: Walk): Promise<void> {
  const live = await walk.live();
  for (const message of live)
    if (
      message.subject !== null &&
      walk.erased.has(message.subject) &&
      !walk.holds.some((hold) => covers(hold, message))
    )
      walk.fail(`${message.key} is of an erased subject and not held`);
  if (live.length === 0) return;
  const { session } = walk.random.pick(live);
  const wanted = live.filter((one) => one.session === session && !one.binned).map(({ seq }) => seq);
  const hidden = await attempt(walk, async () => {
    const page = await walk.context.chat.reading.page(owner, session, { limit: 10_000 });
    if (JSON.stringify(page.messages.map(({ seq }) => seq)) !== JSON.stringify(wanted.sort((a, b) => a - b)))
      walk.fail(`${session} shows other messages than it has`);
  });
  if (hidden !== null && wanted.length > 0) walk.fail(`${session} cannot be read: ${hidden}`);
}

async function prepare(walk: Walk): Promise<void> {
  const dataDir = join(walk.dir, 'data');
  mkdirSync(dataDir);
  const database = `governance_${randomUUID().replaceAll('-', '')}`;
  let url = `sqlite:${join(dataDir, 'factory.db')}`;
  if (walk.run.engine === 'postgres') {
    await onServer(walk, `create database ${database}`);
    url = Object.assign(new URL(walk.run.postgresUrl!), { pathname: `/${database}` }).href;
  }
  const env = {
    FACTORY_DATA_DIR: dataDir,
    FACTORY_DATABASE_URL: url,
    FACTORY_LOG_LEVEL: 'silent',
    FACTORY_JOBS: 'off',
  };
  const parsed = parseConfig(env, { cwd: walk.dir });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  walk.config = parsed.config;
  await walk.open();
  const { policies } = walk.context.chat;
  const { general } = await policies.all();
  const keep = (days: number, binDays: number) => ({
    ...DEFAULT_CLASS,
    retention: { ...DEFAULT_CLASS.retention, message: { days, binDays } },
  });
  const classes = { general: DEFAULT_CLASS, short: keep(4, 2), brief: keep(8, 0) };
  await policies.put(owner, { general, classes }, null);
}

export async function governance(run: Run): Promise<Outcome> {
  const walk = new Walk(run);
  await prepare(walk);
  try {
    for (let n = 1; n <= run.count && walk.failures.length < 10; n += 1) {
      walk.step = `step ${n}`;
      await takeStep(walk);
      if (n % 500 === 0)
        run.say(`${n} steps, ${walk.gone.size} messages gone, ${walk.failures.length} failures`);
    }
    for (const { id } of walk.holds) await walk.context.chat.governance.holds.release(owner, id);
    await walk.context.chat.governance.erasures.resume();
    await walk.settled();
    walk.holds = [];
    walk.step = 'the end';
    await readSome(walk);
    const { erasures, holds } = walk.context.chat.governance;
    const inForce = (await holds.list(owner, { limit: 10_000 })).holds;
    if (inForce.length > 0) walk.fail(`holds are in force that nobody placed: ${JSON.stringify(inForce)}`);
    for (const { status, certificate } of (await erasures.list({ limit: 10_000 })).erasures)
      if (status !== 'done')
        walk.fail(`an erasure is ${status} without a hold: ${JSON.stringify(certificate?.kept)}`);
  } finally {
    await walk.close();
    for (const one of walk.copies) await discard(walk, one);
    rmSync(walk.dir, { recursive: true, force: true });
  }
  return { failures: walk.failures, figures: { ...walk.figures, gone: walk.gone.size } };
}

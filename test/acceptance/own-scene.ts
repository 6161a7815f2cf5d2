import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runFactory } from '../../scripts/lib/program.ts';
import { databaseName, databaseUrl } from '../../service/storage/postgres-databases.ts';
import { attached, randomText, served } from '../process/attached.ts';
import { newPlace } from '../process/service.ts';
import type { Place } from '../process/service.ts';
import { Sink } from './backup-lab.ts';
import type { Listed } from './backup-lab.ts';
import type { Attempt, Scene } from './backup-scene.ts';
import type { Store } from './backup-store.ts';
import { endOf, spawned } from './cut.ts';
import { readRows } from './database.ts';
import { auditFailures, createDatabase, onServer } from './lab.ts';
import type { Run } from './lab.ts';

/**
 * The product's own database with attachments, its backups, restores in place and their undo. People are invited and files
 * are added one after the other: what is there tells which state a database is in.
 */

/** As `scripts/lib/restore/put-back.ts` and its seats name them; `hold` and `keep` are there on both engines. */
const STEPS = ['journal', 'hold', 'make', 'mark', 'keep', 'epoch', 'swap', 'swapping', 'blobs', 'aside'];
const KILLED_AT_STEP = join(import.meta.dirname, '../process/restore-killed.ts');

interface State {
  place: Place;
  store: Store;
  /** What `--confirm` takes. */
  confirm: string;
  /** On Postgres: the server. */
  server: string | null;
  /** What is in a backup, of each that was restored. */
  contents: Map<string, string>;
  invited: number;
  targets: number;
  /** What went wrong while no command was cut off. */
  between: string[];
}

export async function openOwnScene(
  { below = tmpdir(), engine, postgresUrl }: Run,
  storeAt: (place: Place) => Promise<Store>,
): Promise<Scene> {
  const url = engine === 'postgres' ? await createDatabase(postgresUrl ?? '') : undefined;
  const place = newPlace({ below: mkdtempSync(join(below, 'factory-backups-')), databaseUrl: url });
  const store = await storeAt(place);
  const state: State = {
    ...{ place, store, contents: new Map(), invited: 0, targets: 0, between: [] },
    confirm: `${hostname()}/${url === undefined ? 'factory.db' : databaseName(url)}`,
    server: url === undefined ? null : (postgresUrl ?? null),
  };
  await invite(state);
  await attach(state);
  return {
    ...{ name: `own in a ${store.name}`, store, kinds: ['backup', 'in-place', 'undo'] },
    prepare: (kind) => attemptOf(state, kind),
    spawn: (args, ms) => spawned(place, args, ms),
    run: async (args) => (await run(place, ...args)).exit,
    finish: () => finish(state),
    async close() {
      await store.close();
      if (url !== undefined && state.server !== null) await dropAll(state.server, databaseName(url));
      rmSync(join(place.dir, '..'), { recursive: true, force: true });
    },
  };
}

async function run<T>({ dir, env }: Place, ...argv: string[]): Promise<{ exit: number; answer: T }> {
  const stdout = new Sink();
  const exit = await runFactory([...argv, '--json'], { cwd: dir, env, stdout, stderr: new Sink() });
  return { exit, answer: JSON.parse(stdout.text) as T };
}

/** As the next start of the service finds it. */
const startOnce = (place: Place): Promise<void> => served(place, async () => undefined);

/** Starts the service, and adds a file to a new conversation. */
async function attach({ place, between }: State): Promise<void> {
  const found = await attached(place, async ({ add, get }) => {
    const content = randomText();
    const [status, text] = await get(await add(content));
    return status === 200 && text === content.toString() ? [] : ['a file was not kept'];
  });
  between.push(...found);
}

async function invite(state: State): Promise<void> {
  const name = `P${(state.invited += 1)}`;
  const { exit } = await run(state.place, 'people', 'invite', '--name', name, '--role', 'reviewer');
  if (exit !== 0) state.between.push(`an invitation ended with ${exit}`);
}

/** The people that were invited, and the files that there are with the digest of what is sealed, as one text. */
async function contentOf(place: Place, blobs = join(place.data, 'blobs')): Promise<string> {
  const rows = await readRows<{ name: string }>(place, `select name from people where name like 'P%'`);
  const files = await readRows<{ blob: string }>(place, 'select distinct blob from chat_attachments');
  const texts = files.map(
    ({ blob }) => `${blob.slice(0, 8)}:${digestAt(join(blobs, blob.slice(0, 2), blob))}`,
  );
  return [...rows.map(({ name }) => name).sort(), ...texts.sort()].join(' ');
}

function digestAt(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 8);
  } catch {
    return 'missing';
  }
}

const CONFIRMED = ({ confirm }: State): string[] => ['--confirm', confirm];

async function attemptOf(state: State, kind: string): Promise<Attempt> {
  const { place } = state;
  await invite(state);
  await attach(state);
  const now = await contentOf(place);
  if (kind === 'backup') return { args: ['backup', '--full'], judge: () => judgeBackup(state, now) };
  const kept = await newestContent(state);
  const inPlace = ['restore', '--in-place', ...CONFIRMED(state)];
  if (kind === 'in-place') {
    const lost = loseFile(place);
    const before = await contentOf(place);
    return {
      args: inPlace,
      killedAt: killedAt(state, 'restore'),
      async judge(exit) {
        const found = await judgeSwap(state, exit, { before, after: kept });
        lost.putBack();
        return found;
      },
    };
  }
  const { exit } = await run(place, ...inPlace);
  if (exit !== 0) state.between.push(`a restore in between ended with ${exit}`);
  state.between.push(...(await judgeSwap(state, exit, { before: now, after: kept })));
  return {
    args: ['restore', '--undo', ...CONFIRMED(state)],
    killedAt: killedAt(state, 'undo'),
    judge: (ended) => judgeSwap(state, ended, { before: kept, after: now }),
  };
}

/** One that a restore has to fetch. */
function loseFile({ data }: Place): { putBack(): void } {
  const [shelf = ''] = readdirSync(join(data, 'blobs')).filter((name) => name.length === 2);
  const [name = ''] = readdirSync(join(data, 'blobs', shelf));
  const [path, aside] = [join(data, 'blobs', shelf, name), join(data, 'lost')];
  renameSync(path, aside);
  return { putBack: () => (existsSync(path) ? rmSync(aside) : renameSync(aside, path)) };
}

function killedAt({ place }: State, why: 'restore' | 'undo'): NonNullable<Attempt['killedAt']> {
  const at = [place.dir, JSON.stringify(place.env)];
  return {
    steps: STEPS,
    run: (step) => endOf(fork(KILLED_AT_STEP, [...at, step, why], { execArgv: [], stdio: 'ignore' })),
  };
}

/** The database is the old one or the new one, whole, and nothing that was prepared is left. */
async function judgeSwap(
  state: State,
  exit: number | null,
  { before, after }: { before: string; after: string },
): Promise<string[]> {
  const { place, between } = state;
  await startOnce(place);
  const now = await contentOf(place);
  const found = [...between.splice(0), ...(await auditFailures(place)), ...(await leftBehind(state))];
  if (exit === 0 && now !== after) found.push(`it ended well, and the database has ${now}, not ${after}`);
  if (now !== before && now !== after) found.push(`the database has ${now}, neither ${before} nor ${after}`);
  return found;
}

async function leftBehind({ place, server }: State): Promise<string[]> {
  const names = server === null ? readdirSync(place.data) : await databasesLike(place);
  return names.filter((name) => name.includes('restoring')).map((name) => `${name} is left behind`);
}

async function databasesLike(place: Place): Promise<string[]> {
  const start = databaseName(place.env['FACTORY_DATABASE_URL'] ?? '').slice(0, 30);
  const rows = await readRows<{ name: string }>(place, 'select datname as name from pg_database');
  return rows.map(({ name }) => name).filter((name) => name.startsWith(start));
}

async function judgeBackup(state: State, people: string): Promise<string[]> {
  const found = [...state.between.splice(0), ...(await restoreNew(state, people))];
  await invite(state);
  const { exit } = await run(state.place, 'backup');
  if (exit !== 0) found.push(`the next backup ended with ${exit}`);
  return [...found, ...(await restoreNew(state, await contentOf(state.place)))];
}

async function listed({ place }: State): Promise<Listed> {
  return (await run<Listed>(place, 'backups', 'list')).answer;
}

/** Who is in the backup that a restore takes. */
async function newestContent(state: State): Promise<string> {
  const { backups } = await listed(state);
  const newest = backups.toSorted((a, b) => a.sequence - b.sequence).at(-1)?.backupId ?? '';
  const people = state.contents.get(newest);
  if (people === undefined) state.between.push(`the newest backup, ${newest}, was never restored`);
  return people ?? '';
}

/** All that is listed and was not restored yet: these people have to be in it. */
async function restoreNew(state: State, people: string): Promise<string[]> {
  const { contents } = state;
  const { backups, problems } = await listed(state);
  const found = problems.map(({ message }) => `the catalog has a problem: ${message}`);
  for (const { backupId } of backups.filter((one) => !contents.has(one.backupId))) {
    contents.set(backupId, people);
    const restored = await restoredContent(state, backupId);
    if (restored !== people)
      found.push(`${backupId} is listed and restores to ${restored}, not to ${people}`);
  }
  return found;
}

/** Who is in what was restored beside the database, or why nothing was. */
async function restoredContent(state: State, backupId: string): Promise<string> {
  const { place, server } = state;
  const name = `restored_${(state.targets += 1)}`;
  const dir = join(place.dir, name);
  const url =
    server === null
      ? null
      : databaseUrl(server, `${databaseName(place.env['FACTORY_DATABASE_URL'] ?? '').slice(0, 40)}_${name}`);
  const to = url ?? join(dir, 'factory.db');
  mkdirSync(dir, { recursive: true });
  const { exit } = await run(place, 'restore', '--backup', backupId, '--to', to);
  if (exit !== 0) return `exit ${exit}`;
  const { FACTORY_DATABASE_URL: _, ...env } = place.env;
  const there = { ...place, data: dir, env: url === null ? env : { ...env, FACTORY_DATABASE_URL: url } };
  try {
    return await contentOf(there, blobsBeside(place, to));
  } finally {
    for (const path of [dir, blobsBeside(place, to)]) rmSync(path, { recursive: true, force: true });
    if (url !== null && server !== null) await onServer(server, `drop database ${databaseName(url)}`);
  }
}

/** Where a restore to a new place puts them. */
const blobsBeside = ({ dir }: Place, to: string): string =>
  to.startsWith('postgres') ? join(dir, `${databaseName(to)}.blobs`) : `${to}.blobs`;

/** One more of each, left alone. */
async function finish(state: State): Promise<string[]> {
  const { place } = state;
  const found: string[] = [];
  for (const kind of ['backup', 'in-place', 'undo']) {
    const { args, judge } = await attemptOf(state, kind);
    const { exit, answer } = await run(place, ...args);
    if (exit !== 0)
      found.push(`the last ${kind} ended with ${exit}: ${JSON.stringify(answer).slice(0, 500)}`);
    found.push(...(await judge(exit)));
  }
  return found;
}

/** Those of before a restore stay until somebody drops them. */
async function dropAll(server: string, name: string): Promise<void> {
  const place = { env: { FACTORY_DATABASE_URL: server } } as unknown as Place;
  const rows = await readRows<{ name: string }>(place, 'select datname as name from pg_database');
  for (const one of rows.map((row) => row.name).filter((other) => other.startsWith(name.slice(0, 30))))
    await onServer(server, `drop database "${one}" with (force)`);
}

import { fork } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { databaseName, databaseUrl } from '../../service/storage/postgres-databases.ts';
import { createDatabase, query, serverUrl } from '../helpers/postgres.ts';
import { settleRestores } from '../../scripts/lib/restore/put-back.ts';
import { loadConfig } from '../../service/config-load.ts';
import { startService } from '../../service/main.ts';
import { factory as run } from '../scripts/cli.ts';
import { attached, randomText } from './attached.ts';
import { newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

/** Restores in place and their undo, of a Postgres database; what is the same on both engines is held on SQLite. */

interface Done {
  epoch: number;
  before: string | null;
  error?: { code: string };
}
type Installation = Place & { url: string; confirm: string };

function at(url: string, env: Record<string, string> = {}): Installation {
  const place = newPlace({ databaseUrl: url, env });
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  return { ...place, url, confirm: `${hostname()}/${databaseName(url)}` };
}

/** The command line in this process: a process for each of the many calls would take most of the time. */
async function factory({ dir, env }: Place, ...args: string[]) {
  const { exit: code, stdout, stderr } = await run(dir, args, env);
  return { code, stdout, stderr };
}

async function factoryJson<T>(place: Place, ...args: string[]): Promise<{ code: number; answer: T }> {
  const { code, stdout } = await factory(place, ...args, '--json');
  return { code, answer: JSON.parse(stdout) as T };
}

/** Starts the service and stops it; how it was. */
async function startOnce({ dir, env }: Place): Promise<string> {
  const loaded = loadConfig(dir, { ...env, FACTORY_LOG_LEVEL: 'silent' });
  if (!('config' in loaded)) throw new Error(JSON.stringify(loaded.problems));
  await settleRestores(loaded.config, () => undefined);
  const service = await startService(loaded.config);
  const { status } = await service.context.health.check();
  await service.close();
  return status;
}

/** An installation with A in its backup, and B only in its database. */
async function installation(env: Record<string, string> = {}): Promise<Installation> {
  const place = at(await createDatabase(), env);
  await invite(place, 'A');
  expect((await factory(place, 'backup')).code).toBe(0);
  await invite(place, 'B');
  // Signs a checkpoint that covers B.
  await startOnce(place);
  return place;
}

const invite = (place: Place, name: string) =>
  factory(place, 'people', 'invite', '--name', name, '--role', 'reviewer');
const inPlace = (place: Installation, ...args: string[]) =>
  factoryJson<Done>(place, 'restore', '--in-place', '--confirm', place.confirm, ...args);
const verified = async (place: Place) =>
  (await factoryJson<{ ok: boolean; problems: unknown[] }>(place, 'verify-audit')).answer;

/** People of one letter. */
async function names(url: string): Promise<string> {
  const rows = await query<{ name: string }>(url, 'select name from people where length(name) = 1');
  return rows.map(({ name }) => name).join('');
}

/** The server's databases that belong to an installation, without its name in front. */
async function databasesOf({ url }: Installation): Promise<string[]> {
  const name = databaseName(url);
  const rows = await query<{ name: string }>(await serverUrl(), 'select datname as name from pg_database');
  return rows
    .map((row) => row.name)
    .filter((one) => one.startsWith(name.slice(0, 30)))
    .map((one) => (one === name ? '' : one.replace(/^test_[0-9a-f]*/, '').replace(/_\d+T\d+Z$/, '')))
    .sort();
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name));

describe('a Postgres database', () => {
  it('is put back in place, verifies, waits for somebody, and is undone', { timeout: 240_000 }, async () => {
    const place = await installation();
    const planned = await factoryJson<{ plan: { confirm: string; to: string } }>(
      ...([place, 'restore', '--in-place', '--plan'] as const),
    );
    expect(planned.answer.plan).toMatchObject({ confirm: place.confirm });
    const wrong = await factoryJson<Done>(place, 'restore', '--in-place', '--confirm', `${hostname()}/x`);
    expect([wrong.code, wrong.answer.error?.code]).toEqual([4, 'restore-unconfirmed']);
    expect(await names(place.url)).toBe('AB');

    const done = await inPlace(place);
    expect([done.code, done.answer.epoch]).toEqual([0, 1]);
    expect(await names(place.url)).toBe('A');
    expect(await names(databaseUrl(place.url, done.answer.before ?? ''))).toBe('AB');
    expect(await databasesOf(place)).toEqual(['', '_before']);
    expect(await verified(place)).toMatchObject({ ok: true, problems: [] });
    expect(await startOnce(place)).toBe('degraded');
    expect(await verified(place)).toMatchObject({ ok: true, problems: [] });
    const shown = await factoryJson<{ report: { digest: string } }>(place, 'restore', '--accept');
    expect((await factory(place, 'restore', '--accept', shown.answer.report.digest)).code).toBe(0);

    const undone = await factoryJson<Done>(place, 'restore', '--undo', '--confirm', place.confirm);
    expect([undone.code, undone.answer.epoch]).toEqual([0, 2]);
    expect(await names(place.url)).toBe('AB');
    expect(await verified(place)).toMatchObject({ ok: true, problems: [] });
    const next = await factoryJson<{ kind: string; sequence: number }>(place, 'backup');
    expect(next.answer).toMatchObject({ kind: 'full', sequence: 2 });
  });

  it('comes back with its attachments, and an undo has the later ones', { timeout: 240_000 }, async () => {
    const place = at(await createDatabase());
    const [early, late] = [randomText(), randomText()];
    const first = await attached(place, ({ add }) => add(early));
    expect((await factory(place, 'backup')).code).toBe(0);
    const blobs = join(place.data, 'blobs');
    const [lost = ''] = filesIn(blobs);
    const second = await attached(place, ({ add }) => add(late));
    rmSync(lost);
    expect((await inPlace(place)).code).toBe(0);
    // What the database does not name any more is the sweep's.
    expect(existsSync(lost)).toBe(true);
    await attached(place, async ({ get }) => {
      expect(await get(first)).toEqual([200, early.toString()]);
      expect((await get(second))[0]).toBe(404);
    });
    for (const path of filesIn(blobs)) if (path !== lost) rmSync(path);
    expect((await factory(place, 'restore', '--undo', '--confirm', place.confirm)).code).toBe(0);
    await attached(place, async ({ get }) => expect(await get(second)).toEqual([200, late.toString()]));
    expect(readdirSync(place.data)).not.toContain('blobs.restoring');
  });

  it(
    'with an attachment that the destination has damaged is not replaced',
    { timeout: 120_000 },
    async () => {
      const place = at(await createDatabase());
      await attached(place, ({ add }) => add(randomText()));
      expect((await factory(place, 'backup')).code).toBe(0);
      await invite(place, 'B');
      const sealed =
        filesIn(join(place.data, 'backups/blobs')).find((path) => path.endsWith('.sealed')) ?? '';
      truncateSync(sealed, 100);
      for (const path of filesIn(join(place.data, 'blobs'))) rmSync(path);
      const ran = await inPlace(place);
      expect([ran.code, ran.answer.error?.code]).toEqual([1, 'backup-damaged']);
      expect([await names(place.url), await databasesOf(place)]).toEqual(['B', ['']]);
    },
  );

  it('in use stays as it is, and nobody is thrown out', { timeout: 120_000 }, async () => {
    const place = await installation();
    const service = await serve(place);
    const ran = await inPlace(place);
    expect([ran.code, ran.answer.error?.code]).toEqual([4, 'database-in-use']);
    expect((await fetch(`${service.url}/api/health`)).status).toBe(200);
    await service.stop();
    expect(await databasesOf(place)).toEqual(['']);
    expect((await inPlace(place)).code).toBe(0);
  });

  it('is made where there is none, from a bucket and the keyring', { timeout: 120_000 }, async () => {
    const shared = newPlace();
    onTestFinished(() => rmSync(shared.dir, { recursive: true, force: true }));
    const bucket = { FACTORY_BACKUP_DESTINATIONS: pathToFileURL(join(shared.dir, 'bucket')).href };
    const old = await installation(bucket);
    const next = at(`${old.url}_next`, bucket);
    mkdirSync(next.data, { recursive: true });
    cpSync(join(old.data, 'keyring'), join(next.data, 'keyring'), { recursive: true });
    expect((await inPlace(next)).answer).toMatchObject({ epoch: 1, before: null });
    expect(await names(next.url)).toBe('A');
    // The mark that the restore left is enough: the new machine has sent nothing yet.
    const fenced = await factoryJson<Done>(old, 'backup', '--full');
    expect([fenced.code, fenced.answer.error?.code]).toEqual([4, 'epoch-fenced']);
    expect((await factory(next, 'backup', '--full')).code).toBe(0);
  });

  it('keeps a database of somebody else that has the name of its copy', { timeout: 120_000 }, async () => {
    const place = await installation();
    const taken = `${databaseName(place.url)}_restoring`;
    await query(await serverUrl(), `create database ${taken}`);
    const ran = await inPlace(place);
    expect([ran.code, ran.answer.error?.code]).toEqual([4, 'restore-target-exists']);
    expect(await databasesOf(place)).toEqual(['', '_restoring']);
    expect(await names(place.url)).toBe('AB');
  });
});

it.each([
  ['hold', 'AB'],
  ['make', 'AB'],
  ['mark', 'AB'],
  ['swapping', 'AB'],
  ['aside', 'A'],
])(
  'killed before the step "%s" it is settled by the next start',
  { timeout: 120_000 },
  async (step, expected) => {
    const place = await installation();
    const script = join(import.meta.dirname, 'restore-killed.ts');
    const child = fork(script, [place.dir, JSON.stringify(place.env), step], { execArgv: [] });
    const signal = await new Promise((resolve) => child.once('exit', (_code, by) => resolve(by)));
    expect(signal).toBe('SIGKILL');
    await startOnce(place);
    expect(await names(place.url)).toBe(expected);
    expect(await databasesOf(place)).toEqual(expected === 'A' ? ['', '_before'] : ['']);
    expect((await verified(place)).problems).toEqual([]);
    expect((await inPlace(place)).code).toBe(0);
    expect(await names(place.url)).toBe('A');
  },
);

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readCatalog } from '../../scripts/lib/backup/catalog.ts';
import type { BackupJob } from '../../scripts/lib/backup/job.ts';
import { makeBackup } from '../../scripts/lib/backup/make.ts';
import { pick } from '../../scripts/lib/backup/pick.ts';
import { postgresSource } from '../../scripts/lib/backup/postgres-source.ts';
import { restoreToDatabase } from '../../scripts/lib/postgres/restore.ts';
import { withScratchDatabase } from '../../scripts/lib/postgres/scratch.ts';
import { openStorage } from '../../service/storage/open.ts';
import { databaseName } from '../../service/storage/postgres-databases.ts';
import { createDatabase, databases, query, scratchesThatStay, serverUrl } from '../helpers/postgres.ts';
import { folderAt } from './backup-app.ts';

const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const signing = generateKeyPairSync('ed25519').privateKey;
const { signal } = new AbortController();

/** A database of ours and a place for its backups. */
async function newDatabase() {
  const url = await createDatabase();
  await (await openStorage(url)).close();
  return { ...placeFor(url), url };
}

function placeFor(url: string) {
  const dir = mkdtempSync(join(tmpdir(), 'factory-postgres-backup-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const destination = folderAt(join(dir, 'destination'));
  return {
    dir,
    backup: (change: Partial<BackupJob> = {}) =>
      makeBackup({
        ...{
          name: 'factory',
          source: postgresSource(url, process.env),
          destinations: [destination],
          signing,
        },
        ...{ recipients: [recipient], folder: join(dir, 'state'), epoch: 0, release: null },
        ...{ auditCheckpoint: null, mark: null, full: false, waitMs: 0, now: Date.now, signal },
        beforeCopy: async () => undefined,
        say: () => undefined,
        progress: () => undefined,
        ...change,
      }),
    async newest() {
      return pick(await readCatalog(destination, 'factory', { signal }), 'newest', Date.now());
    },
    restore: async (to: string) => {
      const picked = pick(await readCatalog(destination, 'factory', { signal }), 'newest', Date.now());
      const job = { destination, ...picked, identities: [identity], folder: join(dir, 'restore'), signal };
      await restoreToDatabase({ ...job, env: process.env, progress: () => undefined }, to);
    },
    /** Nothing was sent, and nothing of the work is left. */
    assertNothing() {
      expect(existsSync(join(dir, 'destination'))).toBe(false);
      expect(readdirSync(join(dir, 'state')).filter((name) => name.startsWith('work-'))).toEqual([]);
    },
  };
}

/** A way to the server that breaks once so many bytes came through it. */
async function breakingWay(url: string, bytes: number): Promise<string> {
  const target = new URL(url);
  let left = bytes;
  const sockets: { destroy(): void }[] = [];
  const server = createServer((from) => {
    const to = connect(Number(target.port), target.hostname);
    sockets.push(from, to);
    from.on('error', () => to.destroy()).on('close', () => to.destroy());
    to.on('error', () => from.destroy()).on('close', () => from.destroy());
    to.on('data', (data) => {
      left -= data.length;
      if (left < 0) for (const socket of sockets) socket.destroy();
    });
    from.pipe(to);
    to.pipe(from);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  target.port = String((server.address() as AddressInfo).port);
  return target.href;
}

describe('a dump', () => {
  it('says in its manifest what is in it, in the state that it holds', async () => {
    const database = await newDatabase();
    await database.backup();
    const { source, format, objects } = (await database.newest()).entry.manifest;
    expect(format).toBe('build-factory/backup/2');
    expect(source).toMatchObject({ engine: 'postgres', rows: { 'public.people': 0, 'public.meta': 4 } });
    expect(objects).toMatchObject({
      pages: null,
      data: { key: expect.stringMatching(/\.pgdump\.zst\.age$/) },
    });
  });

  it('agrees with its counts while others write', async () => {
    const database = await newDatabase();
    await query(database.url, 'create table tick (n int); insert into tick select generate_series(1, 1000)');
    let writing = true;
    const writer = (async () => {
      while (writing) await query(database.url, 'insert into tick values (0); delete from tick where n = 7');
    })();
    await database.backup();
    writing = false;
    await writer;
    const { rows } = (await database.newest()).entry.manifest.source;
    const to = await createDatabase();
    await database.restore(to);
    expect(await query(to, 'select count(*)::int as n from tick')).toEqual([{ n: rows['public.tick'] }]);
  });

  it.each([
    ['without a table', '', 'snapshot-empty'],
    ['of another application', 'create table t (v int)', 'database-foreign'],
    [
      'of another application with a meta table',
      "create table meta (key text, value text); insert into meta values ('application', 'other')",
      'database-foreign',
    ],
  ])('of a database %s is refused', async (_what, sql, code) => {
    const url = await createDatabase();
    await query(url, sql);
    const place = placeFor(url);
    await expect(place.backup()).rejects.toMatchObject({ code });
    place.assertNothing();
  });

  it('is given up where the server goes away', async () => {
    const { url } = await newDatabase();
    await query(url, "create table load as select repeat('x', 1000) as v from generate_series(1, 20000)");
    const place = placeFor(await breakingWay(url, 4_000_000));
    await expect(place.backup()).rejects.toMatchObject({
      code: expect.stringMatching(/^(snapshot-failed|database-unreachable)$/),
      retryable: true,
    });
    place.assertNothing();
  });

  it('is stopped at its deadline, and leaves no connection', async () => {
    const database = await newDatabase();
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    await holder.query('begin; lock table people');
    const error = await database
      .backup({ signal: AbortSignal.timeout(3000) })
      .catch((thrown: unknown) => thrown);
    await holder.end();
    expect(error).toMatchObject({ code: 'backup-timeout' });
    database.assertNothing();
    const name = new URL(database.url).pathname.slice(1);
    const left = `select count(*)::int as n from pg_stat_activity where datname = '${name}'`;
    await expect.poll(async () => query(await serverUrl(), left), { timeout: 10_000 }).toEqual([{ n: 0 }]);
  });

  it('is not made where the mark is the one of the last', async () => {
    const database = await newDatabase();
    const { backupId } = await database.backup({ mark: 'audit 7' });
    expect(await database.backup({ mark: 'audit 7' })).toMatchObject({ kind: 'skipped', backupId });
    expect((await database.backup({ mark: 'audit 8' })).kind).toBe('full');
    expect((await database.backup()).kind).toBe('full');
  });
});

describe('a restore', () => {
  it('that the server does not take leaves the empty database empty, and no new one', async () => {
    const database = await newDatabase();
    // The function that the check calls is not there when the rows are loaded with no search path.
    await query(
      database.url,
      `create table bound (n int); insert into bound values (5);
       create function limit_of() returns int language sql as 'select n from bound';
       create table bounded (v int check (v < limit_of())); insert into bounded values (1)`,
    );
    await database.backup();
    const empty = await createDatabase();
    await expect(database.restore(empty)).rejects.toMatchObject({ code: 'restore-failed' });
    await expect(database.restore(`${empty}_new`)).rejects.toMatchObject({ code: 'restore-failed' });
    expect(await databases()).not.toContain(`${databaseName(empty)}_new`);
    expect(await scratchesThatStay()).toEqual([]);
    expect(await query(empty, "select 1 from pg_tables where schemaname = 'public'")).toEqual([]);
  });

  it('of a database removes what a killed one left, not what another one works on', async () => {
    const [left, used] = ['factory_scratch_00000000000000aa', 'factory_scratch_00000000000000bb'];
    const owner = new pg.Client({ connectionString: await serverUrl() });
    await owner.connect();
    await owner.query('select pg_advisory_lock($1, hashtext($2))', [0x42466164, used]);
    await owner.query(`create database ${left}`);
    await owner.query(`create database ${used}`);
    try {
      await withScratchDatabase(await serverUrl(), async ({ name }) => {
        const there = await databases();
        expect([left, used, name].map((one) => there.includes(one))).toEqual([false, true, true]);
      });
    } finally {
      await owner.query(`drop database if exists ${used}`);
      await owner.end();
    }
    expect(await scratchesThatStay()).toEqual([]);
  });
});

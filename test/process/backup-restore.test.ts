import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity } from 'age-encryption';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { readCatalog } from '../../scripts/lib/backup/catalog.ts';
import type { BackupJob } from '../../scripts/lib/backup/job.ts';
import { sqliteSource } from '../../scripts/lib/backup/sqlite-source.ts';
import type { Destination } from '../../scripts/lib/destinations/destination.ts';
import { FactoryError } from '../../service/errors.ts';
import { acquireLock } from '../../service/storage/process-lock.ts';
import { folderAt, newApp, transfersIn } from './backup-app.ts';
import type { App } from './backup-app.ts';

const HOUR = 3_600_000;
const { signal } = new AbortController();

/** Every file of the destination, by its path below it. */
function objects(app: App): string[] {
  const root = join(app.dir, 'destination');
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('a backup', () => {
  it('is restored as it was taken', async () => {
    const app = newApp();
    app.transfer(3);
    const result = await app.backup();
    expect(result).toMatchObject({ kind: 'full', sequence: 1, destinations: [{ status: 'ok' }] });
    app.transfer(2);
    expect(transfersIn(await app.restore())).toBe(3);
  });

  it('is a differential of the pages that changed, and rests on the full one alone', async () => {
    const app = newApp();
    const full = await app.backup();
    for (const transfers of [1, 2, 3]) {
      app.transfer();
      const next = await app.backup();
      expect(next.kind).toBe('differential');
      expect(next.storedBytes).toBeLessThan(full.storedBytes);
      expect(transfersIn(await app.restore())).toBe(transfers);
    }
    rmSync(join(app.dir, 'destination/diff'), { recursive: true });
    expect(transfersIn(await app.restore())).toBe(0);
  });

  it('is not made where nothing changed', async () => {
    const app = newApp();
    const { backupId } = await app.backup();
    expect(await app.backup()).toMatchObject({ kind: 'skipped', backupId, sequence: 1 });
    expect((await readCatalog(app.destination, 'app', { signal })).entries).toHaveLength(1);
  });

  it('is not made where only the files look changed', async () => {
    const app = newApp();
    await app.backup();
    app.transfer();
    await app.backup();
    app.db.pragma('wal_checkpoint(TRUNCATE)');
    expect(await app.backup()).toMatchObject({ kind: 'skipped', sequence: 2 });
  });

  it('is made where the database went back to what the full one holds', async () => {
    const app = newApp();
    await app.backup();
    app.db.exec("update account set note = 'x' where id = 9");
    await app.backup();
    app.db.exec('update account set note = (select note from account where id = 8) where id = 9');
    expect((await app.backup()).kind).toBe('differential');
  });

  it('is a full one after a day, and follows a database that shrinks', async () => {
    const app = newApp();
    await app.backup();
    app.clock.now += 24 * HOUR;
    app.transfer();
    expect((await app.backup()).kind).toBe('full');
    app.db.exec("update account set note = ''; vacuum");
    app.db.pragma('wal_checkpoint(TRUNCATE)');
    await app.backup();
    const restored = await app.restore();
    expect(transfersIn(restored)).toBe(1);
    expect(statSync(restored).size).toBe(statSync(app.database).size);
  });

  it('goes on counting where this machine forgot what it made', async () => {
    const app = newApp();
    await app.backup();
    rmSync(join(app.dir, 'state'), { recursive: true });
    app.transfer();
    expect(await app.backup()).toMatchObject({ kind: 'full', sequence: 2 });
  });

  it('leaves nothing of its work behind, and removes what a killed one left', async () => {
    const app = newApp();
    await app.backup();
    const work = join(app.dir, 'state/work-of-a-dead-process');
    writeFileSync(work, '');
    app.transfer();
    await app.backup();
    expect(readdirSync(join(app.dir, 'state')).sort()).toEqual([
      'lock',
      'lock.json',
      'pages.bin',
      'present.json',
      'state.json',
      'stored.json',
    ]);
  });

  it('waits for another one, and says whose', async () => {
    const app = newApp();
    await app.backup();
    const options = { what: 'a test', waitMs: 0, now: () => app.clock.now };
    const lock = await acquireLock(join(app.dir, 'state/lock'), options);
    await expect(app.backup()).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining('a test'),
    });
    lock.release();
    expect((await app.backup()).kind).toBe('skipped');
  });
});

describe('a source that is none', () => {
  it.each([
    ['is missing', (path: string) => rmSync(path), 'snapshot-source-missing'],
    ['is no database', (path: string) => writeFileSync(path, 'x'.repeat(8192)), 'snapshot-failed'],
    ['has no tables', (path: string) => writeFileSync(path, ''), 'snapshot-empty'],
  ])('%s: nothing is sent', async (_what, spoil, code) => {
    const app = newApp();
    app.db.close();
    for (const suffix of ['-wal', '-shm']) rmSync(app.database + suffix, { force: true });
    spoil(app.database);
    // The file that was given, not its copy.
    const message = expect.stringContaining(app.database);
    await expect(app.backup()).rejects.toMatchObject({ code, message });
    expect(existsSync(join(app.dir, 'destination'))).toBe(false);
  });

  it('that SQLite finds damaged is not sent', async () => {
    const app = newApp();
    app.db.exec('create index by_note on account (note)');
    app.db.unsafeMode();
    app.db.pragma('writable_schema = on');
    // The index says something else than its table: nothing but SQLite's own check sees that.
    app.db.exec(
      "update sqlite_schema set sql = 'CREATE INDEX by_note ON account (amount)' where name = 'by_note'",
    );
    app.db.close();
    await expect(app.backup()).rejects.toMatchObject({ code: 'snapshot-damaged' });
    expect(existsSync(join(app.dir, 'destination'))).toBe(false);
  });
});

describe('a backup that cannot be', () => {
  const refused = async (change: (app: App) => Partial<BackupJob>): Promise<unknown> => {
    const app = newApp();
    const error: unknown = await app.backup(change(app)).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(existsSync(join(app.dir, 'destination'))).toBe(false);
    expect(readdirSync(join(app.dir, 'state')).filter((name) => name.startsWith('work-'))).toEqual([]);
    return error;
  };

  it('because the database is another application’s: nothing is sent', async () => {
    const error = await refused(({ database }) => ({ source: sqliteSource(database, { own: true }) }));
    expect(error).toMatchObject({ code: 'database-foreign' });
  });

  it('because the disk has no room: nothing is sent', async () => {
    const error = await refused(({ database }) => ({
      source: { ...sqliteSource(database), space: async () => 2 ** 60 },
    }));
    expect(error).toMatchObject({ code: 'backup-space', hint: expect.stringContaining('Free space') });
  });

  it('because its time is over: nothing is sent', async () => {
    expect(await refused(() => ({ signal: AbortSignal.abort() }))).toMatchObject({ code: 'backup-timeout' });
  });
});

describe('a differential', () => {
  it('of 2.5 % of the pages is at most 4 % of the database', async () => {
    const app = newApp();
    app.db.exec('create table noise (id integer primary key, content blob not null)');
    app.db.exec(
      'with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000) ' +
        'insert into noise (content) select randomblob(3000) from n',
    );
    await app.backup();
    // Nothing can make random bytes smaller, and each lies in a page of its own.
    app.db.exec('update noise set content = randomblob(3000) where id % 40 = 0');
    const { kind, storedBytes, databaseBytes } = await app.backup();
    expect(kind).toBe('differential');
    expect(storedBytes / databaseBytes).toBeGreaterThan(0.015);
    expect(storedBytes / databaseBytes).toBeLessThan(0.04);
    const restored = new Database(await app.restore(), { readonly: true });
    const sum = 'select count(distinct content) from noise';
    expect(restored.prepare(sum).pluck().get()).toBe(2000);
    restored.close();
  });
});

describe('several destinations', () => {
  const broken = (where: 'list' | 'put'): Destination => ({
    ...folderAt('/nonexistent'),
    url: 'file:///broken',
    list: async () => {
      if (where === 'list')
        throw new FactoryError({ code: 'destination-failed', op: 'list', message: 'down', hint: 'x' });
      return [];
    },
    put: async () => {
      throw new FactoryError({ code: 'destination-full', op: 'put', message: 'full', hint: 'x' });
    },
  });

  it.each(['list', 'put'] as const)('each stand alone when one fails to %s', async (where) => {
    const app = newApp();
    const destinations = [broken(where), app.destination];
    const result = await app.backup({ destinations });
    expect(result.destinations.map(({ url, status }) => [url, status])).toEqual([
      ['file:///broken', 'failed'],
      [app.destination.url, 'ok'],
    ]);
    expect(transfersIn(await app.restore())).toBe(0);
    expect((await app.backup({ destinations })).destinations[0]?.status).toBe('failed');
  });

  it('get a full backup when one of them has lost what a differential would rest on', async () => {
    const app = newApp();
    const second = folderAt(join(app.dir, 'second'));
    const destinations = [app.destination, second];
    await app.backup({ destinations });
    app.transfer();
    const { backupId } = await app.backup({ destinations, full: true });
    const folder = join(app.dir, 'second/full/app');
    for (const name of readdirSync(folder))
      if (`full/app/${name}`.startsWith(`${backupId}.`)) rmSync(join(folder, name));
    app.transfer();
    expect((await app.backup({ destinations })).kind).toBe('full');
    expect(transfersIn(await app.restore('newest', { destination: second }))).toBe(2);
  });
});

describe('a restore', () => {
  it('never replaces a file, nor one that lies beside it', async () => {
    const app = newApp();
    await app.backup();
    for (const suffix of ['', '-wal', '-journal']) {
      const to = join(app.dir, `taken${suffix.length}.db`);
      writeFileSync(to + suffix, 'mine');
      await expect(app.restore('newest', { to })).rejects.toMatchObject({ code: 'restore-target-exists' });
      expect(readFileSync(to + suffix, 'utf8')).toBe('mine');
    }
  });

  it('needs the right identity', async () => {
    const app = newApp();
    await app.backup();
    const wrong = await generateX25519Identity();
    const to = join(app.dir, 'r.db');
    await expect(app.restore('newest', { identities: [wrong], to })).rejects.toMatchObject({
      code: 'identity-wrong',
    });
    expect(existsSync(to)).toBe(false);
  });

  it('finds every kind of damage in every object before the file has its name', async () => {
    const app = newApp();
    await app.backup();
    app.transfer();
    const wanted = { backupId: (await app.backup()).backupId };
    const to = join(app.dir, 'r.db');
    const files = objects(app);
    expect(files).toHaveLength(7);
    for (const [n, file] of files.entries()) {
      const content = readFileSync(file);
      const other = readFileSync(files[(n + 1) % files.length] ?? '');
      const flipped = Buffer.from(content);
      const at = (n * 7919) % content.length;
      flipped[at] = (flipped[at] ?? 0) ^ 4;
      for (const damage of [
        flipped,
        content.subarray(0, -1),
        content.subarray(0, 0),
        other,
        Buffer.concat([content, content]),
      ]) {
        writeFileSync(file, damage);
        await expect(app.restore(wanted, { to })).rejects.toThrow();
        expect(existsSync(to)).toBe(false);
      }
      writeFileSync(file, content);
    }
    expect(transfersIn(await app.restore())).toBe(1);
  });
});

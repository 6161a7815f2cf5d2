import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { markSql } from '../../service/storage/mark.ts';
import { COLUMN_TYPES, MIGRATIONS, SCHEMA } from '../../service/storage/migrate.ts';
import { installationId, logHasEntries, openStorage } from '../../service/storage/open.ts';
import { APPLICATION_ID } from '../../service/storage/application-id.ts';
import { param, statement } from '../../service/storage/statement.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import type { Tables } from '../../service/storage/tables.ts';
import { createEngineDatabase, engine } from '../helpers/postgres.ts';
import { dumpSchema, rawSql } from './engine.ts';

const insert = statement<Tables['audit_entries']>()((db) =>
  db.insertInto('audit_entries').values({ seq: param('seq'), leaf: param('leaf') }),
);
const insertTile = statement<Tables['audit_tiles']>()((db) =>
  db
    .insertInto('audit_tiles')
    .values({ level: param('level'), tile_index: param('tile_index'), hashes: param('hashes') }),
);
const leaves = statement()((db) => db.selectFrom('audit_entries').selectAll().orderBy('seq'));
const tiles = statement()((db) => db.selectFrom('audit_tiles').selectAll());

let opened: Storage[] = [];
afterEach(async () => {
  for (const storage of opened) await storage.close();
  opened = [];
});

async function open(url?: string): Promise<Storage> {
  const storage = await openStorage(url ?? (await createEngineDatabase()));
  opened.push(storage);
  return storage;
}

const append = (storage: Storage, leaf: string, fail = false): Promise<number> =>
  storage.write(async (tx) => {
    const seq = await tx.nextSeq('audit_entries');
    await tx.run(insert, { seq, leaf });
    if (fail) throw new Error(`undo ${leaf}`);
    return seq;
  });

describe('group commit', () => {
  it('gives concurrent writers gap-free numbers in the order they came', async () => {
    const storage = await open();
    const numbers = await Promise.all(
      Array.from({ length: 500 }, (_, index) => append(storage, `leaf ${index}`)),
    );
    expect(numbers).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
    expect((await storage.read.all(leaves, {})).map((row) => row.leaf)).toEqual(
      numbers.map((seq) => `leaf ${seq - 1}`),
    );
  });

  it('undoes a failing unit alone, whatever the order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }), async (failures) => {
        const storage = await open();
        const outcomes = await Promise.allSettled(
          failures.map((fail, index) => append(storage, String(index), fail)),
        );
        const kept = failures.flatMap((fail, index) => (fail ? [] : [String(index)]));
        expect(outcomes.map((outcome) => outcome.status === 'rejected')).toEqual(failures);
        expect(await storage.read.all(leaves, {})).toEqual(
          kept.map((leaf, index) => ({ seq: index + 1, leaf })),
        );
      }),
      { numRuns: 8, seed: 7 },
    );
  });

  it('tells after the commit only, and never of what was undone', async () => {
    const storage = await open();
    const told: string[] = [];
    const tell = (name: string, fail: boolean) =>
      storage.write(async (tx) => {
        tx.afterCommit(() => told.push(name));
        await tx.run(insert, { seq: await tx.nextSeq('audit_entries'), leaf: name });
        expect(told).toEqual([]);
        if (fail) throw new Error('undo');
      });
    await Promise.allSettled([tell('a', false), tell('b', true), tell('c', false)]);
    expect(told).toEqual(['a', 'c']);
  });

  it('shows a unit its own writes and others only committed ones', async () => {
    const storage = await open();
    await storage.write(async (tx) => {
      await tx.run(insert, { seq: await tx.nextSeq('audit_entries'), leaf: 'mine' });
      expect(await tx.all(leaves, {})).toHaveLength(1);
      expect(await storage.read.all(leaves, {})).toHaveLength(0);
    });
    expect(await storage.read.all(leaves, {})).toHaveLength(1);
  });

  it('serialises two processes on one database', async () => {
    const url = await createEngineDatabase();
    const [one, two] = [await open(url), await open(url)];
    const numbers = await Promise.all(
      Array.from({ length: 120 }, (_, index) => append(index % 2 ? one : two, 'x')),
    );
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
  });

  it('keeps a snapshot as it was while others write', async () => {
    const storage = await open();
    await append(storage, 'before');
    await storage.snapshot(async (reader) => {
      expect(await reader.all(leaves, {})).toHaveLength(1);
      await append(storage, 'meanwhile');
      expect(await reader.all(leaves, {})).toHaveLength(1);
    });
    expect(await storage.read.all(leaves, {})).toHaveLength(2);
  });
});

describe('values', () => {
  it('come back as they were given', async () => {
    const storage = await open();
    const texts = ['', 'ä 中文 😀', "'; drop table meta; --", '\u0001\t\n', 'x'.repeat(1_000_000)];
    for (const leaf of texts) await append(storage, leaf);
    expect((await storage.read.all(leaves, {})).map((row) => row.leaf)).toEqual(texts);
    const hashes = Buffer.from([0, 255, 1, 0]);
    await storage.write((tx) => tx.run(insertTile, { level: 0, tile_index: 9_007_199_254_740_991, hashes }));
    expect(await storage.read.all(tiles, {})).toEqual([
      { level: 0, tile_index: 9_007_199_254_740_991, hashes },
    ]);
  });

  it('of a missing name are refused', async () => {
    const storage = await open();
    await expect(storage.write((tx) => tx.run(insert, { seq: 1 } as never))).rejects.toThrow(
      /leaf is missing/,
    );
  });
});

const dumpFile = () => new URL(`../../service/storage/schema.${engine()}.sql`, import.meta.url);

/** A database as the release with this schema made it. */
async function makeSchema(url: string, schema: number): Promise<void> {
  const sqlite = engine() === 'sqlite';
  const types = COLUMN_TYPES[engine()];
  await rawSql(
    url,
    ...MIGRATIONS.slice(0, schema).flatMap((migration) => migration.up(types)),
    ...markSql(1)
      .split(';')
      .filter((sql) => sql.trim() !== ''),
    ...(sqlite
      ? [`pragma user_version = ${schema}`, `pragma application_id = ${APPLICATION_ID}`]
      : [`insert into meta values ('application', 'build-factory'), ('schema', '${schema}')`]),
  );
}

describe('opening', () => {
  it('makes the schema that is committed as a dump', async () => {
    const url = await createEngineDatabase();
    await open(url);
    const file = dumpFile();
    const dump = await dumpSchema(url);
    // Once, after a new migration: UPDATE_SCHEMA=1 npm test
    if (process.env['UPDATE_SCHEMA']) writeFileSync(file, dump);
    expect(dump).toBe(readFileSync(file, 'utf8'));
  });

  it.each(MIGRATIONS.slice(0, -1))(
    'brings a database of schema $number up, which that release still reads',
    async ({ number }) => {
      const url = await createEngineDatabase();
      await makeSchema(url, number);
      await rawSql(url, `insert into audit_entries values (1, 'kept')`);
      const storage = await open(url);
      expect(await storage.read.all(leaves, {})).toEqual([{ seq: 1, leaf: 'kept' }]);
      expect(await dumpSchema(url)).toBe(readFileSync(dumpFile(), 'utf8'));
      const [mark] = await rawSql(url, `select value from meta where key = 'min_reader'`);
      expect(Number(mark?.['value'])).toBeLessThanOrEqual(number);
      // Once more finds nothing to do.
      await open(url);
    },
  );

  it('keeps what is there, and the installation its id', async () => {
    const url = await createEngineDatabase();
    const first = await openStorage(url);
    const id = await installationId(first.read);
    expect(await logHasEntries(first.read)).toBe(false);
    await append(first, 'kept');
    await first.close();
    const second = await open(url);
    expect(await installationId(second.read)).toBe(id);
    expect(await logHasEntries(second.read)).toBe(true);
    expect(await second.read.all(leaves, {})).toEqual([{ seq: 1, leaf: 'kept' }]);
  });

  it('refuses a database of another application and leaves it alone', async () => {
    const url = await createEngineDatabase();
    await rawSql(url, 'create table theirs (id integer)', 'insert into theirs values (1)');
    await expect(openStorage(url)).rejects.toMatchObject({ code: 'database-foreign' });
    expect(await rawSql(url, 'select * from theirs')).toEqual([{ id: 1 }]);
  });

  it('refuses a meta table that is not ours', async () => {
    const url = await createEngineDatabase();
    await rawSql(
      url,
      'create table meta (key text, value text)',
      "insert into meta values ('application', 'other')",
    );
    await expect(openStorage(url)).rejects.toMatchObject({ code: 'database-foreign' });
  });

  it('refuses a database whose min_reader is newer, and starts on one that is only newer', async () => {
    const url = await createEngineDatabase();
    await (await openStorage(url)).close();
    const newer = SCHEMA + 1;
    await rawSql(
      url,
      engine() === 'sqlite'
        ? `pragma user_version = ${newer}`
        : `update meta set value = '${newer}' where key = 'schema'`,
      `update meta set value = '${SCHEMA}' where key = 'min_reader'`,
    );
    await (await openStorage(url)).close();
    await rawSql(url, `update meta set value = '${newer}' where key = 'min_reader'`);
    await expect(openStorage(url)).rejects.toMatchObject({ code: 'database-newer' });
  });

  it('refuses work after it was closed', async () => {
    const storage = await openStorage(await createEngineDatabase());
    await storage.close();
    await expect(append(storage, 'late')).rejects.toThrow(/closed/);
  });
});

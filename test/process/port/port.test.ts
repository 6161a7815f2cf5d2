import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { openStorage } from '../../../service/storage/open.ts';
import { openSource } from '../../../service/storage/port/source.ts';
import { createDatabase, query } from '../../helpers/postgres.ts';
import { rawSql } from '../../storage/engine.ts';
import { factory } from '../../scripts/cli.ts';
import { filledFolder, usedFolder } from './filled.ts';

interface Json {
  tables: { name: string; rows: number; source: number; target: number; differences: number }[];
  quarantined: { table: string; key: string[]; reason: string }[];
  cannotGo: { table: string; key: string[]; reason: string }[];
  rows: number;
  before: number;
  again: string | null;
  same: boolean;
  finished: boolean;
  schema: string[];
  sequences: unknown[];
  audit: { same: boolean; source: { ok: boolean; size: number; root: string }; target: { root: string } };
  error: { code: string; hint: string };
}

const port = (folder: string, verb: string, to: string, ...more: string[]) =>
  factory(folder, ['port', verb, '--to', to, '--json', ...more]);

const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

// The first one starts the server, too.
describe('a port to Postgres', { timeout: 90_000 }, () => {
  it('brings every table over, and leaves the old database as it was', async () => {
    const { folder, path } = await filledFolder(100);
    const to = await createDatabase();
    const source = openSource(path, { alone: false });
    const counts = source.tables.map((table) => ({ name: table.name, rows: source.count(table) }));
    source.close();
    expect(counts.filter(({ rows }) => rows === 0)).toEqual([]);
    const fresh = await createDatabase();
    await (await openStorage(fresh)).close();
    const known = await query<{ name: string }>(
      fresh,
      "select tablename as name from pg_tables where schemaname = 'public' order by 1",
    );
    expect(counts.map(({ name }) => name).sort()).toEqual(known.map(({ name }) => name).sort());

    const before = digest(path);
    const checked = await port(folder, 'check', to);
    expect(checked.json<Json>()).toMatchObject({ tables: counts, cannotGo: [], target: 'empty' });
    expect(checked.exit).toBe(0);
    const copied = await port(folder, 'copy', to);
    expect(copied.json<Json>()).toMatchObject({ quarantined: [], before: 0, again: null });
    expect(copied.json<Json>().tables.map(({ name, rows }) => ({ name, rows }))).toEqual(counts);
    expect(copied.exit).toBe(0);
    await expect(openStorage(to)).rejects.toMatchObject({ code: 'port-unfinished' });

    const verified = await port(folder, 'verify', to);
    expect(verified.json<Json>()).toMatchObject({ same: true, finished: true, schema: [], sequences: [] });
    expect(verified.exit).toBe(0);
    expect(digest(path)).toBe(before);
    await (await openStorage(to)).close();
    expect((await port(folder, 'verify', to)).json<Json>()).toMatchObject({ same: true, finished: false });
    expect((await port(folder, 'copy', to)).json<Json>().error.code).toBe('port-finished');
  });

  it('goes on with numbers where the old database was', async () => {
    const { folder, path } = await filledFolder(20);
    const to = await createDatabase();
    await port(folder, 'copy', to);
    expect((await port(folder, 'verify', to)).exit).toBe(0);
    const given = new Database(path, { readonly: true });
    const last = given.prepare("select seq from sqlite_sequence where name = 'chat_messages'").pluck().get();
    expect(given.prepare('select max(number) from chat_messages').pluck().get()).toBeLessThan(Number(last));
    given.close();
    const [next] = await query<{ n: string }>(
      to,
      "select nextval(pg_get_serial_sequence('chat_messages', 'number')) as n",
    );
    expect(Number(next?.n)).toBe(Number(last) + 1);
  });

  it('has the same audit log, which verifies on both', async () => {
    const folder = await usedFolder();
    const to = await createDatabase();
    await port(folder, 'copy', to);
    const { audit, same } = (await port(folder, 'verify', to)).json<Json>();
    expect(same).toBe(true);
    expect(audit.source).toMatchObject({ ok: true });
    expect(audit.source.size).toBeGreaterThan(3);
    expect(audit.target).toEqual(audit.source);
    const after = await factory(folder, ['verify-audit', '--json'], { FACTORY_DATABASE_URL: to });
    expect(after.json()).toMatchObject({ ok: true, root: audit.source.root });
    expect((await factory(folder, ['people', 'list'], { FACTORY_DATABASE_URL: to })).stdout).toContain(
      'Grace',
    );
  });

  it('names what cannot go, never drops it, and takes it once it was repaired', async () => {
    const { folder, path } = await filledFolder(20);
    const to = await createDatabase();
    const handle = new Database(path);
    handle.prepare(`insert into backup_facts values (?, 'u', 'k', 'a', ?)`).run('nul\0key', 'v');
    handle.prepare(`insert into backup_facts values ('utf', 'u', 'k', 'a', cast(x'61ff' as text))`).run();
    handle.prepare(`insert into backup_facts values ('blob', 'u', 'k', 'a', x'00')`).run();
    // Foreign keys were off when this one came.
    handle.pragma('foreign_keys = OFF');
    handle.prepare(`insert into token_uses values ('main', 'nobody', 'u')`).run();
    handle.close();
    const expected = [
      { table: 'backup_facts', key: ['nul\0key', 'u', 'k'], reason: expect.stringContaining('NUL') },
      { table: 'backup_facts', key: ['utf', 'u', 'k'], reason: expect.stringContaining('UTF-8') },
      { table: 'backup_facts', key: ['blob', 'u', 'k'], reason: expect.stringContaining('another type') },
    ];
    const checked = await port(folder, 'check', to);
    expect(checked.exit).toBe(1);
    expect(checked.json<Json>().cannotGo).toMatchObject(expected);
    const copied = await port(folder, 'copy', to);
    expect(copied.exit).toBe(1);
    expect(copied.json<Json>().quarantined).toMatchObject([
      ...expected,
      { table: 'token_uses', key: ['main', 'nobody'], reason: expect.stringContaining('fkey') },
    ]);
    const verified = await port(folder, 'verify', to);
    expect(verified.exit).toBe(1);
    const found = verified.json<Json>().tables.filter(({ differences }) => differences > 0);
    expect(found.map(({ name, differences }) => [name, differences])).toEqual([
      ['backup_facts', 3],
      ['token_uses', 1],
    ]);
    await expect(openStorage(to)).rejects.toMatchObject({ code: 'port-unfinished' });

    await rawSql(
      `sqlite:${path}`,
      `delete from backup_facts where url = 'u'`,
      `delete from token_uses where token_id = 'nobody'`,
    );
    const again = await port(folder, 'copy', to);
    expect(again.json<Json>()).toMatchObject({ again: 'source-changed', quarantined: [] });
    expect((await port(folder, 'verify', to)).exit).toBe(0);
  });

  it('is refused while somebody uses the old database, and into what holds something else', async () => {
    const { folder, path } = await filledFolder(5);
    const to = await createDatabase();
    const service = await openStorage(`sqlite:${path}`);
    const refused = await port(folder, 'copy', to);
    expect(refused.exit).toBe(4);
    expect(refused.json<Json>().error.code).toBe('database-in-use');
    expect((await port(folder, 'check', to)).exit).toBe(0);
    await service.close();
    expect(await query(to, "select 1 from pg_namespace where nspname = 'factory_port'")).toEqual([]);

    const foreign = await createDatabase();
    await query(foreign, 'create table theirs (id int)');
    expect((await port(folder, 'copy', foreign)).json<Json>().error.code).toBe('database-foreign');
    const other = await createDatabase();
    await (await openStorage(other)).close();
    const taken = await port(folder, 'copy', other);
    expect([taken.exit, taken.json<Json>().error.code]).toEqual([4, 'port-target-taken']);
    await port(folder, 'copy', to);
    const another = await usedFolder();
    expect((await port(another, 'copy', to)).json<Json>().error.code).toBe('port-target-taken');
    expect((await port(folder, 'verify', await createDatabase())).json<Json>().error.code).toBe(
      'port-missing',
    );
    expect((await factory(folder, ['port', 'copy', '--to', 'sqlite:x'])).exit).toBe(2);
    const wrong = await factory(folder, ['port', 'check', '--to', to, '--json'], {
      FACTORY_DATABASE_URL: to,
    });
    expect(wrong.json<Json>().error.code).toBe('port-source');
    expect(join(folder, 'data', 'factory.db')).toBe(path);
  });
});

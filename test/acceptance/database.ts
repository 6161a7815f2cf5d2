import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import type { Place } from '../process/service.ts';

/** The tables as somebody with access to the database sees and changes them, around the product. */

/** Rows of a query without parameters; int8 as number. */
export async function readRows<T>(place: Place, sql: string): Promise<T[]> {
  return withDatabase(place, (run) => run(sql) as Promise<T[]>);
}

/** Runs statements one after the other, with foreign keys and triggers out of the way. */
export async function tamper(
  place: Place,
  statements: readonly { sql: string; values?: unknown[] }[],
): Promise<void> {
  await withDatabase(place, async (run) => {
    for (const { sql, values } of statements) await run(sql, values);
  });
}

type RunSql = (sql: string, values?: unknown[]) => Promise<unknown[]>;

/** `?` in the SQL stands for a value on both engines. */
export async function withDatabase<T>(place: Place, work: (run: RunSql) => Promise<T>): Promise<T> {
  const url = place.env.FACTORY_DATABASE_URL;
  return url?.startsWith('postgres') ? onPostgres(url, work) : onSqlite(join(place.data, 'factory.db'), work);
}

async function onSqlite<T>(path: string, work: (run: RunSql) => Promise<T>): Promise<T> {
  const handle = new Database(path, { timeout: 10_000 });
  handle.pragma('foreign_keys = OFF');
  try {
    return await work(async (sql, values = []) => {
      const prepared = handle.prepare(sql);
      if (prepared.reader) return prepared.all(...values);
      prepared.run(...values);
      return [];
    });
  } finally {
    handle.close();
  }
}

async function onPostgres<T>(url: string, work: (run: RunSql) => Promise<T>): Promise<T> {
  const types = {
    getTypeParser: ((oid: number, format?: 'text') =>
      oid === 20 ? Number : pg.types.getTypeParser(oid, format)) as never,
  };
  const client = new pg.Client({ connectionString: url, types });
  await client.connect();
  try {
    await client.query('set session_replication_role = replica');
    return await work(async (sql, values = []) => {
      let n = 0;
      return (
        await client.query(
          sql.replaceAll('?', () => `$${(n += 1)}`),
          values,
        )
      ).rows as unknown[];
    });
  } finally {
    await client.end();
  }
}

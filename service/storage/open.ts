import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { FactoryError } from '../errors.ts';
import { assertReadable, migrate, SCHEMA } from './migrate.ts';
import { connectPostgres, postgresStorage } from './postgres.ts';
import { APPLICATION_ID, foreignDatabase, inspectSqlite, openSqliteHandle, sqliteStorage } from './sqlite.ts';
import { param, statement } from './statement.ts';
import type { Reader, Storage } from './transaction.ts';

/** Marks our Postgres schema, as `application_id` marks our SQLite files. */
const APPLICATION = 'build-factory';

/**
 * Opens the database that `url` names (`sqlite:PATH` or `postgres://…`), creating or migrating it.
 * Errors: `database-foreign`, `database-newer`, `database-unwritable`, `database-unreachable`, `sqlite-too-old`.
 */
export async function openStorage(url: string): Promise<Storage> {
  if (url.startsWith('sqlite:')) return openSqlite(url.slice('sqlite:'.length));
  return openPostgres(url);
}

async function openSqlite(path: string): Promise<Storage> {
  const found = inspectSqlite(path);
  assertReadable(path, found.minReader);
  if (found.schema < SCHEMA) {
    const handle = openSqliteHandle(path);
    try {
      handle.pragma('busy_timeout = 10000');
      handle.exec('BEGIN IMMEDIATE');
      // Another process may have been first.
      const from = handle.pragma('user_version', { simple: true }) as number;
      await migrate(
        {
          types: { integer: 'integer', blob: 'blob' },
          execute: async (sql) => void handle.exec(sql),
          mark: async (schema, minReader) => {
            handle.pragma(`user_version = ${schema}`);
            handle.pragma(`application_id = ${APPLICATION_ID}`);
            handle.exec(markSql(minReader));
          },
        },
        from,
      );
      handle.exec('COMMIT');
    } finally {
      handle.close();
    }
  }
  return sqliteStorage(path);
}

async function openPostgres(url: string): Promise<Storage> {
  const { pool, version } = await connectPostgres(url);
  try {
    const client = await pool.connect();
    try {
      await migratePostgres(client, url);
    } finally {
      client.release();
    }
    return postgresStorage(url, pool, version);
  } catch (error) {
    await pool.end();
    if (error instanceof FactoryError) throw error;
    throw new FactoryError({
      code: 'database-unwritable',
      op: 'open database',
      message: `The Postgres database cannot be prepared: ${(error as Error).message}.`,
      hint: 'The user of FACTORY_DATABASE_URL needs the right to create tables in its schema.',
      cause: error,
    });
  }
}

async function migratePostgres(client: pg.PoolClient, url: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(`SELECT pg_advisory_xact_lock(${APPLICATION_ID}, 1)`);
    const { schema, minReader } = await inspectPostgres(client, new URL(url).pathname.slice(1));
    assertReadable('the Postgres database', minReader);
    await migrate(
      {
        types: { integer: 'bigint', blob: 'bytea' },
        execute: async (sql) => void (await client.query(sql)),
        mark: async (number, reader) => {
          await client.query(markSql(reader));
          await client.query(
            `insert into meta (key, value) values ('application', '${APPLICATION}'), ('schema', '${number}')
             on conflict (key) do update set value = excluded.value`,
          );
        },
      },
      schema,
    );
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

async function inspectPostgres(
  client: pg.PoolClient,
  name: string,
): Promise<{ schema: number; minReader: number }> {
  const tables = await client.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = current_schema()`,
  );
  if (tables.rows.length === 0) return { schema: 0, minReader: 0 };
  if (!tables.rows.some((table) => table.name === 'meta'))
    throw foreignDatabase(`The Postgres database ${name}`);
  const meta = await client
    .query<{ key: string; value: string }>('select key, value from meta')
    .catch((error: unknown) => Promise.reject(foreignDatabase(`The Postgres database ${name}`, error)));
  const values = new Map(meta.rows.map((row) => [row.key, row.value]));
  if (values.get('application') !== APPLICATION) throw foreignDatabase(`The Postgres database ${name}`);
  return { schema: Number(values.get('schema')), minReader: Number(values.get('min_reader')) };
}

/** Both engines: min_reader, and the installation's id, which stays as it was first set. */
function markSql(minReader: number): string {
  return `insert into meta (key, value) values ('min_reader', '${minReader}') on conflict (key) do update set value = excluded.value;
    insert into meta (key, value) values ('installation', '${randomUUID()}') on conflict (key) do nothing`;
}

const meta = statement<{ key: string }>()((db) =>
  db.selectFrom('meta').select('value').where('key', '=', param('key')),
);

/** The id of this installation, set when the database was made; names its audit log. */
export async function installationId(reader: Reader): Promise<string> {
  const row = await reader.get(meta, { key: 'installation' });
  return row?.value ?? '';
}

const newestEntry = statement()((db) =>
  db.selectFrom('audit_entries').select((e) => e.fn.max('seq').as('seq')),
);

/** Whether the audit log has begun: then its keys must exist. */
export async function logHasEntries(reader: Reader): Promise<boolean> {
  const row = await reader.get(newestEntry, {});
  return Number(row?.seq ?? 0) > 0;
}

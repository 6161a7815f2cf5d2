import type pg from 'pg';
import { FactoryError } from '../errors.ts';
import { foreignDatabase } from './foreign.ts';
import { markSql } from './mark.ts';
import { assertReadable, COLUMN_TYPES, migrate, SCHEMA } from './migrate.ts';
import { assertPorted, PORT_IS_OPEN } from './port-mark.ts';
import { connectPostgres, postgresStorage, WRITE_LOCK } from './postgres.ts';
import type { Storage } from './transaction.ts';

/** Marks our Postgres schema, as `application_id` marks our SQLite files. */
export const APPLICATION = 'build-factory';

/** Opens the Postgres database, creating or migrating its tables. */
export async function openPostgres(url: string): Promise<Storage> {
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

/** Null where opening would create or migrate its tables. */
export async function openPostgresAsItIs(url: string): Promise<Storage | null> {
  const { pool, version } = await connectPostgres(url);
  try {
    const client = await pool.connect();
    try {
      const { schema, minReader } = await inspectPostgres(client, new URL(url).pathname.slice(1));
      assertReadable('the Postgres database', minReader);
      if (schema >= SCHEMA) return postgresStorage(url, pool, version);
    } finally {
      client.release();
    }
  } catch (error) {
    await pool.end();
    throw error;
  }
  await pool.end();
  return null;
}

/** Reads the id of the installation and makes no table. */
export async function postgresInstallation(url: string): Promise<string | null> {
  const { pool } = await connectPostgres(url);
  try {
    const { rows } = await pool.query<{ found: string | null }>(`select to_regclass('meta')::text as found`);
    if (!rows[0]?.found) return null;
    const meta = await pool.query<{ value: string }>(`select value from meta where key = 'installation'`);
    return meta.rows[0]?.value ?? null;
  } finally {
    await pool.end();
  }
}

async function migratePostgres(client: pg.PoolClient, url: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(`SELECT pg_advisory_xact_lock(${WRITE_LOCK[0]}, ${WRITE_LOCK[1]})`);
    const { schema, minReader } = await inspectPostgres(client, new URL(url).pathname.slice(1));
    assertReadable('the Postgres database', minReader);
    await migrate(
      {
        types: COLUMN_TYPES.postgres,
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
  const port = await client.query<{ open: boolean }>(PORT_IS_OPEN);
  assertPorted(`The Postgres database ${name}`, port.rows[0]?.open);
  if (!tables.rows.some((table) => table.name === 'meta'))
    throw foreignDatabase(`The Postgres database ${name}`);
  const meta = await client
    .query<{ key: string; value: string }>('select key, value from meta')
    .catch((error: unknown) => Promise.reject(foreignDatabase(`The Postgres database ${name}`, error)));
  const values = new Map(meta.rows.map((row) => [row.key, row.value]));
  if (values.get('application') !== APPLICATION) throw foreignDatabase(`The Postgres database ${name}`);
  return { schema: Number(values.get('schema')), minReader: Number(values.get('min_reader')) };
}

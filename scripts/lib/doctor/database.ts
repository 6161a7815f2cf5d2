import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { assertReadable, SCHEMA } from '../../../service/storage/migrate.ts';
import { openStorage } from '../../../service/storage/open.ts';
import { connectPostgres } from '../../../service/storage/postgres.ts';
import { inspectSqlite } from '../../../service/storage/sqlite.ts';
import type { Storage } from '../../../service/storage/transaction.ts';
import { ok, warn } from './check.ts';
import type { Check } from './check.ts';

const NAME = 'database';

/** The database, opened where that changes nothing: it is ours and needs no migration. */
export interface Found {
  check: Check;
  storage: Storage | null;
}

/** Errors: those of opening a database. */
export async function findDatabase({ databaseUrl }: Pick<Config, 'databaseUrl'>): Promise<Found> {
  const { schema, minReader } = databaseUrl.startsWith('sqlite:')
    ? inspectSqlite(databaseUrl.slice('sqlite:'.length))
    : await inspectPostgres(databaseUrl);
  if (schema === 0) return { check: ok(NAME, 'There is none yet; the first start makes it.'), storage: null };
  assertReadable('the database', minReader);
  if (schema < SCHEMA) {
    const detail = `Schema ${schema}; the next start brings it to ${SCHEMA}.`;
    return { check: warn(NAME, detail, 'Take a backup, then start the service.'), storage: null };
  }
  const storage = await openStorage(databaseUrl);
  return { check: ok(NAME, `${storage.description}, schema ${schema}.`), storage };
}

/** Reads without making a table; schema 0 is an empty database. Errors: `database-foreign`, `database-unreachable`. */
export async function inspectPostgres(url: string): Promise<{ schema: number; minReader: number }> {
  const { pool } = await connectPostgres(url);
  try {
    const tables = await pool.query(
      'select table_name from information_schema.tables where table_schema = current_schema()',
    );
    if (tables.rowCount === 0) return { schema: 0, minReader: 0 };
    const { rows } = await pool.query<{ key: string; value: string }>('select key, value from meta');
    const values = new Map(rows.map(({ key, value }) => [key, value]));
    if (values.get('application') !== 'build-factory')
      throw new Error('It has another application in its meta table.');
    return { schema: Number(values.get('schema')), minReader: Number(values.get('min_reader')) };
  } catch (cause) {
    throw new FactoryError({
      code: 'database-foreign',
      op: 'inspect database',
      message: `The Postgres database is not one of Build Factory: ${(cause as Error).message}`,
      hint: 'Point FACTORY_DATABASE_URL to another database; nothing was changed.',
      cause,
    });
  } finally {
    await pool.end();
  }
}

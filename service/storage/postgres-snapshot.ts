import { createHash } from 'node:crypto';
import pg from 'pg';
import { FactoryError } from '../errors.ts';
import { blobNamesOf } from './blob-names.ts';
import { foreignDatabase } from './foreign.ts';
import { APPLICATION } from './open-postgres.ts';
import { describe, unreachable } from './postgres.ts';

/** One committed state of our Postgres database, held open for whoever copies it, and what can be said of it. */

/** What a state holds; a restored database that has the same is the one that was taken. */
export interface PostgresFacts {
  /** As the server says it, e.g. `16.4`. */
  serverVersion: string;
  database: string;
  /** The schema number of the release that wrote it. */
  schema: number;
  /** Of its tables' columns, indexes and constraints, in the order of their names. */
  schemaSha256: string;
  /** `schema.table` -> rows. */
  rows: Record<string, number>;
}

export interface PostgresSnapshot {
  /** Names the state to other connections as long as this one is open. */
  id: string;
  serverVersion: string;
  database: string;
  /** Counts every table, so it takes as long as reading the database. Errors: `snapshot-empty`, `database-foreign`. */
  facts(): Promise<PostgresFacts>;
  /** Sealed attachments that this state names. */
  blobNames(): Promise<string[]>;
  close(): Promise<void>;
}

/** Opens the last committed state. Writers go on meanwhile. Errors: `database-unreachable`. */
export async function openPostgresSnapshot(url: string, signal: AbortSignal): Promise<PostgresSnapshot> {
  const client = await connect(url);
  const stop = (): void => void client.end();
  signal.addEventListener('abort', stop, { once: true });
  const close = async (): Promise<void> => {
    signal.removeEventListener('abort', stop);
    await client.end().catch(() => undefined);
  };
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // A server may end transactions that wait; this one waits for its copy.
    await client.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    await client.query('SET LOCAL statement_timeout = 0');
    const { rows } = await client.query<{ id: string; version: string; database: string }>(
      `select pg_export_snapshot() as id, current_setting('server_version') as version, current_database() as database`,
    );
    const { id = '', version = '', database = '' } = rows[0] ?? {};
    const known = { serverVersion: version.split(' ')[0] ?? version, database };
    const blobNames = () => blobNamesOf(client);
    return {
      id,
      ...known,
      close,
      blobNames,
      facts: async () => ({ ...known, ...(await contents(client, url)) }),
    };
  } catch (error) {
    await close();
    throw error instanceof FactoryError ? error : unreachable(error);
  }
}

/** What a database holds now. Errors: as `openPostgresSnapshot`, and those of `facts`. */
export async function postgresFacts(url: string, signal: AbortSignal): Promise<PostgresFacts> {
  const snapshot = await openPostgresSnapshot(url, signal);
  try {
    return await snapshot.facts();
  } finally {
    await snapshot.close();
  }
}

/** Bytes of a database on its server. Errors: `database-unreachable`. */
export async function postgresSize(url: string): Promise<number> {
  const client = await connect(url);
  try {
    const { rows } = await client.query<{ bytes: string }>(
      'select pg_database_size(current_database()) as bytes',
    );
    return Number(rows[0]?.bytes);
  } catch (error) {
    throw unreachable(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  // A connection that breaks is told by its next query; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect().catch((error: unknown) => Promise.reject(unreachable(error)));
  return client;
}

async function contents(
  client: pg.Client,
  url: string,
): Promise<Pick<PostgresFacts, 'schema' | 'schemaSha256' | 'rows'>> {
  try {
    const tables = await tablesOf(client);
    if (tables.length === 0) throw empty(describe(url));
    const schema = await schemaNumber(client, url);
    const schemaSha256 = await schemaDigest(client);
    const rows: Record<string, number> = {};
    for (const { name, quoted } of tables) {
      const counted = await client.query<{ n: string }>(`select count(*) as n from ${quoted}`);
      rows[name] = Number(counted.rows[0]?.n);
    }
    return { schema, schemaSha256, rows };
  } catch (error) {
    throw error instanceof FactoryError ? error : unreachable(error);
  }
}

/** What people and applications made: nothing of the server's own, nor of an extension. */
const OURS = `n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname not like 'pg_temp%'
  and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')`;

async function tablesOf(client: pg.Client): Promise<{ name: string; quoted: string }[]> {
  const { rows } = await client.query<{ name: string; quoted: string }>(
    `select n.nspname || '.' || c.relname as name, format('%I.%I', n.nspname, c.relname) as quoted
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and ${OURS}`,
  );
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function schemaNumber(client: pg.Client, url: string): Promise<number> {
  const { rows: found } = await client.query<{ meta: string | null }>(
    `select to_regclass('meta')::text as meta`,
  );
  if (!found[0]?.meta) throw foreignDatabase(describe(url));
  const { rows } = await client.query<{ key: string; value: string }>('select key, value from meta');
  const values = new Map(rows.map(({ key, value }) => [key, value]));
  if (values.get('application') !== APPLICATION) throw foreignDatabase(describe(url));
  return Number(values.get('schema'));
}

/** Not null as a constraint of its own is what one server version has and another has not. */
async function schemaDigest(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ line: string }>(
    `select format('column %I.%I %s %I %s %s', n.nspname, c.relname, row_number() over (partition by c.oid order by a.attnum),
         a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull) as line
       from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
       where c.relkind = 'r' and a.attnum > 0 and not a.attisdropped and ${OURS}
     union all
     select 'index ' || pg_get_indexdef(i.indexrelid)
       from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and ${OURS}
     union all
     select format('constraint %I.%I %I %s', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid))
       from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and k.contype <> 'n' and ${OURS}`,
  );
  const lines = rows.map(({ line }) => line).sort();
  return createHash('sha256').update(JSON.stringify(lines)).digest('hex');
}

function empty(target: string): FactoryError {
  return new FactoryError({
    code: 'snapshot-empty',
    op: 'copy database',
    target,
    message: `The Postgres database ${target} has no tables, so it is no copy of anything.`,
    hint: 'Look whether FACTORY_DATABASE_URL names the right one; an empty database is not backed up.',
  });
}

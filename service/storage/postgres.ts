import { createHash } from 'node:crypto';
import pg from 'pg';
import { FactoryError } from '../errors.ts';
import { GroupCommit } from './group-commit.ts';
import { bind, compile, type Build, type Compiled, type Statement } from './statement.ts';
import type { Reader, Storage, Writer } from './transaction.ts';

/** Serialises the write transactions of all processes on one database ("BFac", 1). */
export const WRITE_LOCK = [0x42466163, 1] as const;

const CONNECTIONS = 8;

/** int8 and numeric arrive as text by default; every number of ours fits a double. */
const NUMBERS: readonly number[] = [pg.types.builtins.INT8, pg.types.builtins.NUMERIC];
const types = {
  getTypeParser: (oid: number, format?: 'text') =>
    NUMBERS.includes(oid) ? Number : (pg.types.getTypeParser(oid, format) as (text: string) => unknown),
} as pg.CustomTypesConfig;

interface Queryable {
  query(config: string | pg.QueryConfig, values?: unknown[]): Promise<pg.QueryResult>;
}

/** A pool or a client whose failures to reach the server are told as such. */
function reaching(queryable: Queryable): Queryable {
  return {
    query: (config, values) =>
      (typeof config === 'string' ? queryable.query(config, values) : queryable.query(config)).catch(rethrow),
  };
}

/** One client takes one query at a time; callers may ask side by side, as on SQLite. */
function inTurn(client: pg.PoolClient): Queryable {
  const reached = reaching(client);
  let last: Promise<unknown> = Promise.resolve();
  return {
    query(config, values) {
      const result = last.then(() => reached.query(config, values));
      last = result.catch(() => undefined);
      return result;
    },
  };
}

class Connection implements Reader {
  private readonly names = new Map<Compiled, string>();
  private readonly source: () => Queryable;

  constructor(source: () => Queryable) {
    this.source = source;
  }

  async all<P, R>(statement: Statement<P, R>, params: P): Promise<R[]> {
    return (await this.execute(statement.compiled('postgres'), params as Record<string, unknown>))
      .rows as R[];
  }

  async get<P, R>(statement: Statement<P, R>, params: P): Promise<R | undefined> {
    return (await this.all(statement, params))[0];
  }

  async query<R>(build: Build<R>): Promise<R[]> {
    const compiled = compile('postgres', build);
    return (await this.source().query(compiled.sql, bind(compiled, {}))).rows as R[];
  }

  async run<P, R>(statement: Statement<P, R>, params: P): Promise<{ changes: number }> {
    const result = await this.execute(statement.compiled('postgres'), params as Record<string, unknown>);
    return { changes: result.rowCount ?? 0 };
  }

  private execute(compiled: Compiled, params: Record<string, unknown>): Promise<pg.QueryResult> {
    let name = this.names.get(compiled);
    if (!name) this.names.set(compiled, (name = createHash('sha1').update(compiled.sql).digest('hex')));
    return this.source().query({ name, text: compiled.sql, values: bind(compiled, params) });
  }
}

class PostgresWriter extends Connection implements Writer {
  private readonly pool: pg.Pool;
  private client: pg.PoolClient | null = null;
  private turns: Queryable | null = null;

  constructor(pool: pg.Pool) {
    super(() => this.open());
    this.pool = pool;
  }

  async begin(): Promise<void> {
    try {
      this.client = await this.pool.connect();
      this.turns = inTurn(this.client);
      await this.turns.query('BEGIN');
      await this.turns.query(`SELECT pg_advisory_xact_lock(${WRITE_LOCK[0]}, ${WRITE_LOCK[1]})`);
    } catch (error) {
      throw error instanceof FactoryError ? error : unreachable(error);
    }
  }

  async savepoint(): Promise<void> {
    await this.open().query('SAVEPOINT unit');
  }

  async releaseSavepoint(): Promise<void> {
    await this.open().query('RELEASE SAVEPOINT unit');
  }

  async rollbackToSavepoint(): Promise<void> {
    await this.open().query('ROLLBACK TO SAVEPOINT unit');
    await this.open().query('RELEASE SAVEPOINT unit');
  }

  async commit(): Promise<void> {
    await this.open().query('COMMIT');
    this.client?.release();
    this.client = null;
  }

  async abandon(): Promise<void> {
    const client = this.client;
    this.client = null;
    if (!client) return;
    const clean = await client.query('ROLLBACK').then(
      () => true,
      () => false,
    );
    client.release(!clean);
  }

  private open(): Queryable {
    if (!this.client || !this.turns) throw new Error('no transaction is open');
    return this.turns;
  }
}

export function unreachable(cause: unknown): FactoryError {
  return new FactoryError({
    code: 'database-unreachable',
    op: 'reach Postgres',
    message: `Postgres cannot be used: ${(cause as Error).message || (cause as { code?: string }).code}.`,
    hint: 'Check that the server runs, and host, user, password and database name in FACTORY_DATABASE_URL.',
    retryable: true,
    cause,
  });
}

/** Of the server: it shuts down, starts, or takes no more connections; class 08 is the connection itself. */
const AWAY = /^(?:08...|57P0[123]|53300)$/;
/** Of the way to it, as Node names it. */
const NO_WAY = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOENT', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['EHOSTUNREACH', 'ENETUNREACH'],
]);
/** Of the driver, which gives these no code. */
const BROKEN = /connection terminated|trying to connect|connection error|client was closed/i;

/** What may go by itself is told as that; everything else is thrown as it is. */
function rethrow(error: unknown): never {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const away =
    error instanceof pg.DatabaseError
      ? AWAY.test(String(code))
      : NO_WAY.has(String(code)) || BROKEN.test(String(message));
  throw away ? unreachable(error) : error;
}

/** Where a Postgres URL leads, without its password. */
export function describe(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname || 'local socket'}${port ? `:${port}` : ''}${pathname}`;
}

export function createPool(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: CONNECTIONS,
    types,
    connectionTimeoutMillis: 10_000,
  });
  // An idle connection that breaks is replaced on the next use; without a listener it would end the process.
  pool.on('error', () => undefined);
  // The same for one that is in use: whoever uses it is told by their next query.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

export async function connectPostgres(url: string): Promise<{ pool: pg.Pool; version: string }> {
  const pool = createPool(url);
  try {
    const { rows } = await pool.query<{ server_version: string }>('show server_version');
    return { pool, version: rows[0]?.server_version ?? 'unknown' };
  } catch (error) {
    await pool.end();
    throw unreachable(error);
  }
}

/** The storage on one Postgres database: units of this process share one transaction, processes take turns. */
export function postgresStorage(url: string, pool: pg.Pool, version: string): Storage {
  const commits = new GroupCommit(new PostgresWriter(pool));
  const reached = reaching(pool);
  return {
    engine: 'postgres',
    description: `Postgres ${version} at ${describe(url)}`,
    read: new Connection(() => reached),
    write: (unit) => commits.write(unit),
    // The server's own log is its own affair; what lies there is sealed.
    settle: async () => undefined,
    snapshot: async (work) => {
      const client = await pool.connect().catch(rethrow);
      const turns = inTurn(client);
      try {
        await turns.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        return await work(new Connection(() => turns));
      } finally {
        const clean = await client.query('ROLLBACK').then(
          () => true,
          () => false,
        );
        client.release(!clean);
      }
    },
    close: async () => {
      await commits.close();
      await pool.end();
    },
  };
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { FactoryError } from '../errors.ts';
import { describe, unreachable } from './postgres.ts';

/** The databases of a Postgres server: made, renamed and dropped over a connection to none of them. */

/** A database of ours that is not there to stay; the name of one whose process died tells the next one what may go. */
export const SCRATCH = /^factory_scratch_[0-9a-f]{16}$/;

/** Claims of scratch databases ("BFac", 2 is `WRITE_LOCK`'s neighbour): held as long as the process has its connection. */
const CLAIM = 0x42466164;
/**
 * Held while a database is made: the server goes on with that although its client was killed, and a drop that does not wait
 * for it finds nothing, before there is one that nobody knows of.
 */
const MAKING = 0x42466165;
const MAKING_WAIT = '120s';
/** Both are on every server that nobody changed; providers take one or the other away. */
const MAINTENANCE = ['postgres', 'template1', 'defaultdb'];
/** The database is not there, or this user may not connect to it. */
const ELSEWHERE = new Set(['3D000', '42501', '28000']);

export interface Databases {
  /** Of the server, e.g. 16. */
  readonly major: number;
  /** Who is connected. */
  readonly role: string;
  /** Whether that role may make databases, as drills and restores do, and rename its own. */
  readonly mayCreate: boolean;
  state(name: string): Promise<'absent' | 'empty' | 'taken'>;
  /** Of all databases, those that take no connections, too. */
  names(): Promise<string[]>;
  create(name: string): Promise<void>;
  /** Ends its connections. Nothing where it is not there. */
  drop(name: string): Promise<void>;
  /** All at once or none; `opened`: takes connections again, under its new name. Errors: `database-in-use`. */
  rename(steps: readonly { from: string; to: string }[], opened?: string): Promise<void>;
  /** Whether it takes new connections. */
  setOpen(name: string, open: boolean): Promise<void>;
  /** Connections that are in it. */
  connections(name: string): Promise<number>;
  /** A copy on the server; nobody may be in the original. Errors: `database-in-use`. */
  copy(from: string, to: string): Promise<void>;
  /** Bytes on the server. */
  size(name: string): Promise<number>;
  /** A name that is this process's own, until it ends. */
  claim(name: string): Promise<boolean>;
  /** Names that fit the pattern of scratch databases. */
  scratches(): Promise<string[]>;
  /** Whether the server archives its log, which recovery to a point in time needs. */
  archives(): Promise<boolean>;
  close(): Promise<void>;
}

/** Errors: `database-unreachable`, and of each of its verbs `database-refused`. */
export async function openDatabases(url: string): Promise<Databases> {
  const client = await connectSomewhere(url);
  const about = await client.query<{ major: number; role: string; may: boolean | null }>(
    `select current_setting('server_version_num')::int / 10000 as major, current_user as role,
       (select rolcreatedb or rolsuper from pg_roles where rolname = current_user) as may`,
  );
  const { major = 0, role = '', may = false } = about.rows[0] ?? {};
  const refuse = (what: string, error: unknown) => refused(what, { url, role }, error);
  const run = async (what: string, sql: string): Promise<void> => {
    await client.query(sql).catch((error: unknown) => Promise.reject(refuse(what, error)));
  };
  /** Alone with this name among those who make or drop databases. */
  const alone = async (what: string, name: string, sql: string): Promise<void> => {
    try {
      await client.query(`select set_config('lock_timeout', $1, false)`, [MAKING_WAIT]);
      await client.query('select pg_advisory_lock($1, hashtext($2))', [MAKING, name]);
    } catch (error) {
      throw refuse(what, error);
    }
    try {
      await run(what, sql);
    } finally {
      await client
        .query('select pg_advisory_unlock($1, hashtext($2))', [MAKING, name])
        .catch(() => undefined);
    }
  };
  const names = async (sql: string, values: string[]): Promise<string[]> =>
    (await client.query<{ name: string }>(sql, values)).rows.map(({ name }) => name);
  return {
    ...{ major, role, mayCreate: may === true },
    async state(name) {
      const found = await names('select datname as name from pg_database where datname = $1', [name]);
      if (found.length === 0) return 'absent';
      return (await isEmpty(databaseUrl(url, name))) ? 'empty' : 'taken';
    },
    names: () => names('select datname as name from pg_database', []),
    // template0 is never in use, template1 can be; a copy of either is the same.
    create: (name) => alone(`create ${name}`, name, `create database ${quote(name)} template template0`),
    drop: (name) => {
      const force = major >= 13 ? ' with (force)' : '';
      return alone(`drop ${name}`, name, `drop database if exists ${quote(name)}${force}`);
    },
    async rename(steps, opened) {
      await run('rename', 'begin');
      try {
        for (const { from, to } of steps)
          await run(`rename ${from}`, `alter database ${quote(from)} rename to ${quote(to)}`);
        if (opened !== undefined) await run(`open ${opened}`, openness(opened, true));
        await run('rename', 'commit');
      } catch (error) {
        await client.query('rollback').catch(() => undefined);
        throw error;
      }
    },
    setOpen: (name, open) => run(`${open ? 'open' : 'close'} ${name}`, openness(name, open)),
    async connections(name) {
      const { rows } = await client.query<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity
         where datname = $1 and backend_type is distinct from 'autovacuum worker'`,
        [name],
      );
      return rows[0]?.n ?? 0;
    },
    copy: (from, to) => alone(`copy ${from}`, to, `create database ${quote(to)} template ${quote(from)}`),
    async size(name) {
      const { rows } = await client.query<{ bytes: string }>('select pg_database_size($1::name) as bytes', [
        name,
      ]);
      return Number(rows[0]?.bytes);
    },
    async claim(name) {
      const { rows } = await client.query<{ mine: boolean }>(
        'select pg_try_advisory_lock($1, hashtext($2)) as mine',
        [CLAIM, name],
      );
      return rows[0]?.mine === true;
    },
    scratches: async () =>
      (await names('select datname as name from pg_database', [])).filter((name) => SCRATCH.test(name)),
    archives: async () => {
      const { rows } = await client.query<{ archives: boolean }>(
        `select current_setting('archive_mode') <> 'off' as archives`,
      );
      return rows[0]?.archives === true;
    },
    close: () => client.end(),
  };
}

/** The URL of another database on the same server. */
export function databaseUrl(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(name)}`;
  return other.href;
}

/** Where a server that says nothing of it may have its socket. */
const SOCKET_FOLDERS = ['/var/run/postgresql', '/tmp'];

/**
 * The same database over a unix socket of this machine, for a process that has no network; null: there is none. Whether
 * it is the same is told by the database's name, so it has to be one that no other server has.
 */
export async function overSocket(url: string): Promise<string | null> {
  const target = new URL(url);
  if ((target.searchParams.get('host') ?? decodeURIComponent(target.hostname)).startsWith('/')) return url;
  const found = await withClient(url, async (client) => {
    // Not every user may see where the sockets are.
    const { rows } = await client.query<{ name: string; setting: string }>(
      `select name, setting from pg_settings where name in ('port', 'unix_socket_directories')`,
    );
    return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
  });
  const folders = found['unix_socket_directories']?.split(/, */) ?? SOCKET_FOLDERS;
  for (const folder of folders) {
    if (!folder.startsWith('/') || !existsSync(join(folder, `.s.PGSQL.${found['port']}`))) continue;
    const other = socketUrl(target, folder, found['port'] ?? '');
    const answers = await withClient(other, (client) => client.query('select 1')).catch(() => null);
    if (answers !== null) return other;
  }
  return null;
}

function socketUrl(target: URL, folder: string, port: string): string {
  const other = new URL(target);
  other.hostname = encodeURIComponent(folder);
  other.port = port;
  for (const name of [...other.searchParams.keys()])
    if (/^(host|port|ssl.*)$/.test(name)) other.searchParams.delete(name);
  return other.href;
}

/** The database that a URL names; libpq takes the user's name where it names none. */
export function databaseName(url: string): string {
  const { pathname, username } = new URL(url);
  return decodeURIComponent(pathname.slice(1)) || decodeURIComponent(username);
}

/** Empties a database that was empty before: what a restore that failed its check has put into it. */
export async function emptyAgain(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rows } = await client.query<{ sql: string }>(
      `select format('drop table if exists %I.%I cascade', schemaname, tablename) as sql from pg_tables
       where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    for (const { sql } of rows) await client.query(sql);
  });
}

/** Statistics for the planner: a restored database has none, and would be slow until the server comes by. */
export async function analyse(url: string): Promise<void> {
  await withClient(url, async (client) => void (await client.query('analyze')));
}

async function isEmpty(url: string): Promise<boolean> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ n: number }>(
      `select count(*)::int as n from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%'
       and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')`,
    );
    return rows[0]?.n === 0;
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = newClient(url);
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw error instanceof FactoryError ? error : unreachable(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function connectSomewhere(url: string): Promise<pg.Client> {
  let last: unknown;
  for (const name of MAINTENANCE) {
    const client = newClient(databaseUrl(url, name));
    try {
      await client.connect();
      return client;
    } catch (error) {
      last = error;
      await client.end().catch(() => undefined);
      if (!ELSEWHERE.has(String((error as { code?: unknown }).code))) break;
    }
  }
  throw unreachable(last);
}

function newClient(url: string): pg.Client {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  return client;
}

const quote = (name: string): string => pg.escapeIdentifier(name);
const openness = (name: string, open: boolean): string =>
  `alter database ${quote(name)} allow_connections ${open}`;

/** What an administrator does about a role that may not make databases. */
export const createdbHint = (role: string): string =>
  `As an administrator of the server: ALTER ROLE ${quote(role)} CREATEDB.`;

function refused(what: string, { url, role }: { url: string; role: string }, cause: unknown): FactoryError {
  const { code, message } = cause as { code?: string; message: string };
  // 55006: it is being accessed by other users.
  if (code === '55006')
    return new FactoryError({
      code: 'database-in-use',
      op: what,
      target: describe(url),
      message: `Postgres does not ${what}: ${message}.`,
      hint: 'Stop every service and tool that uses the database, then try again. Nothing was changed.',
      retryable: true,
      cause,
    });
  return new FactoryError({
    code: 'database-refused',
    op: what,
    target: describe(url),
    message: `Postgres does not ${what}: ${message}.`,
    hint: `Drills and restores make databases. ${createdbHint(role)} Or let one make an empty database to restore into.`,
    cause,
  });
}

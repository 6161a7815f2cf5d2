import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { FactoryError } from '../../errors.ts';
import { foreignDatabase } from '../foreign.ts';
import { markSql } from '../mark.ts';
import { COLUMN_TYPES, migrate, SCHEMA } from '../migrate.ts';
import { APPLICATION } from '../open-postgres.ts';
import { PORT_SCHEMA } from '../port-mark.ts';
import { describe, unreachable } from '../postgres.ts';
import { copyLine, OWN_META } from './table.ts';
import type { Cell, Table } from './table.ts';

/** One port at a time into a database ("BFac" + 2). */
const CLAIM = [0x42466165, 1] as const;

export interface Quarantined {
  table: string;
  /** Where the row lies in the SQLite file. */
  rowid: string;
  key: Cell[];
  /** Why Postgres does not take it, for people; no content. */
  reason: string;
}

export interface PortState {
  installation: string;
  fingerprint: string;
}

/** The connection that a port works on. Cells come as Postgres writes them. */
export async function connectTarget(url: string): Promise<pg.Client> {
  const types = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig;
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, types });
  client.on('error', () => undefined);
  try {
    await client.connect();
    // A chunk and its watermark are lost together, so nothing has to wait for the disk before the end.
    await client.query(`set synchronous_commit = off; set bytea_output = hex; set client_encoding = 'UTF8'`);
  } catch (error) {
    await client.end().catch(() => undefined);
    throw unreachable(error);
  }
  return client;
}

export async function inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    const answer = await work();
    await client.query('commit');
    return answer;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** Throws `database-in-use` where another port is at work on the target. */
export async function claimTarget(client: pg.Client, url: string): Promise<void> {
  const { rows } = await client.query<{ mine: string }>(
    `select pg_try_advisory_lock(${CLAIM.join()}) as mine`,
  );
  if (rows[0]?.mine === 't') return;
  throw new FactoryError({
    code: 'database-in-use',
    op: 'port',
    target: describe(url),
    message: `Another port works on ${describe(url)}.`,
    hint: 'Wait until it is done, or stop it.',
    retryable: true,
  });
}

export type TargetState = { state: 'empty' } | { state: 'ported' } | ({ state: 'unfinished' } & PortState);

/**
 * What the target holds. Errors: `database-foreign` where something else is in it, `port-target-taken` where another
 * installation, or a port of one, has it.
 */
export async function inspectTarget(
  client: pg.Client,
  url: string,
  installation: string,
): Promise<TargetState> {
  const { rows } = await client.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
     and n.nspname not like 'pg_toast%'
     and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')`,
  );
  if (rows.length === 0) return { state: 'empty' };
  if (rows.some(({ schema, name }) => schema === PORT_SCHEMA && name === 'state')) {
    const state = await client.query<PortState>(`select installation, fingerprint from ${PORT_SCHEMA}.state`);
    const found = state.rows[0];
    if (found?.installation === installation) return { state: 'unfinished', ...found };
    throw taken(url, 'the unfinished port of another installation');
  }
  const meta = await client
    .query<{ key: string; value: string }>(
      `select key, value from meta where key in ('application', 'installation')`,
    )
    .catch(() => null);
  const values = new Map(meta?.rows.map(({ key, value }) => [key, value]));
  if (values.get('application') !== APPLICATION)
    throw foreignDatabase(`The Postgres database ${describe(url)}`);
  if (values.get('installation') !== installation) throw taken(url, 'the database of another installation');
  return { state: 'ported' };
}

function taken(url: string, what: string): FactoryError {
  return new FactoryError({
    code: 'port-target-taken',
    op: 'port',
    target: describe(url),
    message: `${describe(url)} is ${what}.`,
    hint: 'Make an empty database (createdb) and name that one. Nothing was changed.',
  });
}

/** Marks the empty target as that of this port and makes its tables, all or nothing. */
export async function prepareTarget(
  client: pg.Client,
  { installation, fingerprint }: PortState,
): Promise<void> {
  await inTransaction(client, async () => {
    await client.query(`create schema ${PORT_SCHEMA}`);
    await client.query(
      `create table ${PORT_SCHEMA}.state (installation text not null, fingerprint text not null);
       create table ${PORT_SCHEMA}.watermarks (table_name text primary key, rowid bigint not null, rows bigint not null);
       create table ${PORT_SCHEMA}.quarantine (table_name text not null, rowid bigint not null, key text not null,
         reason text not null, primary key (table_name, rowid))`,
    );
    await client.query(`insert into ${PORT_SCHEMA}.state values ($1, $2)`, [installation, fingerprint]);
    await makeTables(client);
    // What the engine writes about itself stays; the rest is the source's.
    await client.query('delete from meta where key <> all ($1::text[])', [OWN_META]);
  });
}

/** The tables of this release in the current schema. */
export async function makeTables(client: pg.Client): Promise<void> {
  const target = {
    types: COLUMN_TYPES.postgres,
    execute: async (sql: string) => void (await client.query(sql)),
    mark: async (_schema: number, minReader: number) => void (await client.query(markSql(minReader))),
  };
  await migrate(target, 0);
  await client.query(`insert into meta (key, value) values ('application', $1), ('schema', $2)`, [
    APPLICATION,
    String(SCHEMA),
  ]);
}

/** Empties an unfinished target, to begin again. */
export async function emptyTarget(
  client: pg.Client,
  tables: readonly Table[],
  state: PortState,
): Promise<void> {
  await inTransaction(client, async () => {
    const others = tables.filter(({ name }) => name !== 'meta').map(({ name }) => quoted(name));
    await client.query(`truncate ${others.join(', ')} restart identity`);
    await client.query('delete from meta where key <> all ($1::text[])', [OWN_META]);
    await client.query(`truncate ${PORT_SCHEMA}.watermarks, ${PORT_SCHEMA}.quarantine`);
    await client.query(`update ${PORT_SCHEMA}.state set fingerprint = $1`, [state.fingerprint]);
  });
}

/** Takes the mark away: from here on the service may start on it. */
export async function finishTarget(client: pg.Client): Promise<void> {
  await client.query('set synchronous_commit = on');
  await client.query(`drop schema ${PORT_SCHEMA} cascade`);
}

export const quoted = (name: string): string => pg.escapeIdentifier(name);
export const columnList = (columns: readonly { name: string }[]): string =>
  columns.map(({ name }) => quoted(name)).join(', ');

/** Rows into a table, in the open transaction. */
export async function copyRows(
  client: pg.Client,
  table: Table,
  rows: readonly (readonly Cell[])[],
): Promise<void> {
  const sql = `copy ${quoted(table.name)} (${columnList(table.columns)}) from stdin`;
  await pipeline(Readable.from([rows.map(copyLine).join('')]), client.query(copyFrom(sql)));
}

export interface Watermark {
  /** Of the last row that was looked at, in the SQLite file. */
  rowid: string;
  /** That the target took until then. */
  rows: number;
}

/** By table; absent: nothing of it was looked at yet. */
export async function watermarks(client: pg.Client): Promise<Map<string, Watermark>> {
  const { rows } = await client.query<{ table_name: string; rowid: string; rows: string }>(
    `select table_name, rowid, rows from ${PORT_SCHEMA}.watermarks`,
  );
  return new Map(rows.map((one) => [one.table_name, { rowid: one.rowid, rows: Number(one.rows) }]));
}

export function watermarkSql({ name }: Table, { rowid, rows }: Watermark): string {
  return `insert into ${PORT_SCHEMA}.watermarks values (${pg.escapeLiteral(name)}, ${BigInt(rowid)}, ${rows})
    on conflict (table_name) do update set rowid = excluded.rowid, rows = excluded.rows`;
}

export async function quarantine(
  client: pg.Client,
  { table, rowid, key, reason }: Quarantined,
): Promise<void> {
  await client.query(`insert into ${PORT_SCHEMA}.quarantine values ($1, $2, $3, $4)`, [
    table,
    rowid,
    // JSON writes NUL as an escape, which is a text that Postgres takes.
    JSON.stringify(key),
    reason,
  ]);
}

export async function quarantined(client: pg.Client): Promise<Quarantined[]> {
  const { rows } = await client.query<{ table_name: string; rowid: string; key: string; reason: string }>(
    `select table_name, rowid, key, reason from ${PORT_SCHEMA}.quarantine order by table_name, rowid`,
  );
  return rows.map(({ table_name: table, rowid, key, reason }) => ({
    ...{ table, rowid, reason },
    key: JSON.parse(key) as Cell[],
  }));
}

/** The next number of a counted table goes on where the source was: what was deleted is never given again. */
export async function setSequence(client: pg.Client, table: Table, last: string | null): Promise<void> {
  if (last === null || last === '0') return;
  await client.query(`select setval(pg_get_serial_sequence($1, 'number'), $2::bigint, true)`, [
    table.name,
    last,
  ]);
}

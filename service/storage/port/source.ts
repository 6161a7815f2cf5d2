import { createHash } from 'node:crypto';
import Database from 'better-sqlite3';
import { FactoryError } from '../../errors.ts';
import { dataMissing } from '../data-missing.ts';
import { SCHEMA } from '../migrate.ts';
import { inspectSqlite, sqliteReader } from '../sqlite.ts';
import type { Reader } from '../transaction.ts';
import { cellOf, defectOf, inOrder, keyOf, OWN_META } from './table.ts';
import type { Cell, Column, Defect, Kind, SqliteValue, Table } from './table.ts';

export interface SourceRow {
  /** Where the row lies in the file: the watermark of a copy, and where a text is found that cannot be read. */
  rowid: string;
  key: Cell[];
  cells: Cell[];
  defects: Defect[];
}

export interface Source {
  readonly path: string;
  readonly installation: string;
  /** Parents before their children. */
  readonly tables: readonly Table[];
  readonly reader: Reader;
  count(table: Table): number;
  /** The rows behind a row, as they lie in the file; at most `rows` of them and not much more than `bytes`. */
  chunk(table: Table, after: string, rows: number, bytes: number): SourceRow[];
  /** All rows in the order of their keys. */
  inKeyOrder(table: Table): Iterable<SourceRow>;
  /** The highest number that was ever given; null: none was. */
  lastNumber(table: Table): string | null;
  /** What tells the state of the database: another one is another copy to make. */
  fingerprint(): string;
  close(): void;
}

/**
 * Opens the SQLite database to be read only. `alone`: for nobody else as long as it is open, so that it stays as it is.
 * Errors: `data-missing`, `database-in-use`, `database-older`, and those of `inspectSqlite`.
 */
export function openSource(path: string, { alone }: { alone: boolean }): Source {
  assertSource(path);
  const handle = new Database(path, { timeout: 0, fileMustExist: true, readonly: !alone });
  try {
    if (alone) takeAlone(handle, path);
    else handle.exec('BEGIN');
    return source(handle, path);
  } catch (error) {
    handle.close();
    throw error;
  }
}

/** In WAL mode a connection that reads with an exclusive lock shuts out all others and changes nothing. */
function takeAlone(handle: Database.Database, path: string): void {
  try {
    handle.pragma('locking_mode = EXCLUSIVE');
    handle.exec('BEGIN EXCLUSIVE');
    handle.pragma('query_only = ON');
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
    throw new FactoryError({
      code: 'database-in-use',
      op: 'open database',
      target: path,
      message: `Another process has ${path} open.`,
      hint: 'Stop the service and every tool that uses the database, then try again. Nothing was changed.',
      retryable: true,
      cause: error,
    });
  }
}

function assertSource(path: string): void {
  const { state, schema } = inspectSqlite(path);
  if (state !== 'ours') throw dataMissing(path);
  if (schema === SCHEMA) return;
  throw new FactoryError({
    code: 'database-older',
    op: 'open database',
    target: path,
    message: `The database has schema ${schema}; this release ports schema ${SCHEMA}.`,
    hint: 'Start and stop the service of this release on it once, or port with the release that it belongs to.',
  });
}

function source(handle: Database.Database, path: string): Source {
  const tables = readTables(handle);
  const installation = handle.prepare("select value from meta where key = 'installation'").pluck().get();
  const statements = new Map<string, Database.Statement<unknown[]>>();
  const prepared = (sql: string): Database.Statement<unknown[]> => {
    const found = statements.get(sql) ?? handle.prepare<unknown[]>(sql).raw().safeIntegers();
    statements.set(sql, found);
    return found;
  };
  const count = (table: Table): number =>
    Number((prepared(`select count(*) from ${quote(table.name)} where ${ours(table)}`).get() as [bigint])[0]);
  return {
    path,
    installation: String(installation),
    tables,
    reader: sqliteReader(handle),
    count,
    chunk(table, after, rows, bytes) {
      const found: SourceRow[] = [];
      let size = 0;
      const sql = `${selectSql(table)} and rowid > ? order by rowid limit ?`;
      for (const raw of prepared(sql).iterate(BigInt(after), rows)) {
        const row = rowOf(table, raw as SqliteValue[], prepared);
        found.push(row);
        size += row.cells.reduce((sum, cell) => sum + (cell?.length ?? 0), 0);
        if (size >= bytes) break;
      }
      return found;
    },
    *inKeyOrder(table) {
      const rows = prepared(`${selectSql(table)} order by ${list(table.key)}`).iterate();
      for (const raw of rows) yield rowOf(table, raw as SqliteValue[], prepared);
    },
    lastNumber(table) {
      const row = prepared('select seq from sqlite_sequence where name = ?').get(table.name) as
        [bigint] | undefined;
      return row === undefined ? null : String(row[0]);
    },
    fingerprint() {
      const leaf = prepared('select seq, leaf from audit_entries order by seq desc limit 1').get() ?? [];
      // VACUUM may give rows other places; it changes this version.
      const version = handle.pragma('schema_version', { simple: true });
      const facts = [installation, version, ...tables.map(count), ...(leaf as unknown[])].map(String);
      return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
    },
    close: () => handle.close(),
  };
}

const quote = (name: string): string => `"${name}"`;
const list = (columns: readonly Column[]): string => columns.map(({ name }) => quote(name)).join(', ');
const ours = ({ name }: Table): string =>
  name === 'meta' ? `key not in (${OWN_META.map((key) => `'${key}'`).join(', ')})` : 'true';

const selectSql = (table: Table): string =>
  `select rowid, ${list(table.columns)} from ${quote(table.name)} where ${ours(table)}`;

function rowOf(
  table: Table,
  [rowid, ...values]: readonly SqliteValue[],
  prepared: (sql: string) => Database.Statement<unknown[]>,
): SourceRow {
  const cells = values.map(cellOf);
  const bytesOf = (column: string): Buffer => {
    const sql = `select cast(${quote(column)} as blob) from ${quote(table.name)} where rowid = ?`;
    return (prepared(sql).get(rowid) as [Buffer])[0];
  };
  const defects = table.columns.flatMap(
    (column, index) => defectOf(column, values[index] ?? null, bytesOf) ?? [],
  );
  return { rowid: String(rowid), key: keyOf(table, cells), cells, defects };
}

function readTables(handle: Database.Database): Table[] {
  const names = handle
    .prepare("select name, sql from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
    .all() as { name: string; sql: string }[];
  return inOrder(
    names.map(({ name, sql }) => {
      const info = handle.pragma(`table_info(${quote(name)})`) as {
        name: string;
        type: string;
        pk: number;
      }[];
      const parents = handle.pragma(`foreign_key_list(${quote(name)})`) as { table: string }[];
      const column = (one: { name: string; type: string }): Column => ({
        name: one.name,
        kind: one.type.toLowerCase() as Kind,
      });
      return {
        name,
        columns: info.map(column),
        key: info
          .filter(({ pk }) => pk > 0)
          .toSorted((a, b) => a.pk - b.pk)
          .map(column),
        parents: [...new Set(parents.map(({ table }) => table))],
        counted: /autoincrement/i.test(sql),
      };
    }),
  );
}

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { FactoryError } from '../errors.ts';
import { APPLICATION_ID } from './application-id.ts';
import { assertSqliteVersion } from './sqlite-version.ts';

/** Copies of a live SQLite database, of ours or of another application, and what can be said of one. */

/** What a copy holds; together with the digest of its bytes it says that a restored file is the one that was taken. */
export interface SqliteFacts {
  bytes: number;
  pageSize: number;
  pages: number;
  applicationId: number;
  userVersion: number;
  /** Of the SQL of tables, indexes, triggers and views, in the order of their names. */
  schemaSha256: string;
  /** Table -> rows. */
  rows: Record<string, number>;
  /** The id of the installation, where the database is one of ours. */
  installation: string | null;
}

type Handle = Database.Database;

/** The driver's 16 MB make nothing here quicker: most pages are read once. */
const CACHE_KIB = 2000;

/**
 * Copies the last committed state of `source` into the new file `target`, in one step: with several, each commit of
 * another connection would start the copy anew, and on a busy database it would never end. Writers go on meanwhile.
 * Blocks the thread as long as it takes, so it belongs into a process of its own.
 * Errors: `snapshot-source-missing`, `sqlite-too-old`, `snapshot-failed`.
 */
export async function copySqlite(
  source: string,
  target: string,
  onProgress: (done: number, total: number) => void = () => undefined,
): Promise<void> {
  if (!existsSync(source)) throw sourceMissing(source);
  const handle = openReadonly(source);
  try {
    assertSqliteVersion(handle);
    await handle.backup(target, {
      progress({ totalPages, remainingPages }) {
        onProgress(totalPages - remainingPages, totalPages);
        return 2 ** 31 - 1;
      },
    });
  } catch (error) {
    throw error instanceof FactoryError ? error : failed(source, error);
  } finally {
    handle.close();
  }
  standAlone(target);
}

/** A copy of a WAL database asks for its companion files; without them it can be read anywhere, from any medium. */
function standAlone(path: string): void {
  const handle = new Database(path);
  try {
    handle.pragma('journal_mode = DELETE');
  } finally {
    handle.close();
  }
}

/**
 * What a copy holds. A copy that was cut off can look like an empty database in perfect order, so one without tables is
 * refused; `shown`: the file that people know. Errors: `snapshot-empty`, `snapshot-failed`.
 */
export function sqliteFacts(path: string, shown = path): SqliteFacts {
  const handle = openReadonly(path);
  try {
    const number = (pragma: string): number => Number(handle.pragma(pragma, { simple: true }));
    const applicationId = number('application_id');
    const [pageSize, pages] = [number('page_size'), number('page_count')];
    const rows = rowsOf(handle);
    if (Object.keys(rows).length === 0) throw empty(shown);
    return {
      ...{ bytes: pageSize * pages, pageSize, pages, applicationId, rows },
      userVersion: number('user_version'),
      schemaSha256: schemaDigest(handle),
      installation: applicationId === APPLICATION_ID ? installationOf(handle) : null,
    };
  } catch (error) {
    if (error instanceof FactoryError) throw error;
    throw failed(path, error);
  } finally {
    handle.close();
  }
}

/** What SQLite finds wrong: `integrity_check` and `foreign_key_check`; at most some of it, none where all is well. */
export function sqliteProblems(path: string): string[] {
  const handle = openReadonly(path);
  try {
    const integrity = handle.pragma('integrity_check(20)') as { integrity_check: string }[];
    const found = integrity.map((row) => row.integrity_check).filter((text) => text !== 'ok');
    const foreign = handle.pragma('foreign_key_check') as { table: string; parent: string; rowid: number }[];
    return [
      ...found,
      ...foreign.slice(0, 20).map(({ table, parent, rowid }) => `row ${rowid} of ${table} has no ${parent}`),
    ];
  } catch (error) {
    return [(error as Error).message];
  } finally {
    handle.close();
  }
}

function openReadonly(path: string): Handle {
  try {
    const handle = new Database(path, { readonly: true, fileMustExist: true });
    handle.pragma(`cache_size = -${CACHE_KIB}`);
    return handle;
  } catch (error) {
    throw failed(path, error);
  }
}

/** Virtual tables are counted by the tables that hold them. */
function rowsOf(handle: Handle): Record<string, number> {
  const names = handle
    .prepare(
      "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' and sql not like 'CREATE VIRTUAL%' order by name",
    )
    .pluck()
    .all() as string[];
  const count = (name: string): number =>
    Number(
      handle
        .prepare(`select count(*) from "${name.replaceAll('"', '""')}"`)
        .pluck()
        .get(),
    );
  return Object.fromEntries(names.map((name) => [name, count(name)]));
}

function schemaDigest(handle: Handle): string {
  const texts = handle
    .prepare('select type, name, tbl_name, sql from sqlite_schema order by type, name')
    .raw()
    .all();
  return createHash('sha256').update(JSON.stringify(texts)).digest('hex');
}

function installationOf(handle: Handle): string | null {
  return (
    (handle.prepare("select value from meta where key = 'installation'").pluck().get() as string) ?? null
  );
}

function sourceMissing(target: string): FactoryError {
  return new FactoryError({
    code: 'snapshot-source-missing',
    op: 'copy database',
    target,
    message: `There is no database at ${target}.`,
    hint: 'Name the file that the application writes; nothing was backed up.',
  });
}

function empty(target: string): FactoryError {
  return new FactoryError({
    code: 'snapshot-empty',
    op: 'copy database',
    target,
    message: `${target} has no tables, so it is no copy of anything.`,
    hint: 'Look whether this is the right file; an empty database is not backed up.',
  });
}

function failed(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    code: 'snapshot-failed',
    op: 'copy database',
    target,
    message: `${target} cannot be read as a SQLite database: ${(cause as Error).message}.`,
    hint: 'Check the file, the rights of its folder and the free space; nothing was backed up.',
    cause,
  });
}

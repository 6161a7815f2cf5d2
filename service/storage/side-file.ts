import { chmodSync, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { FactoryError } from '../errors.ts';
import { makeFolder } from '../folders.ts';

/**
 * Small SQLite files beside the database, whichever engine that has: keys, which must lie outside of its backups, and the
 * search index, which can be made anew. Calls are synchronous; a call waits for another process's transaction.
 */
export interface SideFile {
  readonly path: string;
  all<R>(sql: string, ...params: unknown[]): R[];
  get<R>(sql: string, ...params: unknown[]): R | undefined;
  /** Errors, as those of `transaction`: `side-file-unwritable`. */
  run(sql: string, ...params: unknown[]): { changes: number; lastId: number };
  /** All of it on disk when this returns, or none. */
  transaction<T>(work: () => T): T;
  /** Moves what was written into the file itself, so that nothing of what was removed lies beside it. */
  settle(): void;
  /** The file's bytes, of one moment. */
  bytes(): Buffer;
  close(): void;
}

export interface SideFileKind {
  /** What it is, for errors, e.g. `The key file`. */
  what: string;
  /** Marks the file, 32 bits. */
  applicationId: number;
  /** Made where the file is new; `user_version` is their count. */
  schema: readonly string[];
  /** Whether its loss costs nothing but time. */
  derived?: boolean;
}

const WAIT_MS = 10_000;

/** Opens or makes it. Errors: `side-file-foreign`, `side-file-unreadable`. */
export function openSideFile(path: string, kind: SideFileKind): SideFile {
  let handle: Database.Database | undefined;
  try {
    makeFolder(dirname(path), 0o700);
    const isNew = !existsSync(path);
    handle = new Database(path, { timeout: WAIT_MS });
    if (isNew) chmodSync(path, 0o600);
    prepare(handle, kind, path);
    return sideFile(handle, path);
  } catch (error) {
    handle?.close();
    if (error instanceof FactoryError) throw error;
    throw problem(
      'unreadable',
      path,
      `${kind.what} ${path} cannot be used: ${(error as Error).message}.`,
      error,
    );
  }
}

/** What such a file holds, from its bytes; changes stay in memory. Errors: `side-file-foreign`, `side-file-unreadable`. */
export function readSideBytes(bytes: Buffer, kind: Pick<SideFileKind, 'what' | 'applicationId'>): SideFile {
  let handle: Database.Database | undefined;
  try {
    handle = new Database(bytes);
    if (handle.pragma('application_id', { simple: true }) !== kind.applicationId)
      throw problem('foreign', kind.what, `${kind.what} is of something else.`);
    return sideFile(handle, ':memory:');
  } catch (error) {
    handle?.close();
    if (error instanceof FactoryError) throw error;
    throw problem(
      'unreadable',
      kind.what,
      `${kind.what} cannot be read: ${(error as Error).message}.`,
      error,
    );
  }
}

function prepare(handle: Database.Database, kind: SideFileKind, path: string): void {
  const found = handle.pragma('application_id', { simple: true }) as number;
  const tables = handle.prepare('select count(*) from sqlite_schema').pluck().get() as number;
  if (found !== kind.applicationId && (found !== 0 || tables > 0))
    throw problem('foreign', path, `${path} is of something else, and was left as it is.`);
  // A key is on disk, in its file, before anything is sealed with it; an index may lag.
  handle.pragma(`journal_mode = ${kind.derived ? 'WAL' : 'DELETE'}`);
  handle.pragma(`synchronous = ${kind.derived ? 'NORMAL' : 'EXTRA'}`);
  handle.pragma('secure_delete = ON');
  handle.pragma('foreign_keys = ON');
  if (tables > 0) return;
  handle.exec('BEGIN IMMEDIATE');
  if (handle.prepare('select count(*) from sqlite_schema').pluck().get() === 0) {
    for (const sql of kind.schema) handle.exec(sql);
    handle.pragma(`application_id = ${kind.applicationId}`);
    handle.pragma(`user_version = ${kind.schema.length}`);
  }
  handle.exec('COMMIT');
}

/** A full or broken disk, told in words; of the search index nobody but its own thread hears. */
function written<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = error instanceof Database.SqliteError ? error.code : '';
    if (!/^SQLITE_(FULL|IOERR_(WRITE|FSYNC|SHMSIZE|TRUNCATE)|READONLY)$/.test(code)) throw error;
    throw new FactoryError({
      ...{ code: 'side-file-unwritable', op: 'write side file', target: path, retryable: true, cause: error },
      message: `A file beside the database cannot be written: ${(error as Error).message}. Nothing of it was kept.`,
      hint: 'Ask whoever runs the service to free space and to look at the disk of its data folder; then send it again.',
    });
  }
}

function sideFile(handle: Database.Database, path: string): SideFile {
  const prepared = new Map<string, Database.Statement<unknown[]>>();
  const statement = (sql: string): Database.Statement<unknown[]> => {
    let found = prepared.get(sql);
    if (!found) prepared.set(sql, (found = handle.prepare<unknown[]>(sql)));
    return found;
  };
  return {
    path,
    all: <R>(sql: string, ...params: unknown[]) => statement(sql).all(...params) as R[],
    get: <R>(sql: string, ...params: unknown[]) => statement(sql).get(...params) as R | undefined,
    run(sql, ...params) {
      const { changes, lastInsertRowid } = written(path, () => statement(sql).run(...params));
      return { changes, lastId: Number(lastInsertRowid) };
    },
    transaction: (work) => written(path, () => handle.transaction(work).immediate()),
    settle: () => void handle.pragma('wal_checkpoint(TRUNCATE)'),
    bytes: () => handle.serialize(),
    close: () => handle.close(),
  };
}

function problem(
  kind: 'foreign' | 'unreadable',
  target: string,
  message: string,
  cause?: unknown,
): FactoryError {
  return new FactoryError({
    code: `side-file-${kind}`,
    op: 'open file beside the database',
    target,
    message,
    hint: 'Nothing was changed. Put back the file that belongs here, or move this one away.',
    cause,
  });
}

import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { makeFolder } from '../folders.ts';
import { APPLICATION_ID } from './application-id.ts';
import { FactoryError } from '../errors.ts';
import { foreignDatabase } from './foreign.ts';
import { GroupCommit } from './group-commit.ts';
import { assertSqliteVersion } from './sqlite-version.ts';
import { bind, compile, type Build, type Compiled, type Statement } from './statement.ts';
import type { Reader, Storage, Writer } from './transaction.ts';

/** "BFac" as a 32-bit number: marks our files (PRAGMA application_id). */

/** How long a writer waits for another process's transaction, in ms. */
const LOCK_WAIT_MS = 10_000;

type Handle = Database.Database;
type Prepared = Database.Statement<unknown[]>;

class Connection implements Reader {
  readonly handle: Handle;
  private readonly prepared = new Map<Compiled, Prepared>();

  constructor(handle: Handle) {
    this.handle = handle;
  }

  async all<P, R>(statement: Statement<P, R>, params: P): Promise<R[]> {
    const compiled = statement.compiled('sqlite');
    return this.prepare(compiled).all(...bind(compiled, params as Record<string, unknown>)) as R[];
  }

  async get<P, R>(statement: Statement<P, R>, params: P): Promise<R | undefined> {
    const compiled = statement.compiled('sqlite');
    return this.prepare(compiled).get(...bind(compiled, params as Record<string, unknown>)) as R | undefined;
  }

  async query<R>(build: Build<R>): Promise<R[]> {
    const compiled = compile('sqlite', build);
    return this.handle.prepare<unknown[]>(compiled.sql).all(...bind(compiled, {})) as R[];
  }

  async run<P, R>(statement: Statement<P, R>, params: P): Promise<{ changes: number }> {
    const compiled = statement.compiled('sqlite');
    return {
      changes: this.prepare(compiled).run(...bind(compiled, params as Record<string, unknown>)).changes,
    };
  }

  private prepare(compiled: Compiled): Prepared {
    let prepared = this.prepared.get(compiled);
    if (!prepared) this.prepared.set(compiled, (prepared = this.handle.prepare<unknown[]>(compiled.sql)));
    return prepared;
  }
}

class SqliteWriter extends Connection implements Writer {
  private readonly steps: Record<'begin' | 'savepoint' | 'release' | 'undo' | 'commit', Prepared>;

  constructor(handle: Handle) {
    super(handle);
    this.steps = {
      begin: handle.prepare('BEGIN IMMEDIATE'),
      savepoint: handle.prepare('SAVEPOINT unit'),
      release: handle.prepare('RELEASE unit'),
      undo: handle.prepare('ROLLBACK TO unit'),
      commit: handle.prepare('COMMIT'),
    };
  }

  /** busy_timeout would block the whole thread, so waiting for another process's lock is done here. */
  async begin(): Promise<void> {
    const started = Date.now();
    for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
      try {
        this.steps.begin.run();
        return;
      } catch (error) {
        if (!isBusy(error) || Date.now() - started > LOCK_WAIT_MS) throw writeFailure(error);
        await sleep(pause);
      }
    }
  }

  async savepoint(): Promise<void> {
    this.steps.savepoint.run();
  }

  async releaseSavepoint(): Promise<void> {
    this.steps.release.run();
  }

  async rollbackToSavepoint(): Promise<void> {
    this.steps.undo.run();
    this.steps.release.run();
  }

  async commit(): Promise<void> {
    try {
      this.steps.commit.run();
    } catch (error) {
      throw writeFailure(error);
    }
  }

  async abandon(): Promise<void> {
    if (this.handle.inTransaction) this.handle.exec('ROLLBACK');
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY');
}

function writeFailure(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  const busy = isBusy(error);
  return new FactoryError({
    code: busy ? 'database-busy' : 'database-write-failed',
    op: 'commit',
    message: busy
      ? 'Another process held the database for too long.'
      : `The database refused the write: ${error.message}.`,
    hint: busy
      ? 'Retry; if it stays, look for a second factory process on this data folder.'
      : 'Check free space and the health of the disk.',
    retryable: true,
    cause: error,
  });
}

/** What a file is, judged without writing to it. */
export function inspectSqlite(
  path: string,
  readonly = true,
): {
  state: 'absent' | 'ours' | 'empty';
  schema: number;
  minReader: number;
} {
  if (!existsSync(path)) return { state: 'absent', schema: 0, minReader: 0 };
  let handle: Handle | undefined;
  try {
    handle = new Database(path, { readonly, fileMustExist: true });
    const application = handle.pragma('application_id', { simple: true }) as number;
    const tables = handle
      .prepare("select count(*) from sqlite_schema where type = 'table'")
      .pluck()
      .get() as number;
    if (application === 0 && tables === 0) return { state: 'empty', schema: 0, minReader: 0 };
    if (application !== APPLICATION_ID) throw foreignDatabase(path);
    const schema = handle.pragma('user_version', { simple: true }) as number;
    const minReader = handle.prepare("select value from meta where key = 'min_reader'").pluck().get();
    return { state: 'ours', schema, minReader: Number(minReader ?? 0) };
  } catch (error) {
    if (error instanceof FactoryError) throw error;
    // Killed while it wrote: the last committed state comes back only by a connection that may write.
    if (readonly && error instanceof Database.SqliteError && error.code.startsWith('SQLITE_READONLY'))
      return inspectSqlite(path, false);
    if (error instanceof Database.SqliteError && error.code === 'SQLITE_NOTADB') {
      if (isBlank(path)) return { state: 'empty', schema: 0, minReader: 0 };
      throw foreignDatabase(path, error);
    }
    throw new FactoryError({
      code: 'database-unreadable',
      op: 'open database',
      target: path,
      message: `The database ${path} cannot be read: ${(error as Error).message}.`,
      hint: 'Nothing was changed. Check the rights of the folder (SQLite writes beside the file) and the disk; restore a backup if it is damaged.',
      cause: error,
    });
  } finally {
    handle?.close();
  }
}

/**
 * Whether a first start was killed before it wrote the head of the file. Only for what is no database: to close a file that
 * this process has open through SQLite, too, takes away all its locks, and another process then removes the log under it.
 */
function isBlank(path: string): boolean {
  const file = openSync(path, 'r');
  try {
    return readSync(file, Buffer.alloc(1), 0, 1, 0) === 0;
  } finally {
    closeSync(file);
  }
}

/** Opens for reading and writing with the durability that "2xx means it is on disk" needs. */
export function openSqliteHandle(path: string, options: { readonly?: boolean } = {}): Handle {
  let handle: Handle | undefined;
  try {
    makeFolder(dirname(path), 0o700);
    handle = new Database(path, { readonly: options.readonly ?? false, timeout: 0 });
    assertSqliteVersion(handle);
    if (!options.readonly) {
      handle.pragma('journal_mode = WAL');
      handle.pragma('synchronous = FULL');
      handle.pragma('secure_delete = ON');
      // Fewer, larger checkpoints: the fsyncs of a checkpoint are paid by one commit (measured, 2-architecture).
      handle.pragma('wal_autocheckpoint = 4000');
    }
    handle.pragma('foreign_keys = ON');
    handle.pragma('cache_size = -16000');
    return handle;
  } catch (error) {
    handle?.close();
    if (error instanceof FactoryError) throw error;
    throw new FactoryError({
      code: 'database-unwritable',
      op: 'open database',
      target: path,
      message: `The database ${path} cannot be opened: ${(error as Error).message}.`,
      hint: 'Check that the folder exists, is writable for this user and has free space, or set FACTORY_DATA_DIR.',
      cause: error,
    });
  }
}

/**
 * Each commit of the writer empties the other connection's page cache, and a read would fetch all its pages again. So
 * reads use the writer's own connection, whose cache stays warm, except in the middle of a transaction, where it would
 * see what is not committed.
 */
function warmReader(writer: Connection, reader: Connection): Reader {
  const idle = (): Connection => (writer.handle.inTransaction ? reader : writer);
  return {
    all: (statement, params) => idle().all(statement, params),
    get: (statement, params) => idle().get(statement, params),
    query: (build) => idle().query(build),
  };
}

/** Waits for transactions of this process and readers of others: the log can be emptied between them only. */
async function emptyLog(handle: Handle): Promise<void> {
  const started = Date.now();
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    if (!handle.inTransaction) {
      const [done] = handle.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
      if (done?.busy === 0) return;
    }
    if (Date.now() - started > LOCK_WAIT_MS) throw writeFailure(busyFor('empty the write-ahead log'));
    await sleep(pause);
  }
}

const busyFor = (what: string): Error =>
  new Database.SqliteError(`others kept the database in use: ${what}`, 'SQLITE_BUSY');

/** Reads through a connection that somebody else opened and closes. */
export function sqliteReader(handle: Handle): Reader {
  return new Connection(handle);
}

/** The storage on one SQLite file: one writing connection, one that reads the last committed state. */
export function sqliteStorage(path: string): Storage {
  const writer = new SqliteWriter(openSqliteHandle(path));
  const reader = new Connection(openSqliteHandle(path, { readonly: true }));
  const commits = new GroupCommit(writer);
  const version = writer.handle.prepare('select sqlite_version()').pluck().get() as string;
  return {
    engine: 'sqlite',
    description: `SQLite ${version} at ${path}`,
    read: warmReader(writer, reader),
    write: (unit) => commits.write(unit),
    settle: () => emptyLog(writer.handle),
    snapshot: async (work) => {
      const own = new Connection(openSqliteHandle(path, { readonly: true }));
      try {
        own.handle.exec('BEGIN');
        return await work(own);
      } finally {
        own.handle.close();
      }
    },
    close: async () => {
      await commits.close();
      reader.handle.close();
      writer.handle.pragma('wal_checkpoint(TRUNCATE)');
      writer.handle.close();
    },
  };
}

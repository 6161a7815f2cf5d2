import type { Build, Statement } from './statement.ts';
import type { Engine, SequencedTable } from './tables.ts';

/** Reads of committed state, or of the transaction's own. */
export interface Reader {
  all<P, R>(statement: Statement<P, R>, params: P): Promise<R[]>;
  get<P, R>(statement: Statement<P, R>, params: P): Promise<R | undefined>;
  /** A query whose shape depends on the call. */
  query<R>(build: Build<R>): Promise<R[]>;
}

/** One unit of change. It must not await real I/O: on SQLite every writer of the process waits for it. */
export interface Transaction extends Reader {
  run<P, R>(statement: Statement<P, R>, params: P): Promise<{ changes: number }>;
  /** The next gap-free number of a table, from 1. Safe because write transactions are serialised. */
  nextSeq(table: SequencedTable): Promise<number>;
  /** Runs after the commit that holds this unit; never on a rollback. */
  afterCommit(callback: () => void): void;
}

export type Unit<T> = (tx: Transaction) => Promise<T>;

export interface Storage {
  readonly engine: Engine;
  /** Engine version and where the data lies, for `doctor`; no credentials. */
  readonly description: string;
  readonly read: Reader;
  /** Many reads of one consistent state, beside live writers. */
  snapshot<T>(work: (reader: Reader) => Promise<T>): Promise<T>;
  /** Resolves once the unit is durable. Concurrent units share one commit; one that throws is undone alone. */
  write<T>(unit: Unit<T>): Promise<T>;
  /** Leaves nothing of what was removed beside the database's own file, where there is one. Errors: `database-busy`. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** What an engine gives the group commit. */
export interface Writer extends Reader {
  run<P, R>(statement: Statement<P, R>, params: P): Promise<{ changes: number }>;
  /** Takes the one write lock of the database. */
  begin(): Promise<void>;
  savepoint(): Promise<void>;
  releaseSavepoint(): Promise<void>;
  rollbackToSavepoint(): Promise<void>;
  commit(): Promise<void>;
  /** After a failed begin, commit or savepoint; never throws. */
  abandon(): Promise<void>;
}

import type { Ahead } from './ahead.ts';
import type { Pages } from './bulk.ts';
import type { Kind, Manifest } from './format.ts';
import type { BackupJob } from './job.ts';
import type { Found } from './send.ts';
import type { Staged } from './stage.ts';
import type { State } from './state.ts';

/** A database that backups are made of: what differs from one engine to the next. */
export interface Source {
  /** For people: a path, or a server and a database. */
  readonly target: string;
  /** What its backups cannot do, for people; null: nothing worth saying. */
  readonly note: string | null;
  /** Tells cheaply that nothing was written since a mark that was the same; null: nothing tells. */
  mark(): Promise<string | null>;
  /** Sealed attachments that the database names now; absent: it has none. */
  blobNames?(): Promise<string[]>;
  /** Bytes of the database where it lies; null: there is none. */
  size(): Promise<number | null>;
  /** Bytes that a backup may need on this machine's disk at worst. */
  space(): Promise<number>;
  /** One committed state of it, checked, compressed and encrypted into the work folder. */
  take(job: BackupJob, round: Round): Promise<Taken>;
}

/** What one backup knows before it begins. */
export interface Round {
  /** A folder of this backup alone; removed after it. */
  work: string;
  state: State;
  found: readonly Found[];
  /** Sends what is staged while it is staged. */
  ahead: Ahead;
}

export interface Taken {
  made: Made | 'unchanged';
  /** Of the copy alone: how long a read transaction was held. */
  snapshotSeconds: number;
}

/** The full backup that a differential rests on. */
export interface Base {
  backupId: string;
  sha256: string;
}

/** Staged data, and the identity of this backup alone that opens it. */
export interface Made {
  kind: Kind;
  data: Staged;
  /** Of a database file; null: the next backup cannot be a differential of this one. */
  pages: Pages | null;
  base: Base | null;
  identity: string;
  recipient: string;
  source: Manifest['source'];
  /** Sealed attachments that this state names; absent: none. */
  blobs?: string[];
}

import type { KeyObject } from 'node:crypto';
import type { Destination } from '../destinations/destination.ts';
import type { Source } from './source.ts';

export interface BackupJob {
  /** Of the database in its destinations. */
  name: string;
  source: Source;
  destinations: readonly Destination[];
  recipients: readonly string[];
  signing: KeyObject;
  /** What is remembered, and where the work is done. */
  folder: string;
  epoch: number;
  /** The first sequence of that epoch; absent or null: it is the first epoch. */
  epochSince?: number | null;
  /** The signing key was made for this backup: no destination has an earlier one of this installation. */
  isFirst?: boolean;
  /** Signers of manifests that count beside the own one. */
  trusted?: readonly string[];
  /** Destinations that may be empty, although backups were stored there; absent: none. */
  emptied?: ReadonlySet<string>;
  /** Folder of the sealed attachments; absent: the database has none. */
  blobs?: string;
  release: string | null;
  /** The newest signed checkpoint of the audit log, read before the copy is taken. */
  auditCheckpoint: string | null;
  /** What tells that nothing changed since the last backup; null: the files of the database do. */
  mark: string | null;
  /** Is called once it is clear that a copy is taken. */
  beforeCopy: (startedAt: string) => Promise<void>;
  /** A full one, whatever there is. */
  full: boolean;
  /** How long another backup of this database is waited for. */
  waitMs: number;
  now: () => number;
  signal: AbortSignal;
  say: (text: string) => void;
  progress: (text: string) => void;
}

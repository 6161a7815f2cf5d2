import type { Stats } from 'node:fs';
import type { QueueObservation } from './types.ts';

/** What tells cheaply that a file is as it was read. Kept by the caller for `scan`. */
export interface FileStamp {
  path: string;
  size: number;
  mtimeMs: number;
  ctimeMs: number;
  revision: string;
}

export interface ItemLook {
  observation: QueueObservation;
  /** Stamps of this item's files, to replace what was kept; empty where a problem must be seen again. */
  stamps: FileStamp[];
  /** A folder that cannot be read may hold another file of this name. */
  doubtful?: true;
}

export function sameFile(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs;
}

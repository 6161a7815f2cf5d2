import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config, Destination } from './config.ts';

export const SAME_DISK = 'same disk: not a backup';

/**
 * Whether a destination goes with the disk that its database goes with. A bucket never does; of a Postgres database, the
 * data folder's disk counts, which is the one that this machine would lose.
 */
export function isOnSameDisk(
  destination: Destination,
  { databaseUrl, dataDir }: Pick<Config, 'databaseUrl' | 'dataDir'>,
): boolean {
  if (destination.kind !== 'folder') return false;
  const database = databaseUrl.startsWith('sqlite:') ? dirname(databaseUrl.slice('sqlite:'.length)) : dataDir;
  return deviceOf(destination.path) === deviceOf(database);
}

/** Of the folder, or of the nearest one above it that exists. */
function deviceOf(path: string): number {
  return existsSync(path) || dirname(path) === path ? statSync(path).dev : deviceOf(dirname(path));
}

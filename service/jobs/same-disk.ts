import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config.ts';

/** Which destinations do not survive what the database does not survive: folders on its disk. */
export function sameDisk({
  databaseUrl,
  dataDir,
  backup,
}: Pick<Config, 'databaseUrl' | 'dataDir' | 'backup'>) {
  const database = databaseUrl.startsWith('sqlite:') ? databaseUrl.slice('sqlite:'.length) : dataDir;
  const disk = diskOf(database);
  return backup.destinations.map((one) => ({
    url: one.url,
    sameDisk: one.kind === 'folder' && diskOf(one.path) === disk,
  }));
}

/** Of the path, or of what is there of it; a folder that is still to be made comes on its parent's disk. */
function diskOf(path: string): number | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found) return found.dev;
  return dirname(path) === path ? null : diskOf(dirname(path));
}

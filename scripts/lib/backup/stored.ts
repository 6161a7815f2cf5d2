import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { lastSent, replaceFile } from './state.ts';

/**
 * Where this machine stored backups of a database: by address the id of the last one. It is all that tells a destination
 * that was emptied from one that is new, so it outlives restores and new epochs. Another machine begins without it.
 */

const schema = z.record(z.string(), z.string());
const pathIn = (folder: string): string => join(folder, 'stored.json');

/** Of an older release, which kept no such file, what the last backups say. */
export function storedIn(folder: string): ReadonlyMap<string, string> {
  try {
    return new Map(Object.entries(schema.parse(JSON.parse(readFileSync(pathIn(folder), 'utf8')))));
  } catch {
    return lastSent(folder);
  }
}

/** While the lock of the backup is held. */
export function rememberStored(folder: string, urls: readonly string[], backupId: string): void {
  const known = new Map([...storedIn(folder), ...urls.map((url) => [url, backupId] as const)]);
  replaceFile(pathIn(folder), JSON.stringify(Object.fromEntries(known)));
}

import { existsSync, linkSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../../../service/config.ts';
import { makeFolder } from '../../../service/folders.ts';
import { syncFolder } from '../../../service/replace-file.ts';
import type { Journal } from './journal.ts';

/**
 * Attachments beside a database that is put in place. What is fetched waits in a folder of its own until the database has
 * been replaced, since a file may have the name of another one that the old database needs; then it takes its place, or at
 * the next start does. The old ones keep a second name beside the old database, for an undo.
 */

type Place = Pick<Config, 'dataDir'>;

export const blobsOf = ({ dataDir }: Place): string => join(dataDir, 'blobs');
export const waitingBlobs = ({ dataDir }: Place): string => join(dataDir, 'blobs.restoring');
const keptBlobs = ({ folder }: Pick<Journal, 'folder'>): string => join(folder, 'blobs');

/** What was fetched is not needed: the database was not replaced. */
export function dropWaiting(config: Place): void {
  rmSync(waitingBlobs(config), { recursive: true, force: true });
}

/** Gives the files of now a second name: no time and no space, and no sweep takes it away. */
export function keepBlobs(config: Place, journal: Journal): void {
  for (const { path, shelf, name } of filesIn(blobsOf(config)))
    linkInto(path, join(keptBlobs(journal), shelf, name));
}

/** For an undo: those of before that the folder of now does not have, or has otherwise. */
export function bringBack(config: Place, undone: Pick<Journal, 'folder'>): void {
  for (const { path, shelf, name } of filesIn(keptBlobs(undone))) {
    const now = statSync(join(blobsOf(config), shelf, name), { throwIfNoEntry: false });
    if (now?.ino !== statSync(path).ino) linkInto(path, join(waitingBlobs(config), shelf, name));
  }
}

/** What waits takes its place; cut off anywhere, it is done again. */
export function placeWaiting(config: Place): void {
  const waiting = waitingBlobs(config);
  for (const { path, shelf, name } of filesIn(waiting)) {
    const to = join(blobsOf(config), shelf, name);
    makeFolder(dirname(to), 0o700);
    renameSync(path, to);
    syncFolder(dirname(to));
  }
  // Of two names of one file a rename keeps both.
  rmSync(waiting, { recursive: true, force: true });
}

function linkInto(path: string, to: string): void {
  makeFolder(dirname(to), 0o700);
  linkSync(path, to);
}

function filesIn(folder: string): { path: string; shelf: string; name: string }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((shelf) => /^[0-9a-f]{2}$/.test(shelf))
    .flatMap((shelf) =>
      readdirSync(join(folder, shelf)).map((name) => ({ path: join(folder, shelf, name), shelf, name })),
    );
}

import { existsSync } from 'node:fs';
import { makeFolder } from '../../../service/folders.ts';
import type { FactoryError } from '../../../service/errors.ts';
import { inParallel } from '../parallel.ts';
import type { Destination } from '../destinations/destination.ts';
import { blobKey } from './blob-list.ts';
import { readBlobsRead, saveBlobsRead } from './blobs-read.ts';
import type { Catalog, Entry } from './catalog.ts';
import { readDamagedObjects, saveDamagedObjects } from './damaged-objects.ts';
import type { DamagedObject } from './damaged-objects.ts';
import { readBlobList } from './fetch-blobs.ts';
import { objectOf, SENT_AGAIN } from './shared-object.ts';
import { ownOf, readVerified, saveVerified } from './verified.ts';
import type { Damage, Verified } from './verified.ts';
import type { Verifying } from './verify.ts';

/** What a run found out about a destination is kept, and what follows from it for other backups there. */

const AT_ONCE = 8;

export interface FoundOut {
  destination: Destination;
  catalog: Catalog;
  /** Of backups, by id. */
  found: Record<string, Verified | Damage>;
  /** Shared objects that are not what they are named, by key. */
  wrong: ReadonlyMap<string, FactoryError>;
  /** Keys of shared objects that were read and are right. */
  right: readonly string[];
  at: string;
  /** The catalog has all that is there: what is known of others is forgotten. */
  isAll: boolean;
  signal: AbortSignal;
}

/**
 * Where attachments are damaged, every backup there that names one of them is: their lists are read for that, unless a
 * destination does not give them. `folder`: of what is remembered.
 */
export async function keepFound(folder: string, run: FoundOut): Promise<void> {
  const { destination, catalog, found, wrong, at } = run;
  const { url } = destination;
  makeFolder(folder, 0o700);
  saveDamagedObjects(folder, url, at, { wrong, right: run.right });
  const damaged = readDamagedObjects(folder, url);
  const marks = damaged.size === 0 ? {} : await marksOf(folder, run, damaged);
  const listed = catalog.entries.map(({ manifest }) => manifest.backupId);
  const present = run.isAll ? listed : [...listed, ...Object.keys(readVerified(folder)[url] ?? {})];
  saveVerified(folder, url, { ...found, ...marks }, present);
}

/** Damage of those that a run did not read itself. What no backup names any more is forgotten. */
async function marksOf(
  folder: string,
  { destination, catalog, found, isAll, signal }: FoundOut,
  damaged: ReadonlyMap<string, DamagedObject>,
): Promise<Record<string, Damage>> {
  const known = readVerified(folder)[destination.url] ?? {};
  const keysOf = namedKeys(destination, signal);
  const marks: Record<string, Damage> = {};
  const named = new Set<string>();
  // A backup that cannot be used now may name them, too.
  let isSure = isAll && catalog.problems.length === 0;
  await inParallel(catalog.entries, AT_ONCE, async (entry) => {
    const { backupId } = entry.manifest;
    const keys = await keysOf(entry);
    if (keys === null) isSure = false;
    const objects = (keys ?? listOf(entry)).filter((key) => damaged.has(key));
    for (const key of objects) named.add(key);
    const [first] = objects;
    const before = found[backupId] ?? known[backupId];
    const own = ownOf(before);
    if (first === undefined || own?.how === 'damaged') return;
    const { at, code, message } = damaged.get(first) as DamagedObject;
    marks[backupId] = {
      how: 'damaged',
      at,
      code,
      message,
      hint: SENT_AGAIN,
      objects,
      ...(own ? { own } : {}),
    };
  });
  if (isSure) {
    const right = [...damaged.keys()].filter((key) => !named.has(key));
    saveDamagedObjects(folder, destination.url, '', { wrong: new Map(), right });
  }
  return marks;
}

const listOf = ({ manifest: { blobs } }: Entry): string[] => (Array.isArray(blobs) ? [] : [blobs.list.key]);

/** The keys that a backup shares; null: its list cannot be read. Each list is read once. */
function namedKeys(
  destination: Destination,
  signal: AbortSignal,
): (entry: Entry) => Promise<string[] | null> {
  const lists = new Map<string, Promise<string[] | null>>();
  return async (entry) => {
    const [key] = listOf(entry);
    if (key === undefined) return [];
    const read =
      lists.get(key) ??
      readBlobList({ destination, signal }, entry).then(
        (listed) => listed.flatMap(({ file }) => (file ? [blobKey(entry.manifest.name, file.sha256)] : [])),
        () => null,
      );
    lists.set(key, read);
    const files = await read;
    return files && [key, ...files];
  };
}

/** What a restore or a drill came upon: an attachment, which backups share. Nothing where no backups are made here. */
export async function keepDamage(
  folder: string,
  { destination, catalog }: { destination: Destination; catalog: Catalog },
  error: FactoryError,
  signal: AbortSignal,
): Promise<void> {
  const object = objectOf(error);
  if (object === null || !existsSync(folder)) return;
  const at = new Date().toISOString();
  const wrong = new Map([[object, error]]);
  const run = { destination, catalog, found: {}, wrong, right: [], at, isAll: false, signal };
  // A disk that is full must not keep a restore from the next copy; the next check finds it again.
  await keepFound(folder, run).catch(() => undefined);
}

/** What a run that verifies begins with: an attachment that was found damaged is read again, whatever was read before. */
export function verifying(
  folder: string,
  destination: Destination,
  catalog: Catalog,
  signal: AbortSignal,
): Required<Verifying> {
  const { url } = destination;
  const blobsRead = readBlobsRead(folder, url);
  for (const key of readDamagedObjects(folder, url).keys()) blobsRead.delete(key);
  return {
    ...{
      destination,
      catalog,
      known: readVerified(folder)[url],
      found: {},
      now: Date.now,
      signal,
      blobsRead,
    },
    ...{ wrong: new Map<string, FactoryError>(), lists: new Set<string>() },
  };
}

export async function keepRun(folder: string, run: Required<Verifying>): Promise<void> {
  const { destination, blobsRead, lists, now } = run;
  const known = [...readDamagedObjects(folder, destination.url).keys()];
  const right = known.filter((key) => blobsRead.has(key) || lists.has(key));
  saveBlobsRead(folder, destination.url, blobsRead);
  await keepFound(folder, { ...run, right, at: new Date(now()).toISOString(), isAll: true });
}

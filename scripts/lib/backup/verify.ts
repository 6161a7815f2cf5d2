import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import type { Destination } from '../destinations/destination.ts';
import { blobKey, blobPrefix } from './blob-list.ts';
import type { Catalog, Entry } from './catalog.ts';
import { Expect } from './expect.ts';
import type { Expected } from './expect.ts';
import { readBlobList } from './fetch-blobs.ts';
import { inFirstVersions } from './first-version.ts';
import { withBase } from './pick.ts';
import { BASE_READ_WITHIN_MS, damageOf, wasReadLately } from './verified.ts';
import type { Damage, Verified } from './verified.ts';

/**
 * Fetches every object of a backup and compares its bytes with the signed manifest; needs no key. Of its key objects one
 * has to be whole. Null: all is whole. A destination that cannot be asked throws: that says nothing of the backup.
 */
export async function verifyCiphertext(
  destination: Destination,
  entry: Entry,
  signal: AbortSignal,
  blobs: BlobsRead = { read: new Map<string, number>(), now: Date.now },
): Promise<FactoryError | null> {
  const { manifest, wraps = [], versions } = entry;
  const { objects } = manifest;
  const from = inFirstVersions(destination, versions);
  const keys = [objects.key, ...wraps.map(({ object }) => object)];
  for (const one of [[objects.data], objects.pages ? [objects.pages] : [], keys]) {
    const error = await firstWhole(from, one, signal);
    if (error !== null) return error;
  }
  return problemOfBlobs(destination, entry, signal, blobs);
}

/** When attachments of a destination were last read and found whole, in ms by key; what is read is noted. */
export interface BlobsRead {
  read: Map<string, number>;
  now: () => number;
}

export interface Verifying {
  destination: Destination;
  catalog: Catalog;
  /** What earlier runs found there. */
  known: Record<string, Verified | Damage> | undefined;
  /** What this run finds is added. */
  found: Record<string, Verified | Damage>;
  now: () => number;
  signal: AbortSignal;
  /** Absent: every attachment is read. */
  blobsRead?: Map<string, number>;
}

const blobsOf = ({ blobsRead, now }: Verifying): BlobsRead => ({
  read: blobsRead ?? new Map<string, number>(),
  now,
});

/**
 * Verifies a backup and the full one that it rests on, whose bytes are read unless that was done within a day. Null: both
 * are whole. Errors: those of `verifyCiphertext`.
 */
export async function verifyWithBase(run: Verifying, entry: Entry): Promise<FactoryError | null> {
  const error =
    (await verifyCiphertext(run.destination, entry, run.signal, blobsOf(run))) ??
    (await problemBelow(run, entry));
  note(run, entry, error);
  return error;
}

async function problemBelow(run: Verifying, entry: Entry): Promise<FactoryError | null> {
  const base = baseOf(run.catalog, entry);
  if (base instanceof FactoryError || base === null) return base;
  const id = base.manifest.backupId;
  const known = run.found[id] ?? run.known?.[id];
  if (known?.how === 'damaged') return restsOnDamaged(entry, id, known.message);
  if (wasReadLately(known, run.now())) return null;
  const error = await verifyCiphertext(run.destination, base, run.signal, blobsOf(run));
  note(run, base, error);
  return error && restsOnDamaged(entry, id, error.message);
}

function baseOf(catalog: Catalog, entry: Entry): Entry | FactoryError | null {
  try {
    return withBase(catalog, entry).base;
  } catch (error) {
    return asFactoryError(error, 'verify backup');
  }
}

function note(
  { found, now }: Verifying,
  { manifest: { backupId } }: Entry,
  error: FactoryError | null,
): void {
  const at = new Date(now()).toISOString();
  found[backupId] = error ? damageOf(error, at) : { at, how: 'ciphertext' };
}

function restsOnDamaged({ manifest: { backupId } }: Entry, base: string, why: string): FactoryError {
  return new FactoryError({
    code: 'backup-damaged',
    op: 'verify backup',
    target: backupId,
    message: `${backupId} rests on ${base}, which is damaged: ${why}`,
    hint: 'The next backup is a full one; `npx factory backup --full` makes it now. Look at the destination’s disk.',
  });
}

/** Null: one of them is whole, or there is none to look at; else what is wrong with the first. */
async function firstWhole(
  from: Destination,
  objects: readonly Expected[],
  signal: AbortSignal,
): Promise<FactoryError | null> {
  let wrong: FactoryError | null = null;
  for (const object of objects) {
    const error = await problemOf(from, object, signal);
    if (error === null) return null;
    wrong ??= error;
  }
  return wrong;
}

/** Each is there in its size; its bytes are read unless that was done within a day, since backups share them. */
async function problemOfBlobs(
  destination: Destination,
  entry: Entry,
  signal: AbortSignal,
  { read, now }: BlobsRead,
): Promise<FactoryError | null> {
  if (Array.isArray(entry.manifest.blobs)) return null;
  const { name } = entry.manifest;
  const from = inFirstVersions(destination, entry.versions);
  const listed = await readBlobList({ destination, signal }, entry).catch(damageIn);
  if (listed instanceof FactoryError) return listed;
  const stored = await destination.list(blobPrefix(name), { signal });
  const there = new Set(stored.map(({ key }) => key));
  for (const { file } of listed) {
    if (file === null) continue;
    const key = blobKey(name, file.sha256);
    const age = now() - (read.get(key) ?? -Infinity);
    // A clock that was set back must not keep it from being read for ever.
    if (there.has(key) && age >= 0 && age < BASE_READ_WITHIN_MS) continue;
    const wrong = await problemOf(from, { key, ...file }, signal);
    if (wrong !== null) {
      read.delete(key);
      return wrong;
    }
    read.set(key, now());
  }
  return null;
}

async function problemOf(
  from: Destination,
  object: Expected,
  signal: AbortSignal,
): Promise<FactoryError | null> {
  try {
    const source = await from.get(object.key, { signal });
    await pipeline(source, new Expect(object), new PassThrough().resume(), { signal });
    return null;
  } catch (error) {
    return damageIn(error);
  }
}

/** What says something of the backup is answered; the rest is thrown. */
function damageIn(error: unknown): FactoryError {
  const known = asFactoryError(error, 'verify backup');
  if (known.code === 'backup-damaged' || known.code === 'destination-object-missing') return known;
  throw known;
}

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
import type { Versions } from './first-version.ts';
import { withBase } from './pick.ts';
import { readShared } from './shared-object.ts';
import { BASE_READ_WITHIN_MS, damageOf, ownOf, wasReadLately } from './verified.ts';
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
  return (
    (await verifyOwn(destination, entry, signal)) ??
    (await problemOfBlobs(destination, entry, signal, blobs))?.error ??
    null
  );
}

/** As above, without the attachments, which a differential on it does not need. */
export async function verifyOwn(
  destination: Destination,
  entry: Entry,
  signal: AbortSignal,
): Promise<FactoryError | null> {
  const { manifest, wraps = [], versions } = entry;
  const { objects } = manifest;
  const from = inFirstVersions(destination, versions);
  const keys = [objects.key, ...wraps.map(({ object }) => object)];
  for (const one of [[objects.data], objects.pages ? [objects.pages] : [], keys]) {
    const error = await firstWhole(from, one, signal);
    if (error !== null) return error;
  }
  return null;
}

/** When attachments of a destination were last read and found whole, in ms by key; what is read is noted. */
export interface BlobsRead {
  read: Map<string, number>;
  now: () => number;
  /** What this run found wrong, and need not read again; absent: nobody asks. */
  wrong?: Map<string, FactoryError>;
  /** Lists that this run found right. */
  lists?: Set<string>;
}

/** What is wrong with attachments of a backup: the first one, and the keys of all of them. */
export interface BlobProblem {
  error: FactoryError;
  objects: string[];
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
  /** Shared objects that this run finds wrong, and lists that it finds right, are added. */
  wrong?: Map<string, FactoryError>;
  lists?: Set<string>;
}

/** Null: its attachments are there and whole. What is wrong with them is remembered by whoever called. */
export const attachmentsOf = (run: Verifying, entry: Entry): Promise<BlobProblem | null> =>
  problemOfBlobs(run.destination, entry, run.signal, {
    read: (run.blobsRead ??= new Map<string, number>()),
    wrong: (run.wrong ??= new Map<string, FactoryError>()),
    lists: (run.lists ??= new Set<string>()),
    now: run.now,
  });

/**
 * Verifies a backup and the full one that it rests on, whose bytes are read unless that was done within a day. Null: both
 * are whole. Errors: those of `verifyCiphertext`.
 */
export async function verifyWithBase(run: Verifying, entry: Entry): Promise<FactoryError | null> {
  const error = (await verifyOwn(run.destination, entry, run.signal)) ?? (await problemBelow(run, entry));
  note(run, entry, error);
  return error ?? (await checkAttachments(run, entry));
}

async function checkAttachments(run: Verifying, entry: Entry): Promise<FactoryError | null> {
  const shared = await attachmentsOf(run, entry);
  if (shared !== null) noteShared(run, entry.manifest.backupId, shared);
  return shared?.error ?? null;
}

/** Adds that nothing but attachments is damaged in a backup. */
export function noteShared({ found, now }: Verifying, backupId: string, shared: BlobProblem): void {
  const own = found[backupId];
  found[backupId] = {
    ...{ ...damageOf(shared.error, new Date(now()).toISOString()), objects: shared.objects },
    ...(own && own.how !== 'damaged' ? { own } : {}),
  };
}

async function problemBelow(run: Verifying, entry: Entry): Promise<FactoryError | null> {
  const base = baseOf(run.catalog, entry);
  if (base instanceof FactoryError || base === null) return base;
  const id = base.manifest.backupId;
  const known = ownOf(run.found[id] ?? run.known?.[id]);
  if (known?.how === 'damaged') return restsOnDamaged(entry, id, known.message);
  if (wasReadLately(known, run.now())) return null;
  const error = await verifyOwn(run.destination, base, run.signal);
  note(run, base, error);
  if (error !== null) return restsOnDamaged(entry, id, error.message);
  // A differential has attachments of its own: that those of the full one are damaged is told of the full one alone.
  await checkAttachments(run, base);
  return null;
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

/**
 * Each is there in its size; its bytes are read unless that was done within a day, since backups share them. All are looked
 * at, so that one backup can send all again.
 */
async function problemOfBlobs(
  destination: Destination,
  entry: Entry,
  signal: AbortSignal,
  { read, now, wrong = new Map<string, FactoryError>(), lists }: BlobsRead,
): Promise<BlobProblem | null> {
  const { blobs, name } = entry.manifest;
  if (Array.isArray(blobs)) return null;
  const listed = await readBlobList({ destination, signal }, entry).catch(damageIn);
  if (listed instanceof FactoryError) {
    wrong.set(blobs.list.key, listed);
    return { error: listed, objects: [blobs.list.key] };
  }
  lists?.add(blobs.list.key);
  const stored = await destination.list(blobPrefix(name), { signal });
  const there = new Map(stored.map(({ key, bytes }) => [key, bytes]));
  const objects: string[] = [];
  for (const { file } of listed) {
    if (file === null) continue;
    const object = { key: blobKey(name, file.sha256), ...file };
    const age = now() - (read.get(object.key) ?? -Infinity);
    // A clock that was set back must not keep it from being read for ever.
    const isLate = age < 0 || age >= BASE_READ_WITHIN_MS;
    if (!wrong.has(object.key) && (isLate || there.get(object.key) !== file.bytes)) {
      const error = await problemOfShared(destination, object, entry, signal);
      if (error === null) read.set(object.key, now());
      else wrong.set(object.key, error);
    }
    if (!wrong.has(object.key)) continue;
    read.delete(object.key);
    objects.push(object.key);
  }
  const [first] = objects;
  return first === undefined ? null : { error: wrong.get(first) as FactoryError, objects };
}

async function problemOfShared(
  destination: Destination,
  object: Expected,
  versions: Versions,
  signal: AbortSignal,
): Promise<FactoryError | null> {
  try {
    await readShared(destination, object, versions, { signal }, (source, check) =>
      pipeline(source, check, new PassThrough().resume(), { signal }),
    );
    return null;
  } catch (error) {
    return damageIn(error);
  }
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

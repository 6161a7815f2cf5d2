import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { syncFile, syncFolder } from '../../../service/replace-file.ts';
import { inParallel } from '../parallel.ts';
import { assertRoom } from '../restore/blockers.ts';
import type { Destination } from '../destinations/destination.ts';
import { blobKey, MAX_LIST_BYTES, parseBlobList } from './blob-list.ts';
import type { ListedBlob } from './blob-list.ts';
import type { Entry } from './catalog.ts';
import { damaged } from './expect.ts';
import { readShared } from './shared-object.ts';

/** The attachments of a backup, from a destination to a folder; every byte is checked. */

const AT_ONCE = 8;

interface From {
  destination: Destination;
  signal: AbortSignal;
}

/** What the list of a backup says; none where it has no attachments. Errors: `backup-damaged`, those of the destination. */
export async function readBlobList(
  { destination, signal }: From,
  { manifest: { blobs }, ...versions }: Pick<Entry, 'manifest' | 'versions' | 'later'>,
): Promise<ListedBlob[]> {
  if (Array.isArray(blobs)) return [];
  const { list } = blobs;
  if (list.bytes > MAX_LIST_BYTES) throw damaged(list.key, 'it is larger than a list can be');
  const bytes = await readShared(destination, list, versions, { signal }, async (source, check) => {
    const content = new PassThrough();
    const [read] = await Promise.all([buffer(content), pipeline(source, check, content, { signal })]);
    return read;
  });
  return parseBlobList(bytes.toString('latin1'), list.key);
}

export interface Missing {
  count: number;
  bytes: number;
}

/** What would be fetched for a folder; told by size alone, which is quick. Errors: as of `readBlobList`. */
export const blobsToFetch = async (from: From, entry: Entry, held?: string): Promise<Missing> =>
  missingOf(await readBlobList(from, entry), held);

function missingOf(listed: readonly ListedBlob[], held: string | undefined): Missing {
  const missing = listed.flatMap(({ name, file }) => {
    if (file === null) return [];
    const there = held === undefined ? undefined : statSync(pathIn(held, name), { throwIfNoEntry: false });
    return there?.size === file.bytes ? [] : [file.bytes];
  });
  return { count: missing.length, bytes: missing.reduce((sum, bytes) => sum + bytes, 0) };
}

/** Errors: `restore-space`. */
export function assertRoomForBlobs(folder: string, bytes: number): void {
  if (bytes === 0) return;
  const hint = 'Free space there, or restore to another disk. Nothing was written.';
  assertRoom(folder, bytes, { what: 'what the backup has of attachments', hint });
}

/**
 * Writes them as `<folder>/ab/abcdef…`, but for those that `held`, another such folder, has with the same bytes. Errors:
 * `restore-space`, `backup-damaged`, `destination-object-missing`, those of the destination; what was written by then stays for the caller.
 * Answers how many the backup has.
 */
export async function fetchBlobs(from: From, entry: Entry, folder: string, held?: string): Promise<number> {
  const { name } = entry.manifest;
  const { destination, signal } = from;
  const shelves = new Set<string>();
  const listed = await readBlobList(from, entry);
  assertRoomForBlobs(folder, missingOf(listed, held).bytes);
  await inParallel(listed, AT_ONCE, async ({ name: blob, file }) => {
    if (file === null) return;
    if (held !== undefined && (await isSame(pathIn(held, blob), file))) return;
    const path = pathIn(folder, blob);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const expected = { key: blobKey(name, file.sha256), ...file };
    await readShared(destination, expected, entry, from, async (source, check) => {
      try {
        await pipeline(source, check, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal });
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      }
    });
    await syncFile(path);
    shelves.add(dirname(path));
  });
  for (const shelf of shelves) syncFolder(shelf);
  return listed.filter(({ file }) => file !== null).length;
}

export const pathIn = (folder: string, blob: string): string => join(folder, blob.slice(0, 2), blob);

async function isSame(path: string, { bytes, sha256 }: NonNullable<ListedBlob['file']>): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (found?.size !== bytes) return false;
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 }))
    digest.update(chunk as Buffer);
  return digest.digest('hex') === sha256;
}

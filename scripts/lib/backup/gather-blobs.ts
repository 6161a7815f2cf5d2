import { createHash, hash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { copyFile, link, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FactoryError } from '../../../service/errors.ts';
import { inParallel } from '../parallel.ts';
import { blobKey, blobListKey, blobListText } from './blob-list.ts';
import type { ListedBlob } from './blob-list.ts';
import type { Manifest } from './format.ts';
import type { BackupJob } from './job.ts';
import type { Parcel } from './send.ts';
import { replaceFile } from './state.ts';

/** The sealed attachments that a copy of the database names, ready to be sent. */

export interface Gathered {
  /** As the manifest says it. */
  listed: Manifest['blobs'];
  /** The files, then their list; what a destination has already is not sent again. */
  parcels: Parcel[];
}

const AT_ONCE = 8;
/** Digests by name, so that a file is read once and not with every backup: files never change. */
const digests = z.record(z.string(), z.strictObject({ stamp: z.string(), sha256: z.string() }));
type Digests = z.output<typeof digests>;

/**
 * `names`: of the copy. One that is gone although the live database still names it is lost: `attachment-missing`. Where the
 * live one does not name it any more it was deleted meanwhile, in the erasure journal first, and the list says so. One that
 * is not what an earlier backup found there was damaged since: `attachment-changed`.
 */
export async function gatherBlobs(
  job: Pick<BackupJob, 'name' | 'blobs' | 'folder' | 'source' | 'signal' | 'progress'>,
  names: readonly string[],
  work: string,
): Promise<Gathered> {
  if (names.length === 0 || job.blobs === undefined) return { listed: [], parcels: [] };
  const pinned = join(work, 'blobs');
  await mkdir(pinned, { mode: 0o700 });
  const known = readDigests(job.folder);
  const next: Digests = {};
  const found = new Map<string, ListedBlob['file']>();
  await inParallel(names, AT_ONCE, async (name) => {
    job.signal.throwIfAborted();
    const [from, path] = [join(job.blobs as string, name.slice(0, 2), name), join(pinned, name)];
    if (!(await pin(from, path))) return void found.set(name, null);
    const { size: bytes, mtimeMs, ino } = await stat(path);
    const stamp = `${bytes} ${mtimeMs} ${ino}`;
    const before = known[name];
    const sha256 = before?.stamp === stamp ? before.sha256 : await digestOf(path, job.signal);
    if (before && before.sha256 !== sha256) throw changed(name);
    next[name] = { stamp, sha256 };
    found.set(name, { sha256, bytes });
  });
  await assertErased(
    job,
    names.filter((name) => found.get(name) === null),
  );
  replaceFile(join(job.folder, DIGESTS), JSON.stringify(next));
  return described(
    job.name,
    names.map((name) => ({ name, file: found.get(name) ?? null })),
    pinned,
  );
}

function described(name: string, blobs: readonly ListedBlob[], pinned: string): Gathered {
  const list = Buffer.from(blobListText(blobs));
  const object = { bytes: list.length, sha256: hash('sha256', list) };
  const key = blobListKey(name, object.sha256);
  const held = blobs.flatMap((one) => (one.file ? [{ name: one.name, ...one.file }] : []));
  const files = held.map((one): Parcel => ({
    key: blobKey(name, one.sha256),
    content: { path: join(pinned, one.name), bytes: one.bytes },
    shared: 'blob',
  }));
  const bytes = held.reduce((sum, one) => sum + one.bytes, 0);
  return {
    listed: { list: { key, ...object }, count: held.length, bytes },
    parcels: [...files, { key, content: { data: list }, shared: 'list' }],
  };
}

/** A second name keeps the file for as long as this backup takes, whatever is deleted meanwhile. False: it is not there. */
async function pin(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw error;
      // Another disk, or one without links.
      return copyFile(from, to);
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function digestOf(path: string, signal: AbortSignal): Promise<string> {
  const digest = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 256 * 1024, signal }))
    digest.update(bytes as Buffer);
  return digest.digest('hex');
}

/** Errors: `attachment-missing`. */
async function assertErased(
  { source, blobs }: Pick<BackupJob, 'source' | 'blobs'>,
  missing: readonly string[],
): Promise<void> {
  if (missing.length === 0) return;
  const live = new Set(await source.blobNames?.());
  const lost = missing.filter((name) => live.has(name));
  if (lost.length === 0) return;
  throw new FactoryError({
    ...{ code: 'attachment-missing', op: 'make backup', target: blobs ?? '' },
    message: `${lost.length === 1 ? 'A file of an attachment is' : `${lost.length} files of attachments are`} not there: ${lost[0]}.`,
    hint: 'Nothing was sent. Put it back from an earlier backup: `npx factory restore --to FILE` writes the attachments into FILE.blobs.',
    details: { missing: lost.slice(0, 100) },
  });
}

/** Sent as it is, it would look like a good one in every destination, and push out the one that is. */
function changed(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'attachment-changed', op: 'make backup', target },
    message: `The file of an attachment, ${target}, is not what an earlier backup found there, and such files never change.`,
    hint: 'Nothing was sent. Put it back from an earlier backup: `npx factory restore --to FILE` writes the attachments into FILE.blobs.',
  });
}

const DIGESTS = 'blobs.json';

function readDigests(folder: string): Digests {
  try {
    return digests.parse(JSON.parse(readFileSync(join(folder, DIGESTS), 'utf8')));
  } catch {
    return {};
  }
}

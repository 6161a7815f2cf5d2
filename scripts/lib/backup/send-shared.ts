import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FactoryError } from '../../../service/errors.ts';
import type { Destination } from '../destinations/destination.ts';
import type { DamagedThere } from './damaged-objects.ts';
import type { Parcel } from './send.ts';
import { objectOf, readShared } from './shared-object.ts';

/**
 * What backups share is sent once. Where something else lies under its name it is sent again: the name is the digest, so that
 * nothing is lost by that, and what was sent is read there before the backup says that it is good.
 */

export interface SendingShared {
  destination: Destination;
  /** Bytes by key of what lies there. */
  there: ReadonlyMap<string, number>;
  /** What a check found damaged or missing there. */
  damaged: DamagedThere;
  signal: AbortSignal;
}

/** True: what was there under that name was something else, and now it is right. Errors: `attachment-damaged`, `attachment-changed`. */
export async function sendShared(
  { key, content }: Parcel,
  { destination, there, damaged, signal }: SendingShared,
): Promise<boolean> {
  const bytes = 'data' in content ? content.data.length : content.bytes;
  const found = there.get(key);
  if (!damaged.has(key) && found === bytes) return false;
  if (!damaged.has(key) && found === undefined) {
    await destination.put(key, content, { signal });
    return false;
  }
  const object = { key, bytes, sha256: digestIn(key) };
  if ('path' in content) await assertUnchanged(content.path, object, signal);
  await destination.put(key, content, { signal, replace: true });
  try {
    await readShared(destination, object, {}, { signal }, (source, check) =>
      pipeline(source, check, new PassThrough().resume(), { signal }),
    );
  } catch (error) {
    if (!(error instanceof FactoryError) || objectOf(error) === null) throw error;
    damaged.keep(key, error);
    throw stillDamaged(destination.url, key, error);
  }
  damaged.keep(key, null);
  return true;
}

const digestIn = (key: string): string => (key.split('/').at(-1) ?? '').split('.')[0] ?? '';

/** Errors: `attachment-changed`. */
async function assertUnchanged(
  path: string,
  { key, sha256 }: { key: string; sha256: string },
  signal: AbortSignal,
): Promise<void> {
  const digest = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 256 * 1024, signal }))
    digest.update(piece as Buffer);
  if (digest.digest('hex') === sha256) return;
  throw new FactoryError({
    ...{ code: 'attachment-changed', op: 'send backup', target: key },
    message: `${key} is damaged there, and the file here is not what it was either.`,
    hint: 'Put it back from another destination: `npx factory restore --to FILE` writes the attachments into FILE.blobs.',
  });
}

const stillDamaged = (target: string, key: string, cause: FactoryError): FactoryError =>
  new FactoryError({
    ...{ code: 'attachment-damaged', op: 'send backup', target, retryable: true, cause },
    message: `${key} in ${target} was damaged, was sent again, and is still not what was sent.`,
    hint: 'Look at that destination’s disk, and who else writes there; the next run tries again.',
  });

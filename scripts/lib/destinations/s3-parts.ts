import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { CompletedPart } from '@aws-sdk/client-s3';
import type { Growing } from './growing.ts';

/** Large files in parts, each sent as soon as it lies in the file. */

/** Parts have to be 5 MiB or more; more than two of them are never in memory. */
export const PART_BYTES = 8 * 1024 * 1024;
const MOST_PARTS = 10_000;
/** While the server works on one part, the next is hashed and sent. */
const AT_ONCE = 2;

/** What an S3 server is told of a body: its length, and the digest that Object Lock asks for. */
export interface Measured {
  Body: Buffer;
  ContentLength: number;
  ContentMD5: string;
}

export function measured(Body: Buffer): Measured {
  const ContentMD5 = createHash('md5').update(Body).digest('base64');
  return { Body, ContentLength: Body.length, ContentMD5 };
}

type SendPart = (PartNumber: number, part: Measured, signal: AbortSignal) => Promise<CompletedPart>;

/** Sends all of a file, whose last bytes may not be written yet. Where one part fails, the others are broken off. */
export async function sendParts(
  file: Growing,
  send: SendPart,
  signal: AbortSignal,
): Promise<CompletedPart[]> {
  const size = Math.max(PART_BYTES, Math.ceil(file.most / MOST_PARTS));
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const handle = await open(file.path);
  const parts: CompletedPart[] = [];
  let next = 0;

  /** One part after the other through one buffer; a part that is sent again is still in it. */
  async function inTurn(): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(size);
    while (!stop.signal.aborted) {
      const index = next++;
      const at = index * size;
      const { bytes } = await file.until(at + size);
      if (at >= bytes) return;
      const body = await readAt(handle, buffer.subarray(0, Math.min(size, bytes - at)), at);
      parts[index] = await send(index + 1, measured(body), either);
    }
  }

  let failed: { error: unknown } | null = null;
  const fail = (error: unknown): void => {
    // What comes later is only that the others were broken off.
    failed ??= { error };
    stop.abort();
  };
  try {
    // All of them have ended before the upload is given up: a part that came later would stay for ever.
    await Promise.all(Array.from({ length: AT_ONCE }, () => inTurn().catch(fail)));
    if (failed !== null) throw (failed as { error: unknown }).error;
    return parts;
  } finally {
    await handle.close();
  }
}

async function readAt(file: FileHandle, buffer: Buffer, at: number): Promise<Buffer> {
  for (let filled = 0; filled < buffer.length;) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, at + filled);
    if (bytesRead === 0) throw new Error('the file that is sent became shorter');
    filled += bytesRead;
  }
  return buffer;
}

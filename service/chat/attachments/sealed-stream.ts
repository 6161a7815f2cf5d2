import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { Readable } from 'node:stream';
import { FactoryError } from '../../errors.ts';

/**
 * Large content, sealed and opened chunk by chunk (the STREAM construction: each chunk is bound to its number and to whether
 * it is the last, so nothing can be cut off, put elsewhere or left out). The key is of this one stream:
 *
 *   "BFb1" | chunk … | last chunk        chunk = ciphertext (64 KiB, the last one less) | tag (16)
 */

const MAGIC = Buffer.from('BFb1');
const CHUNK = 64 * 1024;
const TAG = 16;
const DOMAIN = 'build-factory/chat/blob/v1';

/** A nonce is used once because the key is. */
function bound(index: number, last: boolean): { nonce: Buffer; data: Buffer } {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(index), 3);
  nonce[11] = last ? 1 : 0;
  return { nonce, data: Buffer.from(`${DOMAIN}\0${index}\0${last ? 'last' : 'more'}`) };
}

function sealChunk(key: KeyObject, index: number, last: boolean, plain: Buffer): Buffer {
  const { nonce, data } = bound(index, last);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(data);
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([body, cipher.getAuthTag()]);
}

function openChunk(key: KeyObject, index: number, last: boolean, sealed: Buffer): Buffer {
  if (sealed.length < TAG) throw unreadable();
  const { nonce, data } = bound(index, last);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(data);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - TAG)), decipher.final()]);
  } catch (error) {
    throw unreadable(error);
  }
}

export async function* sealStream(key: KeyObject, plain: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let index = 0;
  yield MAGIC;
  for await (const { bytes, last } of chunksOf(plain, CHUNK)) yield sealChunk(key, index++, last, bytes);
}

/** Yields a chunk only after it was verified. Errors: `content-unreadable`. */
export async function* openStream(key: KeyObject, sealed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let index = 0;
  for await (const { bytes, last } of chunksOf(withoutMagic(sealed), CHUNK + TAG))
    yield openChunk(key, index++, last, bytes);
}

/**
 * The content of a blob, by the key that lies sealed in its row, or what stands in for a file that waits in quarantine. Errors:
 * `content-missing`, `content-unreadable`.
 */
export const openFile = (
  blobs: { read(name: string): AsyncIterable<Buffer> },
  blob: string,
  { key, standIn }: { key: string; standIn?: string },
): AsyncIterable<Buffer> =>
  standIn === undefined
    ? openStream(createSecretKey(Buffer.from(key, 'base64')), blobs.read(blob))
    : Readable.from([Buffer.from(standIn)]);

async function* withoutMagic(sealed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let head = Buffer.alloc(0);
  for await (const bytes of sealed) {
    if (head.length >= MAGIC.length) yield bytes;
    else {
      head = Buffer.concat([head, bytes]);
      if (head.length < MAGIC.length) continue;
      if (!head.subarray(0, MAGIC.length).equals(MAGIC)) throw unreadable();
      yield head.subarray(MAGIC.length);
    }
  }
  if (head.length < MAGIC.length) throw unreadable();
}

/** The same bytes in chunks of one size; the last one, which may be shorter or empty, is known as such. */
async function* chunksOf(
  source: AsyncIterable<Buffer>,
  size: number,
): AsyncGenerator<{ bytes: Buffer; last: boolean }> {
  let waiting: Buffer[] = [];
  let length = 0;
  for await (const bytes of source) {
    waiting.push(bytes);
    length += bytes.length;
    if (length <= size) continue;
    let all = Buffer.concat(waiting);
    // One that is full may be the last, so it waits for a byte behind it.
    for (; all.length > size; all = all.subarray(size)) yield { bytes: all.subarray(0, size), last: false };
    waiting = [all];
    length = all.length;
  }
  yield { bytes: Buffer.concat(waiting), last: true };
}

function unreadable(cause?: unknown): FactoryError {
  return new FactoryError({
    ...{ code: 'content-unreadable', op: 'open attachment', cause },
    message: 'The file of an attachment cannot be read: it was altered, cut, or sealed with another key.',
    hint: 'Nothing was changed. Put the file back from a backup.',
  });
}

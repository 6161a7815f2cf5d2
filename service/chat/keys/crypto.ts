import { createCipheriv, createDecipheriv, randomFillSync, type KeyObject } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { FactoryError } from '../../errors.ts';

/**
 * How content is sealed: AES-256-GCM under the content key of its session and subject. A sealed value is
 *
 *   version (1) | form (1: plain, 2: zstd) | nonce (12) | tag (16) | ciphertext
 *
 * and is bound by its associated data to the row and the column that it stands in: moved to another place, or put back from
 * an older state of its row, it does not open.
 */

export const KEY_BYTES = 32;
const VERSION = 1;
const PLAIN = 1;
const ZSTD = 2;
const NONCE = 12;
const TAG = 16;
const HEAD = 2 + NONCE + TAG;
/** Shorter texts hardly shrink. */
const WORTH_COMPRESSING = 512;
/** A value that says it unpacks to more than this was not made by us. */
const MOST_BYTES = 64 * 1024 * 1024;

/** The place of a sealed value. `id` and `session` are the outside's ids, so that a port to another database keeps them. */
export interface Place {
  /** Table and column, e.g. `chat_messages.body`. */
  column: string;
  id: string;
  session: string;
  seq: number;
  version: number;
}

/** Of what belongs to no message. */
export const place = (column: string, id: string): Place => ({ column, id, session: '', seq: 0, version: 0 });

const associated = ({ column, id, session, seq, version }: Place): Buffer =>
  Buffer.from(`build-factory/chat/v1\0${column}\0${id}\0${session}\0${seq}\0${version}`);

/** Randomness is fetched for so many nonces at once: a call to the system's source costs more than a short seal. */
const nonces = Buffer.alloc(NONCE * 256);
let used = nonces.length;

function newNonce(): Buffer {
  if (used === nonces.length) {
    randomFillSync(nonces);
    used = 0;
  }
  return nonces.subarray(used, (used += NONCE));
}

/** Seals bytes under a key of 32 bytes. */
export function seal(key: KeyObject, place: Place, plain: Buffer): Buffer {
  const packed =
    plain.length < WORTH_COMPRESSING
      ? plain
      : zstdCompressSync(plain, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  const smaller = packed.length < plain.length;
  const head = Buffer.allocUnsafe(HEAD);
  const nonce = newNonce();
  head[0] = VERSION;
  head[1] = smaller ? ZSTD : PLAIN;
  nonce.copy(head, 2);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.concat([associated(place), head.subarray(0, 2)]));
  const body = cipher.update(smaller ? packed : plain);
  cipher.final();
  cipher.getAuthTag().copy(head, 2 + NONCE);
  return Buffer.concat([head, body]);
}

/**
 * What was sealed. Errors: `content-not-sealed` (a plaintext or foreign value), `content-unreadable` (another key, or the
 * value or its place was altered).
 */
export function open(key: KeyObject, place: Place, sealed: Buffer): Buffer {
  if (sealed.length < HEAD || sealed[0] !== VERSION || (sealed[1] !== PLAIN && sealed[1] !== ZSTD))
    throw contentError('not-sealed', place, 'it is not sealed, so it was not written by this service');
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(2, 2 + NONCE));
  decipher.setAAD(Buffer.concat([associated(place), sealed.subarray(0, 2)]));
  decipher.setAuthTag(sealed.subarray(2 + NONCE, HEAD));
  let packed: Buffer;
  try {
    packed = Buffer.concat([decipher.update(sealed.subarray(HEAD)), decipher.final()]);
  } catch (error) {
    throw contentError('unreadable', place, 'it was altered, or sealed with another key', error);
  }
  return sealed[1] === ZSTD ? zstdDecompressSync(packed, { maxOutputLength: MOST_BYTES }) : packed;
}

function contentError(
  kind: 'not-sealed' | 'unreadable',
  { column, session, seq }: Place,
  why: string,
  cause?: unknown,
): FactoryError {
  return new FactoryError({
    code: `content-${kind}`,
    op: 'open content',
    target: `${column} of session ${session}, ${seq}`,
    message: `Content of session ${session} (${column}, ${seq}) cannot be read: ${why}.`,
    hint: 'Nothing was changed. Check that the keyring belongs to this database; a row that was altered by hand comes back from a backup only.',
    cause,
  });
}

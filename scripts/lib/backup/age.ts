import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';
import { Decrypter, Encrypter } from 'age-encryption';
import { FactoryError } from '../../../service/errors.ts';

/**
 * Streams in the age format (age-encryption.org/v1), which the `age` program reads and writes. The library makes and
 * opens the header; the payload, 64 KiB chunks of ChaCha20-Poly1305 ("STREAM"), goes through node:crypto, because the
 * library's own takes several times as long.
 */

const CHUNK = 64 * 1024;
const TAG = 16;
const NONCE = 16;
/** Longer than a header for any number of recipients that makes sense. */
const MAX_HEADER = 64 * 1024;
const HEADER_END = /\n--- [A-Za-z0-9+/]{43}\n/;
const ALGORITHM = 'chacha20-poly1305';

/** 11 bytes of counter, big-endian, and one that marks the last chunk. */
function chunkNonce(counter: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(counter, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

function streamKey(fileKey: Uint8Array, nonce: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', 32));
}

/** Cuts a stream into chunks of one size. A chunk is known to be the last one only when the stream ends. */
abstract class Chunks extends Transform {
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private counter = 0;
  private readonly chunkBytes: number;

  constructor(chunkBytes: number) {
    super({ highWaterMark: 1024 * 1024 });
    this.chunkBytes = chunkBytes;
  }

  /** Gives what it makes to `push`: putting parts together first would double the garbage. */
  protected abstract convert(chunk: Buffer, nonce: Buffer): void;

  protected cut(data: Buffer): void {
    this.pending.push(data);
    this.pendingBytes += data.length;
    if (this.pendingBytes <= this.chunkBytes) return;
    const all = Buffer.concat(this.pending, this.pendingBytes);
    let at = 0;
    for (; all.length - at > this.chunkBytes; at += this.chunkBytes)
      this.convert(all.subarray(at, at + this.chunkBytes), chunkNonce(this.counter++, false));
    this.pending = [all.subarray(at)];
    this.pendingBytes = all.length - at;
  }

  protected cutLast(): void {
    this.convert(Buffer.concat(this.pending), chunkNonce(this.counter, true));
  }
}

class Sealing extends Chunks {
  private readonly key: Buffer;

  constructor(header: Buffer, fileKey: Uint8Array) {
    super(CHUNK);
    const nonce = randomBytes(NONCE);
    this.key = streamKey(fileKey, nonce);
    this.push(header);
    this.push(nonce);
  }

  protected convert(chunk: Buffer, nonce: Buffer): void {
    const cipher = createCipheriv(ALGORITHM, this.key, nonce, { authTagLength: TAG });
    if (chunk.length > 0) this.push(cipher.update(chunk));
    cipher.final();
    this.push(cipher.getAuthTag());
  }

  override _transform(data: Buffer, _encoding: string, done: TransformCallback): void {
    this.cut(data);
    done();
  }

  override _flush(done: TransformCallback): void {
    this.cutLast();
    done();
  }
}

class Opening extends Chunks {
  private readonly decrypter: Decrypter;
  private key: Buffer | null = null;
  private head: Buffer = Buffer.alloc(0);

  constructor(decrypter: Decrypter) {
    super(CHUNK + TAG);
    this.decrypter = decrypter;
  }

  protected convert(chunk: Buffer, nonce: Buffer): void {
    if (chunk.length < TAG || this.key === null) throw damaged('it ends too early');
    const body = chunk.subarray(0, -TAG);
    const decipher = createDecipheriv(ALGORITHM, this.key, nonce, { authTagLength: TAG });
    decipher.setAuthTag(chunk.subarray(-TAG));
    const plain = decipher.update(body);
    try {
      decipher.final();
    } catch (error) {
      throw damaged('a part of it was changed, or its end is missing', error);
    }
    if (plain.length > 0) this.push(plain);
  }

  override _transform(data: Buffer, _encoding: string, done: TransformCallback): void {
    this.open(data).then(() => done(), done);
  }

  private async open(data: Buffer): Promise<void> {
    if (this.key !== null) return this.cut(data);
    this.head = Buffer.concat([this.head, data]);
    const end = HEADER_END.exec(this.head.toString('latin1', 0, MAX_HEADER));
    if (end === null) {
      if (this.head.length > MAX_HEADER) throw damaged('it has no age header');
      return;
    }
    const headerBytes = end.index + end[0].length;
    if (this.head.length < headerBytes + NONCE) return;
    const payload = headerBytes + NONCE;
    const fileKey = await this.fileKey(this.head.subarray(0, headerBytes));
    this.key = streamKey(fileKey, this.head.subarray(headerBytes, payload));
    this.cut(this.head.subarray(payload));
  }

  private async fileKey(header: Buffer): Promise<Uint8Array> {
    try {
      return await this.decrypter.decryptHeader(header);
    } catch (error) {
      if (!/no identity matched/.test((error as Error).message))
        throw damaged('its header was changed', error);
      throw new FactoryError({
        code: 'identity-wrong',
        op: 'decrypt',
        message: 'None of the given identities can open this file.',
        hint: 'Give the identity whose recipient it was encrypted to: --identity FILE.',
        cause: error,
      });
    }
  }

  override _flush(done: TransformCallback): void {
    try {
      this.cutLast();
      done();
    } catch (error) {
      done(error as Error);
    }
  }
}

function damaged(why: string, cause?: unknown): FactoryError {
  return new FactoryError({
    code: 'ciphertext-damaged',
    op: 'decrypt',
    message: `The encrypted file is damaged: ${why}.`,
    hint: 'Fetch it again; if it stays, take another backup or another destination.',
    cause,
  });
}

/** Encrypts to every recipient (`age1…`). */
export async function sealing(recipients: readonly string[]): Promise<Transform> {
  const encrypter = new Encrypter();
  let fileKey: Uint8Array | null = null;
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  encrypter.addRecipient({
    wrapFileKey(key) {
      fileKey = Uint8Array.from(key);
      return [];
    },
  });
  const empty = await encrypter.encrypt(new Uint8Array());
  if (fileKey === null) throw new TypeError('the age library gave no file key');
  return new Sealing(Buffer.from(empty.subarray(0, empty.length - NONCE - TAG)), fileKey);
}

/** Decrypts with one of the identities (`AGE-SECRET-KEY-1…`). Errors: `identity-wrong`, `ciphertext-damaged`. */
export function opening(identities: readonly string[]): Transform {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  return new Opening(decrypter);
}

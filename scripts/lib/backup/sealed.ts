import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { PassThrough } from 'node:stream';
import { opening, sealing } from './age.ts';

/** Small age files, whole in memory. */

export async function sealBytes(plain: Buffer, recipients: readonly string[]): Promise<Buffer> {
  return buffer(Readable.from([plain]).pipe(await sealing(recipients)));
}

/** Errors: `identity-wrong`, `ciphertext-damaged`. */
export async function openBytes(sealed: Buffer, identities: readonly string[]): Promise<Buffer> {
  const plain = new PassThrough();
  const [content] = await Promise.all([
    buffer(plain),
    pipeline(Readable.from([sealed]), opening(identities), plain),
  ]);
  return content;
}

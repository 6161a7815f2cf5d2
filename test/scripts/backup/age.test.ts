import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import type { Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { opening, sealing } from '../../../scripts/lib/backup/age.ts';

const CHUNK = 64 * 1024;
const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const other = await generateX25519Identity();

/** Sends `data` through in pieces of `piece` bytes, so that chunk borders fall anywhere. */
async function through(data: Buffer, piece: number, step: Transform): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < data.length; at += piece) pieces.push(data.subarray(at, at + piece));
  const [out] = await Promise.all([buffer(step), pipeline(Readable.from(pieces), step)]);
  return out;
}

const seal = async (data: Buffer, piece = 10_000): Promise<Buffer> =>
  through(data, piece, await sealing([recipient]));
const open = (data: Buffer, piece = 10_000): Promise<Buffer> => through(data, piece, opening([identity]));
const bytes = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, n) => (n * 31) % 251));

describe('the age format', () => {
  it.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17])(
    'carries %i bytes',
    async (length) => {
      const data = bytes(length);
      const sealed = await seal(data);
      expect((await open(sealed)).equals(data)).toBe(true);
    },
  );

  it('is what the library itself reads and writes', async () => {
    const data = bytes(2 * CHUNK + 5);
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    expect(Buffer.from(await decrypter.decrypt(await seal(data))).equals(data)).toBe(true);
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient);
    expect((await open(Buffer.from(await encrypter.encrypt(data)))).equals(data)).toBe(true);
  });

  it('does not depend on the pieces that arrive', async () => {
    const sealed = await seal(bytes(CHUNK + 100), 777);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: sealed.length }), async (piece) => {
        expect((await open(sealed, piece)).equals(bytes(CHUNK + 100))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it('opens for each of several recipients and for nobody else', async () => {
    const sealed = await through(bytes(10), 10, await sealing([recipient, await identityToRecipient(other)]));
    expect((await through(sealed, 100, opening([other]))).equals(bytes(10))).toBe(true);
    await expect(through(await seal(bytes(10)), 100, opening([other]))).rejects.toMatchObject({
      code: 'identity-wrong',
    });
  });
});

describe('damage', () => {
  it('is found wherever a bit flips', async () => {
    const sealed = await seal(bytes(CHUNK + 1000));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: sealed.length - 1 }), fc.nat({ max: 7 }), async (at, bit) => {
        const flipped = Buffer.from(sealed);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        await expect(open(flipped)).rejects.toMatchObject({
          code: expect.stringMatching(/^(ciphertext-damaged|identity-wrong)$/),
        });
      }),
      { numRuns: 60 },
    );
  });

  it('is found where the end is missing, on a chunk border too', async () => {
    const sealed = await seal(bytes(3 * CHUNK));
    const payload = sealed.length - 3 * (CHUNK + 16);
    for (const length of [
      0,
      10,
      payload - 16,
      payload,
      payload + CHUNK + 16,
      payload + 2 * (CHUNK + 16),
      sealed.length - 1,
    ])
      await expect(open(sealed.subarray(0, length))).rejects.toMatchObject({ code: 'ciphertext-damaged' });
  });

  it('is found where something follows or chunks change places', async () => {
    const sealed = await seal(bytes(3 * CHUNK));
    const size = CHUNK + 16;
    const head = sealed.subarray(0, sealed.length - 3 * size);
    const chunks = [2, 1, 0].map((left) =>
      sealed.subarray(sealed.length - (left + 1) * size, sealed.length - left * size),
    );
    const [first, second, third] = chunks as [Buffer, Buffer, Buffer];
    await expect(open(Buffer.concat([sealed, Buffer.from('x')]))).rejects.toMatchObject({
      code: 'ciphertext-damaged',
    });
    await expect(open(Buffer.concat([head, second, first, third]))).rejects.toMatchObject({
      code: 'ciphertext-damaged',
    });
    await expect(open(Buffer.concat([head, first, third]))).rejects.toMatchObject({
      code: 'ciphertext-damaged',
    });
  });
});

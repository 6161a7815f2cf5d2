import { Readable } from 'node:stream';
import type { Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { zstdCompressSync, zstdDecompress } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compressing, decompressing, FRAME_BYTES } from '../../../scripts/lib/backup/frames.ts';
import { createRandom } from '../../acceptance/random.ts';

const FRAME = /\x28\xb5\x2f\xfd/g;

/** Text that zstd makes smaller, beside bytes that it cannot. */
function content(bytes: number, seed = 1): Buffer {
  const { below } = createRandom(seed);
  const all = Buffer.alloc(bytes, 'a lane, a gate, a claim and a handover; ');
  for (let at = 0; at < bytes; at += 1 + below(64)) all[at] = below(256);
  return all;
}

/** In pieces of the given sizes in turn, out of one buffer that is written over each time. */
async function* reused(all: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  const piece = Buffer.alloc(Math.max(...sizes));
  for (let at = 0, turn = 0; at < all.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    const bytes = all.copy(piece, 0, at, at + size);
    yield piece.subarray(0, bytes);
    at += bytes;
  }
}

function pieces(all: Buffer, sizes: readonly number[]): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0; at < all.length; at += cut.at(-1)?.length ?? 1)
    cut.push(all.subarray(at, at + (sizes[cut.length % sizes.length] ?? 1)));
  return cut;
}

const compress = (all: Buffer, sizes: readonly number[]): Promise<Buffer> =>
  buffer(Readable.from(compressing(reused(all, sizes))));

function decompress(data: readonly Buffer[]): Promise<Buffer> {
  const plain = decompressing().reduce<Readable>(
    (from: Readable, step: Transform) => from.on('error', (error) => step.destroy(error)).pipe(step),
    Readable.from(data),
  );
  return buffer(plain);
}

describe('frames of zstd', () => {
  test.each([0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 4 * FRAME_BYTES + 12_345])(
    'give %i bytes back, cut anywhere',
    async (bytes) => {
      const plain = content(bytes);
      const packed = await compress(plain, [300_000, 1, 70_001, 2 * FRAME_BYTES + 5]);
      expect(packed.toString('latin1').match(FRAME)?.length).toBeGreaterThanOrEqual(
        Math.max(1, Math.ceil(bytes / FRAME_BYTES)),
      );
      for (const sizes of [[packed.length], [65_536], [65_520, 3, 1]])
        expect((await decompress(pieces(packed, sizes))).equals(plain)).toBe(true);
    },
  );

  test('read what zstd wrote as one frame of unknown size', async () => {
    const plain = content(3_000_000);
    const { createZstdCompress } = await import('node:zlib');
    const packed = await buffer(Readable.from([plain]).pipe(createZstdCompress()));
    expect((await decompress(pieces(packed, [10_007]))).equals(plain)).toBe(true);
  });

  test('of any content and any cuts are read whole', async () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(200_000).map((bytes) => new Uint8Array(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }),
        async (parts, sizes) => {
          const packed = Buffer.concat(parts.map((one) => zstdCompressSync(one)));
          expect((await decompress(pieces(packed, sizes))).equals(Buffer.concat(parts))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('that are skippable are passed over', async () => {
    const head = Buffer.from('5a2a4d1803000000', 'hex');
    const packed = Buffer.concat([
      ...[zstdCompressSync('one '), head, Buffer.from('xyz'), zstdCompressSync('two')],
    ]);
    for (const size of [1, 5, packed.length])
      expect((await decompress(pieces(packed, [size]))).toString()).toBe('one two');
  });

  test.each([
    ['garbage', Buffer.from('this is no frame at all, however long it goes on')],
    ['a frame that was cut off', zstdCompressSync(content(50_000)).subarray(0, -10)],
    ['a frame and garbage after it', Buffer.concat([zstdCompressSync('one'), Buffer.from('and more')])],
  ])('%s is refused', async (_, packed) => {
    await expect(decompress([packed])).rejects.toThrow();
    await expect(decompress(pieces(packed, [7]))).rejects.toThrow();
  });

  test('break off where their source does', async () => {
    async function* broken(): AsyncGenerator<Buffer> {
      yield content(3 * FRAME_BYTES);
      await promisify(zstdDecompress)(zstdCompressSync('a turn of the loop'));
      throw new Error('the disk is gone');
    }
    await expect(buffer(Readable.from(compressing(broken())))).rejects.toThrow('the disk is gone');
  });
});

import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openStream, sealStream } from '../../service/chat/attachments/sealed-stream.ts';

const key = () => createSecretKey(randomBytes(32));

async function* from(chunks: Iterable<Uint8Array>): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function all(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const CHUNK = 65_536;
const SEALED = CHUNK + 16;

describe('a sealed stream', () => {
  it('gives back what came, however it was cut on both ways', async () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 200_000, size: 'max' }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(chunks, fc.integer({ min: 1, max: 100_000 }), async (parts, size) => {
        const secret = key();
        const sealed = await all(sealStream(secret, from(parts)));
        const cut: Buffer[] = [];
        for (let at = 0; at < sealed.length; at += size) cut.push(sealed.subarray(at, at + size));
        expect((await all(openStream(secret, from(cut)))).equals(Buffer.concat(parts))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('holds no more than two chunks, whoever is slow', async () => {
    const secret = key();
    let [given, taken, most] = [0, 0, 0];
    async function* source(): AsyncGenerator<Buffer> {
      for (let n = 0; n < 100; n += 1) {
        most = Math.max(most, (given += 10_000) - taken);
        yield Buffer.alloc(10_000, n);
      }
    }
    for await (const chunk of openStream(secret, sealStream(secret, source()))) taken += chunk.length;
    expect(taken).toBe(given);
    // Sealing and opening hold one each, and what just came.
    expect(most).toBeLessThanOrEqual(2 * CHUNK + 2 * 10_000);
  });

  it('does not open where anything was cut, left out, put elsewhere, added or changed', async () => {
    const secret = key();
    const plain = randomBytes(3 * CHUNK + 10);
    const sealed = await all(sealStream(secret, from([plain])));
    const part = (from: number, to: number) => sealed.subarray(4 + from * SEALED, 4 + to * SEALED);
    const head = sealed.subarray(0, 4);
    const flipped = Buffer.from(sealed);
    flipped[flipped.length - 1]! ^= 1;
    const changed: Record<string, Buffer> = {
      'cut between chunks': Buffer.concat([head, part(0, 3)]),
      'cut in the middle': sealed.subarray(0, sealed.length - 5),
      'cut to nothing': head,
      empty: Buffer.alloc(0),
      'without a chunk': Buffer.concat([head, part(0, 1), part(2, 9)]),
      'in another order': Buffer.concat([head, part(1, 2), part(0, 1), part(2, 9)]),
      'with more behind it': Buffer.concat([sealed, part(0, 1)]),
      'of another format': Buffer.concat([Buffer.from('BFb2'), sealed.subarray(4)]),
      'with another bit': flipped,
    };
    for (const [how, bytes] of Object.entries(changed))
      await expect(all(openStream(secret, from([bytes]))), how).rejects.toMatchObject({
        code: 'content-unreadable',
      });
    await expect(all(openStream(key(), from([sealed])))).rejects.toMatchObject({
      code: 'content-unreadable',
    });
  });
});

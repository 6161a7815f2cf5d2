import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { READ_BYTES, readInTurn, readPages } from '../../../scripts/lib/backup/bulk.ts';
import { PageList } from '../../../scripts/lib/backup/pages.ts';

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'bulk-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function fileOf(content: Buffer): string {
  const path = join(folder, 'file');
  writeFileSync(path, content);
  return path;
}

const { signal } = new AbortController();

describe('reading in turn', () => {
  it.each([0, 1, READ_BYTES - 1, READ_BYTES, 4 * READ_BYTES + 77])(
    'gives a stream that is slow every byte of %i, and notes each once',
    async (bytes) => {
      const content = randomBytes(bytes);
      const noted = createHash('sha256');
      const taken = createHash('sha256');
      const slow = new Writable({
        highWaterMark: 1024,
        write: (piece: Buffer, _encoding, done) =>
          void sleep(2).then(() => {
            taken.update(piece);
            done();
          }),
      });
      await pipeline(
        readInTurn(fileOf(content), signal, (piece) => void noted.update(piece)),
        slow,
      );
      const expected = createHash('sha256').update(content).digest('hex');
      expect([noted.digest('hex'), taken.digest('hex')]).toEqual([expected, expected]);
    },
  );

  it('ends where it is told to, and where noting fails', async () => {
    const path = fileOf(randomBytes(3 * READ_BYTES));
    const stop = new AbortController();
    stop.abort();
    await expect(readPages(path, 4096, stop.signal)).rejects.toMatchObject({ name: 'AbortError' });
    const noting = readInTurn(path, signal, () => {
      throw new RangeError('no');
    });
    await expect(noting.next()).rejects.toThrow(RangeError);
  });
});

describe('a page list', () => {
  it('is the same, however the file was cut', async () => {
    const content = randomBytes(2 * READ_BYTES + 5 * 512);
    const byHand = Buffer.concat(
      Array.from({ length: content.length / 512 }, (_, page) =>
        createHash('sha256')
          .update(content.subarray(page * 512, (page + 1) * 512))
          .digest()
          .subarray(0, 16),
      ),
    );
    const pieces = new PageList(512);
    const reused = Buffer.alloc(1000);
    for (let at = 0; at < content.length; at += 1000)
      pieces.take(reused.subarray(0, content.copy(reused, 0, at, at + 1000)));
    expect(pieces.list().equals(byHand)).toBe(true);
    const { sha256, list } = await readPages(fileOf(content), 512, signal);
    expect(list.equals(byHand)).toBe(true);
    expect(sha256).toBe(createHash('sha256').update(content).digest('hex'));
  });

  it('of a file that does not end with a whole page is refused', () => {
    const list = new PageList(512);
    list.take(Buffer.alloc(513));
    expect(() => list.list()).toThrow(RangeError);
  });
});

import { Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';
import { promisify } from 'node:util';
import { constants, createZstdDecompress, zstdCompress } from 'node:zlib';

/**
 * zstd, as a row of frames (RFC 8878, 3): each is compressed by itself, so that two threads can do it, and `zstd -d` reads
 * them as one file.
 */

/** Of what is in a frame: with less, more bytes come out; with more, more memory is held. */
export const FRAME_BYTES = 1 * 1024 * 1024;
/** Compressed at the same time. */
const AT_ONCE = 2;
/** Of SQLite files, 4 % more bytes than zstd's own default of 3, in two thirds of its time or less. */
const LEVEL = 2;
/** What zstd gives at a time where it decompresses. */
const PLAIN_BYTES = 256 * 1024;

const compress = promisify(zstdCompress);
const OPTIONS = {
  params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
  chunkSize: FRAME_BYTES / 2,
};

/** The frames of a content, in order. What it takes may be written over when the next piece is asked for. */
export async function* compressing(plain: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const free = Array.from({ length: AT_ONCE + 1 }, () => Buffer.allocUnsafeSlow(FRAME_BYTES));
  const under: { buffer: Buffer<ArrayBuffer>; frame: Promise<Buffer> }[] = [];
  let filled = 0;
  const begin = (): void => {
    const buffer = free.pop() as Buffer<ArrayBuffer>;
    const frame = compress(buffer.subarray(0, filled), OPTIONS);
    // Where another one failed before, nobody hears of this one.
    frame.catch(() => undefined);
    under.push({ buffer, frame });
    filled = 0;
  };
  async function first(): Promise<Buffer> {
    const { buffer, frame } = under.shift() as (typeof under)[number];
    const made = await frame;
    free.push(buffer);
    return made;
  }
  let some = false;
  for await (const piece of plain) {
    for (let at = 0; at < piece.length;) {
      const taken = piece.copy(free.at(-1) as Buffer, filled, at);
      at += taken;
      filled += taken;
      if (filled < FRAME_BYTES) continue;
      some = true;
      begin();
      if (under.length === AT_ONCE) yield await first();
    }
  }
  if (filled > 0 || !some) begin();
  while (under.length > 0) yield await first();
}

/** Steps of a pipeline that give the content of all frames. */
export const decompressing = (): Transform[] => [
  new AtFrames(),
  createZstdDecompress({ chunkSize: PLAIN_BYTES }),
];

const MAGIC = 0xfd2fb528;
const MAGIC_BYTES = 4;
const SKIPPABLE = 0x184d2a50;
const BLOCK_HEAD_BYTES = 3;
const RLE_BLOCK = 1;
const CHECKSUM_BYTES = 4;

/**
 * Cuts what passes where a frame ends: Node's decompressor reads no further than to the end of a frame in what it is given
 * at a time, and takes the rest for something else. What is no frame passes as it is, and is refused there.
 */
class AtFrames extends Transform {
  /** What has to be whole before it is known how far it goes: a head of a frame or of a block. */
  private head: Buffer = Buffer.alloc(0);
  /** That belong to what was seen last. */
  private pass = 0;
  private next: 'frame' | 'block' | 'unknown' = 'frame';
  private hasChecksum = false;

  constructor() {
    super({ highWaterMark: 1024 * 1024 });
  }

  override _transform(data: Buffer, _encoding: string, done: TransformCallback): void {
    let from = 0;
    for (let at = 0; at < data.length;) {
      if (this.next === 'unknown') break;
      if (this.pass > 0) {
        const passed = Math.min(this.pass, data.length - at);
        at += passed;
        this.pass -= passed;
      } else {
        this.head = Buffer.concat([this.head, data.subarray(at, ++at)]);
        this.look();
      }
      if (this.pass > 0 || this.next !== 'frame' || this.head.length > 0) continue;
      this.push(data.subarray(from, at));
      from = at;
    }
    if (from < data.length) this.push(data.subarray(from));
    done();
  }

  /** Node's decompressor says nothing where a frame is cut off. */
  override _flush(done: TransformCallback): void {
    const isWhole = this.next === 'unknown' || (this.next === 'frame' && this.pass + this.head.length === 0);
    done(isWhole ? null : new RangeError('zstd data ends within a frame'));
  }

  /** Whether the head is whole; then what it says. */
  private look(): void {
    const size = this.next === 'block' ? this.block() : this.frame();
    if (size === null) return;
    this.pass = size;
    this.head = Buffer.alloc(0);
  }

  private block(): number | null {
    if (this.head.length < BLOCK_HEAD_BYTES) return null;
    const head = this.head.readUIntLE(0, BLOCK_HEAD_BYTES);
    const [isLast, kind, size] = [(head & 1) === 1, (head >> 1) & 3, head >> 3];
    const end = isLast && this.hasChecksum ? CHECKSUM_BYTES : 0;
    if (isLast) this.next = 'frame';
    return (kind === RLE_BLOCK ? 1 : size) + end;
  }

  private frame(): number | null {
    if (this.head.length < MAGIC_BYTES + 1) return null;
    const magic = this.head.readUInt32LE(0);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE)
      return this.head.length < 2 * MAGIC_BYTES ? null : this.head.readUInt32LE(MAGIC_BYTES);
    if (magic !== MAGIC) {
      this.next = 'unknown';
      return 0;
    }
    const flags = this.head[MAGIC_BYTES] as number;
    const isSingle = (flags & 0x20) !== 0;
    const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6] as number;
    const dictionaryBytes = [0, 1, 2, 4][flags & 3] as number;
    if (this.head.length < MAGIC_BYTES + 1 + (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes) return null;
    this.hasChecksum = (flags & 4) !== 0;
    this.next = 'block';
    return 0;
  }
}

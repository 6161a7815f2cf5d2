import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { PassThrough, Readable, Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { sealing } from './age.ts';
import { diffHead, diffRecord, PageList } from './pages.ts';

/** Compressed and encrypted files on this machine's disk, ready to be sent as often as it takes. */

const READ_BYTES = 1024 * 1024;
/** zstd's own default: measured the best for its time on SQLite files. */
const LEVEL = 3;

export interface Staged {
  path: string;
  bytes: number;
  /** Of the ciphertext. */
  sha256: string;
}

/** Passes bytes through, and counts and hashes them. */
export class Tally extends Transform {
  bytes = 0;
  private readonly hash: Hash = createHash('sha256');
  private readonly onBytes: (bytes: number) => void;

  constructor(onBytes: (bytes: number) => void = () => undefined) {
    super({ highWaterMark: READ_BYTES });
    this.onBytes = onBytes;
  }

  override _transform(data: Buffer, _encoding: string, done: TransformCallback): void {
    this.bytes += data.length;
    this.hash.update(data);
    this.onBytes(this.bytes);
    done(null, data);
  }

  digest(): string {
    return this.hash.digest('hex');
  }
}

/** Compresses and encrypts what comes out of the steps. */
export async function stage(
  steps: [plain: Readable, ...taps: Transform[]],
  { path, recipient, signal }: Pick<StageOptions, 'path' | 'recipient' | 'signal'>,
): Promise<Staged> {
  const tally = new Tally();
  const params = { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 };
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true });
  await pipeline([...steps, createZstdCompress({ params }), await sealing([recipient]), tally, file], {
    signal,
  });
  return { path, bytes: tally.bytes, sha256: tally.digest() };
}

const readFileInBulk = (path: string): Readable => createReadStream(path, { highWaterMark: READ_BYTES });

export interface Pages {
  /** SHA-256 of the whole file. */
  sha256: string;
  pageSize: number;
  list: Buffer;
}

/** Reads a database file once for its digest and its page list. */
export async function readPageList(path: string, pageSize: number, signal: AbortSignal): Promise<Pages> {
  const tally = new Tally();
  const pages = new PageList(pageSize);
  const nowhere = new PassThrough().resume();
  await pipeline(readFileInBulk(path), tally, pages, nowhere, { signal });
  return { sha256: tally.digest(), pageSize, list: pages.list() };
}

/** Stages the whole file; its digest and page list come along in the same pass. */
export async function stageFull(
  source: string,
  options: StageOptions,
): Promise<{ staged: Staged; pages: Pages }> {
  const tally = new Tally(options.onBytes);
  const list = new PageList(options.pageSize);
  const staged = await stage([readFileInBulk(source), tally, list], options);
  return { staged, pages: { sha256: tally.digest(), pageSize: options.pageSize, list: list.list() } };
}

export interface StageOptions {
  pageSize: number;
  path: string;
  recipient: string;
  signal: AbortSignal;
  onBytes: (bytes: number) => void;
}

/** Stages the pages of `source` whose numbers are given. */
export async function stageDifference(
  source: string,
  changed: number[],
  pages: number,
  options: StageOptions,
): Promise<Staged> {
  return stage([Readable.from(differenceOf(source, changed, pages, options))], options);
}

async function* differenceOf(
  source: string,
  changed: number[],
  pages: number,
  { pageSize, onBytes }: StageOptions,
): AsyncGenerator<Buffer> {
  yield diffHead(pageSize, pages);
  const file = await open(source);
  try {
    for (const [index, page] of changed.entries()) {
      const bytes = Buffer.alloc(pageSize);
      await file.read(bytes, 0, pageSize, page * pageSize);
      yield diffRecord(page, bytes);
      onBytes((index + 1) * pageSize);
    }
  } finally {
    await file.close();
  }
}

/** Stages bytes that are at hand. */
export function stageBytes(
  data: Buffer,
  options: Pick<StageOptions, 'path' | 'recipient' | 'signal'>,
): Promise<Staged> {
  return stage([Readable.from([data])], options);
}

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Transform } from 'node:stream';
import type { Readable, TransformCallback, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sealing } from './age.ts';
import { pageTaker, READ_BYTES, readInTurn } from './bulk.ts';
import type { Pages } from './bulk.ts';
import { compressing } from './frames.ts';
import { diffHead, diffRecord } from './pages.ts';

/**
 * Compressed and encrypted files on this machine's disk, ready to be sent as often as it takes. Nobody waits for the disk:
 * they end with the process that made them.
 */

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

type Plain = Readable | AsyncIterable<Buffer> | Iterable<Buffer>;

/** Compresses and encrypts what comes out of the steps. */
export async function stage(
  steps: [plain: Plain, ...taps: Transform[]],
  { path, recipient, signal, onWritten }: StageTo,
): Promise<Staged> {
  const sealed = await sealing([recipient]);
  // Opened last: until the pipeline has it nobody hears that it cannot be opened, as where the folder is gone already.
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  const tally = new Tally(() => onWritten?.(file.bytesWritten));
  // The types know iterables at the beginning of single arguments only.
  const all = [...steps, compressing, sealed, tally, file] as unknown[];
  await pipeline(all as [Readable, ...Transform[], Writable], { signal });
  return { path, bytes: tally.bytes, sha256: tally.digest() };
}

/** Stages the whole file; its digest and page list come along in the same pass. */
export async function stageFull(
  source: string,
  options: StageOptions,
): Promise<{ staged: Staged; pages: Pages }> {
  const taker = pageTaker(options.pageSize);
  let done = 0;
  const note = (piece: Buffer): void => {
    taker.take(piece);
    options.onBytes((done += piece.length));
  };
  const staged = await stage([readInTurn(source, options.signal, note)], options);
  return { staged, pages: taker.pages() };
}

export interface StageTo {
  path: string;
  recipient: string;
  signal: AbortSignal;
  /** So many bytes lie in the staged file by now. */
  onWritten?: ((bytes: number) => void) | undefined;
}

export interface StageOptions extends StageTo {
  pageSize: number;
  /** So many bytes of the source were read. */
  onBytes: (bytes: number) => void;
}

/** Stages the pages of `source` whose numbers are given. */
export async function stageDifference(
  source: string,
  changed: number[],
  pages: number,
  options: StageOptions,
): Promise<Staged> {
  return stage([differenceOf(source, changed, pages, options)], options);
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
export function stageBytes(data: Buffer, options: StageTo): Promise<Staged> {
  return stage([[data]], options);
}

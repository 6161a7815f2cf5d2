import { hash } from 'node:crypto';
import { FactoryError } from '../../../service/errors.ts';

/**
 * Page lists and page differences.
 *
 * list          one digest for each page of a database file, in order: the first 16 bytes of SHA-256
 * difference    a JSON line `{format, pageSize, pages}`, then for each page that changed its number, counted from 0, as
 *               32 bits big-endian, and its bytes. Applied to the full backup's file, and cut or grown to `pages`, it
 *               gives the later one.
 */

export const DIFF_FORMAT = 'build-factory/page-diff/1';
export const DIGEST_BYTES = 16;
const NUMBER_BYTES = 4;
const MAX_HEAD = 1024;

export interface DiffHead {
  format: typeof DIFF_FORMAT;
  pageSize: number;
  pages: number;
}

/** Cuts a stream into pieces of one size, which are good until more is taken; a shorter last one is an error. */
export class Pieces {
  private rest: Buffer = Buffer.alloc(0);
  private readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  *take(data: Buffer): Generator<Buffer> {
    const all = this.rest.length === 0 ? data : Buffer.concat([this.rest, data]);
    let at = 0;
    for (; all.length - at >= this.size; at += this.size) yield all.subarray(at, at + this.size);
    // A copy: the data may lie in a buffer that is filled anew.
    this.rest = Buffer.from(all.subarray(at));
  }

  /** Bytes of a piece that has begun. */
  get left(): number {
    return this.rest.length;
  }
}

/** Collects the page list of a database file that comes in pieces, in one buffer: a list of objects is ten times as big. */
export class PageList {
  private digests = Buffer.allocUnsafe(64 * 1024);
  private bytes = 0;
  private readonly pieces: Pieces;

  constructor(pageSize: number) {
    this.pieces = new Pieces(pageSize);
  }

  take(data: Buffer): void {
    for (const page of this.pieces.take(data)) {
      if (this.bytes === this.digests.length) this.digests = Buffer.concat([this.digests], 2 * this.bytes);
      // As a string: a buffer for each page is a piece of memory of its own, and there are 262,144 in a GiB.
      const digest = hash('sha256', page, 'binary');
      this.bytes += this.digests.write(digest, this.bytes, DIGEST_BYTES, 'latin1');
    }
  }

  /** Errors: `RangeError` where the file did not end with a whole page. */
  list(): Buffer {
    if (this.pieces.left > 0) throw new RangeError('a database file does not end with a whole page');
    return this.digests.subarray(0, this.bytes);
  }
}

/** Numbers of the pages of `now` that `before` does not have at the same place, from 0, in order. */
export function changedPages(before: Buffer, now: Buffer): number[] {
  const changed: number[] = [];
  for (let at = 0; at < now.length; at += DIGEST_BYTES) {
    const end = at + DIGEST_BYTES;
    if (end > before.length || before.compare(now, at, end, at, end) !== 0) changed.push(at / DIGEST_BYTES);
  }
  return changed;
}

export function diffHead(pageSize: number, pages: number): Buffer {
  const head: DiffHead = { format: DIFF_FORMAT, pageSize, pages };
  return Buffer.from(`${JSON.stringify(head)}\n`);
}

/** The record of one page. */
export function diffRecord(page: number, bytes: Buffer): Buffer {
  const record = Buffer.allocUnsafe(NUMBER_BYTES + bytes.length);
  record.writeUInt32BE(page);
  bytes.copy(record, NUMBER_BYTES);
  return record;
}

/** Reads a difference: `onHead` once, then `onPage` in order. Errors: `difference-damaged`. */
export function diffReader(onHead: (head: DiffHead) => void, onPage: (page: number, bytes: Buffer) => void) {
  let head = Buffer.alloc(0);
  let records: Pieces | null = null;

  function takeHead(data: Buffer): Buffer | null {
    head = Buffer.concat([head, data]);
    const end = head.indexOf(10);
    if (end < 0 && head.length <= MAX_HEAD) return null;
    const parsed = parseHead(head.subarray(0, Math.max(end, 0)).toString());
    onHead(parsed);
    records = new Pieces(NUMBER_BYTES + parsed.pageSize);
    return head.subarray(end + 1);
  }

  return {
    take(data: Buffer): void {
      const rest = records ? data : takeHead(data);
      if (!records || !rest) return;
      for (const record of records.take(rest)) onPage(record.readUInt32BE(), record.subarray(NUMBER_BYTES));
    },
    end(): void {
      if (records === null || records.left > 0) throw differenceDamaged('it ends within a page');
    },
  };
}

function parseHead(text: string): DiffHead {
  try {
    const head = JSON.parse(text) as DiffHead;
    if (head.format === DIFF_FORMAT && isPageSize(head.pageSize) && Number.isSafeInteger(head.pages))
      return head;
  } catch {
    // Told below.
  }
  throw differenceDamaged('it has no head that this release reads');
}

/** SQLite's page sizes: powers of two from 512 to 65,536. */
export function isPageSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 512 && size <= 65_536 && (size & (size - 1)) === 0;
}

function differenceDamaged(why: string): FactoryError {
  return new FactoryError({
    code: 'difference-damaged',
    op: 'apply difference',
    message: `The page difference is damaged: ${why}.`,
    hint: 'Restore an earlier backup, or from another destination.',
  });
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  changedPages,
  diffHead,
  diffReader,
  diffRecord,
  PageList,
} from '../../../scripts/lib/backup/pages.ts';

const PAGE = 512;

function listOf(file: Buffer): Buffer {
  const list = new PageList(PAGE);
  list.take(file);
  return list.list();
}

/** Files of whole pages, of which many are alike. */
const file = fc
  .array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 12 })
  .map((pages) => Buffer.concat(pages.map((value) => Buffer.alloc(PAGE, value))));

function apply(before: Buffer, diff: Buffer, piece: number): Buffer {
  let pages = 0;
  const writes: { page: number; bytes: Buffer }[] = [];
  const reader = diffReader(
    (head) => (pages = head.pages),
    (page, bytes) => writes.push({ page, bytes: Buffer.from(bytes) }),
  );
  for (let at = 0; at < diff.length; at += piece) reader.take(diff.subarray(at, at + piece));
  reader.end();
  const after = Buffer.alloc(pages * PAGE);
  before.copy(after);
  for (const { page, bytes } of writes) bytes.copy(after, page * PAGE);
  return after;
}

describe('a page difference', () => {
  it('applied to the one file gives the other', () => {
    fc.assert(
      fc.property(file, file, fc.integer({ min: 1, max: 2000 }), (before, after, piece) => {
        const changed = changedPages(listOf(before), listOf(after));
        const records = changed.map((page) =>
          diffRecord(page, after.subarray(page * PAGE, (page + 1) * PAGE)),
        );
        const diff = Buffer.concat([diffHead(PAGE, after.length / PAGE), ...records]);
        expect(apply(before, diff, piece).equals(after)).toBe(true);
      }),
    );
  });

  it('names pages only that differ, or are new', () => {
    const page = (value: number): Buffer => Buffer.alloc(PAGE, value);
    const before = listOf(Buffer.concat([page(1), page(2), page(3)]));
    const after = listOf(Buffer.concat([page(1), page(9), page(3), page(4)]));
    expect(changedPages(before, after)).toEqual([1, 3]);
    expect(changedPages(after, before)).toEqual([1]);
    expect(changedPages(before, before)).toEqual([]);
  });

  it.each([
    ['no head', Buffer.from('{"format":"something else"}\n')],
    ['no JSON', Buffer.from('\n')],
    [
      'a page size that no database has',
      Buffer.from('{"format":"build-factory/page-diff/1","pageSize":1000,"pages":1}\n'),
    ],
    ['a page that is cut off', Buffer.concat([diffHead(PAGE, 2), diffRecord(0, Buffer.alloc(PAGE - 1))])],
    ['nothing', Buffer.alloc(0)],
    ['a head without an end', Buffer.alloc(5000, 'x')],
  ])('with %s is refused', (_what, diff) => {
    expect(() => apply(Buffer.alloc(PAGE), diff, 100)).toThrow(
      expect.objectContaining({ code: 'difference-damaged' }),
    );
  });
});

import { describe, expect, it } from 'vitest';
import { cellOf, compareKeys, copyLine, defectOf, inOrder } from '../../service/storage/port/table.ts';
import type { Column, SqliteValue, Table } from '../../service/storage/port/table.ts';

const column = (kind: Column['kind']): Column => ({ name: 'c', kind });

describe('a value on its way to Postgres', () => {
  it.each<[what: string, kind: Column['kind'], value: SqliteValue, bytes: Buffer, reason: string | null]>([
    ['nothing', 'text', null, Buffer.alloc(0), null],
    ['a text', 'text', 'a', Buffer.from('a'), null],
    ['a text with a NUL', 'text', 'a\0b', Buffer.from('a\0b'), 'nul'],
    ['a replacement character that was written', 'text', '\ufffd', Buffer.from('\ufffd'), null],
    ['one that stands for bytes that are no text', 'text', 'a\ufffd', Buffer.from([0x61, 0xff]), 'utf-8'],
    ['a number where a text belongs', 'text', 1n, Buffer.alloc(0), 'type'],
    ['a fraction where a whole number belongs', 'integer', 1.5, Buffer.alloc(0), 'type'],
    ['the largest number', 'integer', 9223372036854775807n, Buffer.alloc(0), null],
    ['bytes with a NUL', 'blob', Buffer.from([0]), Buffer.alloc(0), null],
    ['a text where bytes belong', 'blob', 'a', Buffer.alloc(0), 'type'],
  ])('%s', (_what, kind, value, bytes, reason) => {
    expect(defectOf(column(kind), value, () => bytes)?.reason ?? null).toBe(reason);
  });

  it('is a cell as Postgres writes it', () => {
    expect([null, 1n, -9223372036854775808n, 'a', Buffer.from([0, 255])].map(cellOf)).toEqual([
      ...[null, '1', '-9223372036854775808', 'a', '\\x00ff'],
    ]);
  });

  it('is a field of COPY that nothing in it can end', () => {
    expect(copyLine([null, '', '\\N', 'a\tb\nc\rd', '\\x00'])).toBe('\\N\t\t\\\\N\ta\\tb\\nc\\rd\t\\\\x00\n');
  });
});

describe('keys', () => {
  it.each([
    [
      'numbers by their value',
      'integer',
      ['9', '10', '-1', '9007199254740993'],
      ['-1', '9', '10', '9007199254740993'],
    ],
    [
      'texts by their bytes',
      'text',
      ['b', 'B', 'ä', 'a', '😀', '\uffff'],
      ['B', 'a', 'b', 'ä', '\uffff', '😀'],
    ],
  ] as const)('are ordered as both engines do: %s', (_what, kind, given, ordered) => {
    const sorted = given.toSorted((one, other) => compareKeys([column(kind)], [one], [other]));
    expect(sorted).toEqual(ordered);
  });
});

describe('tables', () => {
  const table = (name: string, ...parents: string[]): Table => ({
    name,
    columns: [],
    key: [],
    parents,
    counted: false,
  });

  it('come after those that they refer to, but for themselves', () => {
    const names = inOrder([table('a', 'c', 'a'), table('c', 'd'), table('b'), table('d')]).map(
      ({ name }) => name,
    );
    expect(names).toEqual(['b', 'd', 'c', 'a']);
  });

  it('that refer to each other in a circle are an error', () => {
    expect(() => inOrder([table('a', 'b'), table('b', 'a')])).toThrow('a,b');
  });
});

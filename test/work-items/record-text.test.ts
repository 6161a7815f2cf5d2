import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { blobId, decodeText, isItemId } from '../../service/work-items/record-text.ts';

describe('decodeText', () => {
  it('keeps UTF-8 as it is', () => {
    expect(decodeText(Buffer.from('\uFEFFä🚀'), { path: 'a', itemId: null })).toEqual({
      text: '\uFEFFä🚀',
      problems: [],
    });
  });

  it.each([
    [[0x61, 0x0a, 0xff, 0x0a, 0x62], 2],
    [[0xc3], 1],
    [[0x0a, 0x0a, 0xe2, 0x82], 3],
    [[0xc3, 0x0a, 0xa4], 1],
  ])('names the line that is not (%j)', (bytes, line) => {
    const { text, problems } = decodeText(Buffer.from(bytes), { path: 'a.md', itemId: null });
    expect(text).toBeNull();
    expect(problems).toMatchObject([{ file: 'a.md', line, code: 'not-utf8' }]);
  });
});

it('gives the ids that git gives', () => {
  for (const text of ['', 'a\n', 'ä🚀']) {
    expect(blobId(text)).toBe(
      execFileSync('git', ['hash-object', '--stdin'], { input: text }).toString().trim(),
    );
  }
});

it.each<[string, boolean]>([
  ['wi-BF-106', true],
  ['wi-a', true],
  ['wi-a.b_c-1', true],
  ['wi-', false],
  ['BF-106', false],
  ['wi-BF-106\n', false],
  ['wi-../x', false],
  ['wi-a/b', false],
  ['wi-a.', false],
  [`wi-${'a'.repeat(101)}`, false],
])('%j as an id: %s', (id, valid) => {
  expect(isItemId(id)).toBe(valid);
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fields, plain, table, widthOf, wrap } from '../../scripts/lib/layout.ts';
import { createProgress, ticking } from '../../scripts/lib/progress.ts';

describe('table', () => {
  it('aligns columns by what they take on the screen', () => {
    expect(
      table(
        ['ID', 'NAME', 'X'],
        [
          ['1', '世界', 'a'],
          ['22', 'Ada', 'b'],
        ],
      ),
    ).toBe(['ID  NAME  X', '1   世界  a', '22  Ada   b'].join('\n'));
  });

  it('cuts the last cells to the room of a line, but never to nothing', () => {
    const rows = [['1', 'A title of some length, 世界'.repeat(3)]];
    expect(table(['ID', 'TITLE'], rows, 30).split('\n')[1]).toBe('1   A title of some length,…');
    expect(table(['ID', 'TITLE'], rows, 31).split('\n')[1]).toBe('1   A title of some length, 世…');
    expect(table(['ID', 'TITLE'], rows, 5).split('\n')[1]).toBe('1   A title of some len…');
    expect(table(['ID', 'TITLE'], rows)).toContain(rows[0]?.[1]);
  });

  it('keeps a cell on its line', () => {
    expect(table(['A'], [['one\ntwo\tthree']])).toBe('A\none two three');
  });
});

it('lines values up and hangs long ones below their start', () => {
  const text = fields([
    ['Cause', 'word '.repeat(40).trim()],
    ['Next step', null],
  ]);
  const [first = '', second = '', ...rest] = text.split('\n');
  expect(first.indexOf('word')).toBe(13);
  expect(second).toMatch(/^ {13}word/);
  expect(rest.at(-1)).toBe('  Next step  none');
});

it.each([
  ['', 0],
  ['abc', 3],
  ['e\u0301', 1],
  ['日本', 4],
  ['🙂', 2],
])('%j takes %i columns', (text, width) => {
  expect(widthOf(text)).toBe(width);
});

it('lets no text steer the terminal', () => {
  expect(plain('a\u001b[31mb\u0007\u009bc\nd')).toBe('a\ufffd[31mb\ufffd\ufffdc\nd');
});

it('loses no word, whatever the text', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'bb', ' ', '\n', '日', '-'), maxLength: 400 });
  fc.assert(
    fc.property(text, fc.integer({ min: 0, max: 40 }), (given, indent) => {
      const words = (one: string): string[] => one.split(/\s+/).filter(Boolean);
      const wrapped = wrap(given, ' '.repeat(indent));
      expect(words(wrapped)).toEqual(words(given));
      const longest = Math.max(0, ...words(given).map(widthOf));
      for (const line of wrapped.split('\n'))
        expect(widthOf(line)).toBeLessThanOrEqual(indent + Math.max(100 - indent, longest));
    }),
  );
});

describe('progress', () => {
  const draw = (isTTY: boolean) => {
    let now = 0;
    let written = '';
    const stderr = { isTTY, write: (text: string) => (written += text) } as unknown as Parameters<
      typeof createProgress
    >[0];
    const progress = createProgress(stderr, () => now);
    return { progress, wait: (ms: number) => (now += ms), written: () => written };
  };

  it('is drawn over itself, not too often, and taken away', () => {
    const { progress, wait, written } = draw(true);
    progress('work: 1');
    progress('work: 2');
    wait(150);
    progress('work: 3');
    progress('');
    progress('');
    expect(written()).toBe('\r\u001b[Kwork: 1\r\u001b[Kwork: 3\r\u001b[K');
  });

  it('shows at once what is another piece of work', () => {
    const { progress, written } = draw(true);
    progress('work: 100 %');
    progress('check: 0 s');
    expect(written()).toBe('\r\u001b[Kwork: 100 %\r\u001b[Kcheck: 0 s');
  });

  it('says of work that tells nothing that it runs, and gives what comes of it', async () => {
    const said: string[] = [];
    const say = (text: string): void => void said.push(text);
    expect(await ticking(say, 'check', Promise.resolve(7))).toBe(7);
    const failing = ticking(say, 'other', Promise.reject(new RangeError('no')));
    await expect(failing).rejects.toThrow(RangeError);
    expect(said).toEqual(['check: 0 s', 'other: 0 s']);
  });

  it('is nothing where stderr is no terminal', () => {
    const { progress, written } = draw(false);
    progress('one');
    progress('');
    expect(written()).toBe('');
  });
});

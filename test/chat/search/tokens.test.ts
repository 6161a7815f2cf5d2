import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LONGEST_TOKEN, tokensOf, tokenTexts } from '../../../service/chat/search/tokens.ts';

describe('tokens', () => {
  it.each<[what: string, text: string, tokens: string[]]>([
    ['words', 'Hello, World!', ['hello', 'world']],
    ['names in code', 'FACTORY_DATA_DIR=./data-1', ['factory', 'data', 'dir', 'data', '1']],
    ['NUL separates', 'a\0b', ['a', 'b']],
    ['half of a surrogate pair separates', 'a\ud83db\udc4dc', ['a', 'b', 'c']],
    ['composed and decomposed are the same', 'Cafe\u0301 café', ['café', 'café']],
    ['full width', 'ＡＢＣ１２', ['abc12']],
    ['ligature', 'ﬁle', ['file']],
    ['sharp s', 'Straße STRASSE ẞ', ['strasse', 'strasse', 'ss']],
    ['both small sigmas', 'ΟΔΟΣ οδος οδοσ', ['οδοσ', 'οδοσ', 'οδοσ']],
    ['dotless i', 'ISI ısı', ['isi', 'isi']],
    ['a fraction falls apart', '½', ['1', '2']],
    ['zero-width characters vanish', 'pass\u200bwo\u00adrd', ['password']],
    ['Han, one a character', '東京tower', ['東', '京', 'tower']],
    ['kana', 'カフェです', ['カ', 'フ', 'ェ', 'で', 'す']],
    ['half-width kana with its voicing', 'ﾊﾞ', ['バ']],
    ['Thai, a mark stays with its letter', 'น้ำ', ['น้ํ', 'า']],
    ['Hangul, by words', '서울 시청', ['서울', '시청']],
    ['Arabic and Hebrew', 'سلام שלום', ['سلام', 'שלום']],
    ['emoji', 'ok👍done', ['ok', '👍', 'done']],
    ['a tint does not count', '👍🏽', ['👍']],
    ['joined emoji are a phrase', '👨‍👩‍👧', ['👨', '👩', '👧']],
    ['with and without its variation selector', '❤️❤', ['❤', '❤']],
    ['flags', '🇩🇪', ['🇩', '🇪']],
    ['nothing at all', ' \t--…', []],
  ])('%s', (_what, text, tokens) => {
    expect(tokenTexts(text)).toEqual(tokens);
  });

  it('say where they came from', () => {
    expect([...tokensOf('a  Straße')]).toEqual([
      { text: 'a', start: 0, end: 1 },
      { text: 'strasse', start: 3, end: 9 },
    ]);
  });

  it('cuts a long run between characters', () => {
    const pieces = tokenTexts('x'.repeat(LONGEST_TOKEN + 1) + ' ' + '𐐨'.repeat(LONGEST_TOKEN + 2));
    expect(pieces.map((piece) => Array.from(piece).length)).toEqual([LONGEST_TOKEN, 1, LONGEST_TOKEN, 2]);
  });

  it('are found again as they are, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const tokens = tokenTexts(text);
        expect(tokenTexts(tokens.join(' '))).toEqual(tokens);
        for (const token of tokens) {
          expect(token).not.toBe('');
          // What the index takes for one token: letters and digits of ASCII, and all that is beyond it.
          expect(token).toMatch(/^[a-z0-9\u0080-\u{10ffff}]+$/u);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('of 2 MB come in a moment', () => {
    const text = 'The quick brown fox — 東京 '.repeat(80_000);
    const started = performance.now();
    expect(tokenTexts(text)).toHaveLength(480_000);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

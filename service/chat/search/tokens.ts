/**
 * How text becomes the tokens that are searched for. Made here and not by a database, so that both engines agree: the same
 * text gives the same tokens, in a query as in a message.
 *
 * - A word is a run of letters, digits and marks of any script; everything else separates, NUL and half surrogate pairs too.
 * - Scripts that put no space between words give one token a character: what is written together is found as a phrase.
 * - A pictograph is a token; what joins or tints pictographs is not.
 * - Tokens are compared by NFKC and without case; marks that nobody sees are dropped.
 */

export interface Token {
  text: string;
  /** Where it came from, in UTF-16 units. */
  start: number;
  end: number;
}

/** In code points. A longer run is several tokens, which follow each other as in a phrase. */
export const LONGEST_TOKEN = 64;

const SPACELESS = String.raw`\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}`;
const UNSEEN = String.raw`\p{Default_Ignorable_Code_Point}`;
/** The voicing marks of half-width kana, and am of Thai and Lao, are letters that fall apart into marks. */
const TRAILING = String.raw`[\p{M}${UNSEEN}\uff9e\uff9f\u0e33\u0eb3]*`;
const RUN = new RegExp(
  [
    String.raw`[${SPACELESS}]${TRAILING}`,
    String.raw`[\p{Extended_Pictographic}\p{Regional_Indicator}]`,
    String.raw`[[\p{L}\p{N}\p{M}${UNSEEN}]--[${SPACELESS}]]+`,
  ].join('|'),
  'gv',
);
const UNSEEN_ONES = new RegExp(`${UNSEEN}+`, 'gv');
const SPACELESS_ONE = new RegExp(`^[${SPACELESS}]`, 'v');
const ASCII = /^[\x00-\x7f]*$/;

/** Whether it is of a script without spaces: then nothing can be the beginning of it. */
export const isSpaceless = (token: string): boolean => SPACELESS_ONE.test(token);

/** In their order. */
export function* tokensOf(text: string): Generator<Token> {
  for (const match of text.matchAll(RUN)) {
    const [run] = match;
    const [start, end] = [match.index, match.index + run.length];
    for (const piece of piecesOf(run)) yield { text: piece, start, end };
  }
}

export const tokenTexts = (text: string): string[] => Array.from(tokensOf(text), (token) => token.text);

function piecesOf(run: string): string[] {
  if (ASCII.test(run)) return cut(run.toLowerCase());
  // What is folded can fall apart: a half is 1, a slash and 2.
  return (fold(run).match(RUN) ?? []).flatMap(cut);
}

/** Through upper case, which makes one of what lower case keeps apart: ß and ss. */
function fold(run: string): string {
  return run
    .normalize('NFKC')
    .replace(UNSEEN_ONES, '')
    .toLowerCase()
    .toUpperCase()
    .toLowerCase()
    .replaceAll('ς', 'σ')
    .normalize('NFKC');
}

function cut(token: string): string[] {
  if (token.length <= LONGEST_TOKEN) return [token];
  const points = Array.from(token);
  const pieces: string[] = [];
  for (let at = 0; at < points.length; at += LONGEST_TOKEN)
    pieces.push(points.slice(at, at + LONGEST_TOKEN).join(''));
  return pieces;
}

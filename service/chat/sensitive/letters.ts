/** Sets of ASCII characters, for questions that are asked for every character of a text. */

export type Letters = (code: number) => boolean;

export function lettersOf(text: string): Letters {
  const known = new Uint8Array(128);
  for (const letter of text) known[letter.charCodeAt(0)] = 1;
  return (code) => code < 128 && known[code] === 1;
}

const DIGITS = '0123456789';
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();

export const digit = lettersOf(DIGITS);
export const lower = lettersOf(LOWER);
export const letter = lettersOf(LOWER + UPPER);
export const alnum = lettersOf(DIGITS + LOWER + UPPER);
export const upperDigit = lettersOf(DIGITS + UPPER);
export const lowerDigit = lettersOf(DIGITS + LOWER);
export const base32 = lettersOf(`${UPPER}234567`);
export const hex = lettersOf(`${DIGITS}abcdefABCDEF`);
/** Of identifiers: a token that follows one directly is a part of it. */
export const word = lettersOf(`${DIGITS}${LOWER}${UPPER}_`);
export const base64 = lettersOf(`${DIGITS}${LOWER}${UPPER}+/`);
/** base64 as URLs have it (RFC 4648, 5). */
export const base64url = lettersOf(`${DIGITS}${LOWER}${UPPER}-_`);

/** Letters and digits, and what is given. */
export const alnumAnd = (more: string): Letters => lettersOf(DIGITS + LOWER + UPPER + more);
export const hexAnd = (more: string): Letters => lettersOf(`${DIGITS}abcdefABCDEF${more}`);

/** The end of the run of such characters that begins at `from`, at most `most` of them. */
export function runEnd(text: string, from: number, letters: Letters, most = Infinity): number {
  const limit = Math.min(text.length, from + most);
  let at = from;
  while (at < limit && letters(text.charCodeAt(at))) at += 1;
  return at;
}

/** The beginning of the run that ends before `to`. */
export function runStart(text: string, to: number, letters: Letters, most = Infinity): number {
  const limit = Math.max(0, to - most);
  let at = to;
  while (at > limit && letters(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

const memo = { text: '', letters: alnum, from: 0, end: 0 };

/** As `runEnd`, for runs that may be long and are asked for from many places within: each is read once. */
export function longRunEnd(text: string, from: number, letters: Letters, most: number): number {
  const known = memo.text === text && memo.letters === letters && from >= memo.from && from <= memo.end;
  if (!known) Object.assign(memo, { text, letters, from, end: runEnd(text, from, letters) });
  return Math.min(memo.end, from + most);
}

/** Nothing of a text is kept once it was looked through. */
export function forgetRuns(): void {
  Object.assign(memo, { text: '', from: 0, end: 0 });
}

import { alnum, word } from './letters.ts';
import { luhn } from './personal-rules.ts';
import type { Rule } from './hit.ts';

/**
 * Numbers that states give people. Where a number has no form but its digits it needs its check digits or its name before
 * it, else every long number would be one.
 */

interface Form {
  id: string;
  /** What one of them begins with, or holds at a fixed place. */
  keywords: string[];
  form: RegExp;
  holds?: (text: string) => boolean;
}

const digitsOf = (text: string): string => text.replace(/\D/g, '');
const DIGITS = '0123456789'.split('');

const weighted = (digits: string, weights: readonly number[]): number =>
  weights.reduce((sum, weight, n) => sum + weight * Number(digits[n]), 0);

/** Two check digits of Brazil's CPF. */
function isCpf(text: string): boolean {
  const digits = digitsOf(text);
  const check = (count: number): number => {
    const sum = weighted(
      digits,
      Array.from({ length: count }, (_, n) => count + 1 - n),
    );
    return ((sum * 10) % 11) % 10;
  };
  return new Set(digits).size > 1 && check(9) === Number(digits[9]) && check(10) === Number(digits[10]);
}

/** 97 minus the rest of the first 13; Corsica's departments count as 19 and 18. */
function isNir(text: string): boolean {
  const plain = text.replace(/ /g, '').replace('2A', '19').replace('2B', '18');
  return 97 - Number(BigInt(plain.slice(0, 13)) % 97n) === Number(plain.slice(13, 15));
}

const DNI = 'TRWAGMYFPDXBNJZSQVHLCKE';
function isDni(text: string): boolean {
  const plain = text.replace(/[ -]/g, '').toUpperCase();
  const number = plain.slice(0, -1).replace(/^X/, '0').replace(/^Y/, '1').replace(/^Z/, '2');
  return DNI[Number(number) % 23] === plain.at(-1);
}

function isAhv(text: string): boolean {
  const digits = digitsOf(text);
  const sum = weighted(digits, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
  return (10 - (sum % 10)) % 10 === Number(digits[12]);
}

function isPesel(text: string): boolean {
  const digits = digitsOf(text);
  const month = Number(digits.slice(2, 4)) % 20;
  const sum = weighted(digits, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
  return month >= 1 && month <= 12 && (10 - (sum % 10)) % 10 === Number(digits[10]);
}

const FORMS: Form[] = [
  // Never given: area 000, 666 and 9xx, group 00, serial 0000 (Social Security Administration).
  { id: 'us-social-security', keywords: DIGITS, form: /^(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}/ },
  {
    ...{ id: 'uk-national-insurance', keywords: 'abceghjklmnoprstwxyz'.split('') },
    form: /^(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]/,
  },
  { id: 'swiss-social-security', keywords: ['756'], form: /^756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d/, holds: isAhv },
  {
    ...{ id: 'french-social-security', keywords: ['1', '2'] },
    form: /^[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d/,
    holds: isNir,
  },
  {
    ...{ id: 'spanish-identity', keywords: [...DIGITS, 'x', 'y', 'z'] },
    form: /^(?:\d{8}|[XYZ]-?\d{7})-?[A-HJ-NP-TV-Z]/,
    holds: isDni,
  },
  {
    ...{ id: 'italian-fiscal-code', keywords: 'abcdefghijklmnopqrstuvwxyz'.split('') },
    form: /^[A-Z]{6}\d\d[A-EHLMPR-T](?:[04][1-9]|[1256]\d|[37][01])[A-Z]\d{3}[A-Z]/,
  },
  { id: 'brazilian-cpf', keywords: DIGITS, form: /^\d{3}\.\d{3}\.\d{3}-\d\d/, holds: isCpf },
  { id: 'polish-pesel', keywords: DIGITS, form: /^\d{11}/, holds: isPesel },
  {
    ...{ id: 'swedish-personal-number', keywords: DIGITS },
    form: /^(?:19|20)?\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[-+]\d{4}/,
    holds: (text) => luhn(digitsOf(text).slice(-10)),
  },
  {
    id: 'indian-pan',
    keywords: 'abcdefghijklmnopqrstuvwxyz'.split(''),
    form: /^[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]/,
  },
];

const LONGEST = 30;

export const NATIONAL_RULES: readonly Rule[] = FORMS.map(({ id, keywords, form, holds = () => true }) => ({
  ...{ id, category: 'nationalIds' as const, keywords },
  match(text, at) {
    if (at > 0 && (word(text.charCodeAt(at - 1)) || /[.-]/.test(text[at - 1]!))) return null;
    const found = form.exec(text.slice(at, at + LONGEST))?.[0];
    if (found === undefined) return null;
    const end = at + found.length;
    return !alnum(text.charCodeAt(end)) && text[end] !== '-' && holds(found) ? { start: at, end } : null;
  },
}));

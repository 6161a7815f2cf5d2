import { alnum, alnumAnd, digit, hex, letter, lettersOf, runEnd, runStart } from './letters.ts';
import type { Rule, Span } from './hit.ts';

/** What names a person or their money, wherever it stands: addresses, telephone numbers, accounts, cards. */

const local = alnumAnd('._%+-');
const host = alnumAnd('.-');
/** RFC 2606 and RFC 6761 keep these for documentation; `git@` and its like are no people. */
const NOBODY =
  /@(?:[\w.-]+\.)?(?:example(?:\.(?:com|org|net|edu))?|localhost|[\w-]+\.(?:test|invalid|example|local|internal))$|^(?:git|noreply|no-reply|user|root|www)@|@users\.noreply\./i;

function email(text: string, at: number, after: number): Span | null {
  const start = trimDots(text, runStart(text, at, local, 64), at);
  const end = domainEnd(text, after);
  if (start === at || end === null) return null;
  return NOBODY.test(text.slice(start, end)) ? null : { start, end };
}

function trimDots(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && /[.\-%]/.test(text[at]!)) at += 1;
  return at;
}

/** Labels, of which the last has letters only; a full stop after it ends the sentence. */
function domainEnd(text: string, from: number): number | null {
  let end = runEnd(text, from, host, 255);
  while (end > from && /[.-]/.test(text[end - 1]!)) end -= 1;
  const domain = text.slice(from, end);
  return /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}$/.test(domain) ? end : null;
}

const separator = lettersOf(' -./()');

/** Digits with at most two separators between two of them. */
function digitsFrom(text: string, from: number, most: number): { digits: string; end: number } {
  let [digits, end, at] = ['', from, from];
  while (at < text.length && digits.length < most) {
    const next = runEnd(text, at, separator, 2);
    if (!digit(text.charCodeAt(next))) break;
    digits += text[next]!;
    at = end = next + 1;
  }
  return { digits, end };
}

/** E.164 with its plus sign: a country code and up to 15 digits in all. */
function phone(text: string, at: number, after: number): Span | null {
  if (at > 0 && /[\w+)\]]/.test(text[at - 1]!)) return null;
  if (!digit(text.charCodeAt(after)) || text[after] === '0') return null;
  const { digits, end } = digitsFrom(text, after, 16);
  if (digits.length < 9 || digits.length > 15 || alnum(text.charCodeAt(end))) return null;
  return { start: at, end };
}

/** As people of North America write them: `(415) 555-2671`. */
function phoneInParentheses(text: string, at: number): Span | null {
  const found = /^\([2-9]\d\d\)[ -]?\d{3}[ -.]\d{4}(?!\d)/.exec(text.slice(at, at + 16));
  return found ? { start: at, end: at + found[0].length } : null;
}

/** Characters of an IBAN by country (registry of SWIFT). */
const IBAN_CHARS: Record<string, number> = {
  ...{
    AD: 24,
    AE: 23,
    AL: 28,
    AT: 20,
    AZ: 28,
    BA: 20,
    BE: 16,
    BG: 22,
    BH: 22,
    BR: 29,
    BY: 28,
    CH: 21,
    CR: 22,
    CY: 28,
  },
  ...{
    CZ: 24,
    DE: 22,
    DK: 18,
    DO: 28,
    EE: 20,
    EG: 29,
    ES: 24,
    FI: 18,
    FO: 18,
    FR: 27,
    GB: 22,
    GE: 22,
    GI: 23,
    GL: 18,
  },
  ...{
    GR: 27,
    GT: 28,
    HR: 21,
    HU: 28,
    IE: 22,
    IL: 23,
    IQ: 23,
    IS: 26,
    IT: 27,
    JO: 30,
    KW: 30,
    KZ: 20,
    LB: 28,
    LC: 32,
  },
  ...{
    LI: 21,
    LT: 20,
    LU: 20,
    LV: 21,
    MC: 27,
    MD: 24,
    ME: 22,
    MK: 19,
    MR: 27,
    MT: 31,
    MU: 30,
    NL: 18,
    NO: 15,
    PK: 24,
  },
  ...{
    PL: 28,
    PS: 29,
    PT: 25,
    QA: 29,
    RO: 24,
    RS: 22,
    SA: 24,
    SC: 31,
    SE: 24,
    SI: 19,
    SK: 24,
    SM: 27,
    ST: 25,
    SV: 28,
  },
  ...{ TL: 23, TN: 24, TR: 26, UA: 29, VA: 22, VG: 24, XK: 20 },
};

/** By country and length, with or without blanks; a mistyped one is somebody's all the same, so no check digits. */
function iban(text: string, at: number, after: number): Span | null {
  if (at > 0 && alnum(text.charCodeAt(at - 1))) return null;
  const chars = IBAN_CHARS[text.slice(at, after)];
  if (chars === undefined || !digit(text.charCodeAt(after)) || !digit(text.charCodeAt(after + 1)))
    return null;
  let [seen, end] = [2, after];
  while (end < text.length && seen < chars) {
    const next = text[end] === ' ' || text[end] === '-' ? end + 1 : end;
    if (!/[A-Z0-9]/.test(text[next] ?? '')) return null;
    seen += 1;
    end = next + 1;
  }
  if (seen < chars || alnum(text.charCodeAt(end))) return null;
  // Identifiers in capitals have fewer digits than an account has.
  return text.slice(at, end).replace(/\D/g, '').length >= 8 ? { start: at, end } : null;
}

/** ISO/IEC 7812-1, annex B. */
export function luhn(digits: string): boolean {
  let sum = 0;
  for (let n = 0; n < digits.length; n += 1) {
    const value = digits.charCodeAt(digits.length - 1 - n) - 48;
    sum += n % 2 === 0 ? value : value * 2 > 9 ? value * 2 - 9 : value * 2;
  }
  return sum % 10 === 0;
}

/** Beginnings and lengths of the schemes: Visa, Mastercard, American Express, Discover, JCB, Diners, UnionPay, Maestro. */
const CARD =
  /^(?:4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35\d{14}|3[0689]\d{12}|62\d{14,17}|(?:50|5[6-8]|6\d)\d{10,17})$/;

/** Tried at the first of a run of digits only, so that each digit is read once. */
function card(text: string, at: number): Span | null {
  const before = text[at - 1] ?? ' ';
  if (/[\w.+#]/.test(before) || (before === '-' && digit(text.charCodeAt(at - 2)))) return null;
  const match = /^\d(?:[ -]?\d){12,18}(?![\d])/.exec(text.slice(at, at + 40));
  if (!match || hex(text.charCodeAt(at + match[0].length)) || letter(text.charCodeAt(at + match[0].length)))
    return null;
  const digits = match[0].replace(/\D/g, '');
  return CARD.test(digits) && luhn(digits) ? { start: at, end: at + match[0].length } : null;
}

const personal = (id: string, keywords: string[], match: Rule['match']): Rule => ({
  ...{ id, category: 'personal', keywords, match },
});

export const PERSONAL_RULES: readonly Rule[] = [
  personal('email-address', ['@'], email),
  personal('phone-number', ['+'], phone),
  personal('phone-number', ['('], phoneInParentheses),
  personal(
    'iban',
    Object.keys(IBAN_CHARS).map((country) => country.toLowerCase()),
    iban,
  ),
  personal('payment-card', ['2', '3', '4', '5', '6'], card),
];

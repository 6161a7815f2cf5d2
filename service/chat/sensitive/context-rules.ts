import { alnumAnd, base64, base64url, letter, lettersOf, lower, runEnd, runStart } from './letters.ts';
import { entropyOf, isPlaceholder } from './allowed.ts';
import { secret } from './hit.ts';
import type { Rule, Span } from './hit.ts';

/** Secrets that only what stands around them gives away: a name, a header, an address, the frame of a key file. */

const blank = lettersOf(' \t');
const quote = lettersOf('"\'`');
const MOST_VALUE = 4096;
/** Without quotes: a line of anything would be a value. */
const MOST_BARE = 512;

export interface Value extends Span {
  text: string;
  quoted: boolean;
}

/**
 * The value that a name is given: `name = value`, `"name": "value"`, `name=value`, `<name>value</name>`, `the name is value`,
 * `"name": "NAME", "value": "value"`, `--name value`, `NAME 'value'`. `from` is the end of the keyword, which begins at
 * `begin`; the rest of the name may follow.
 */
function assigned(text: string, begin: number, from: number): Value | null {
  if (isOtherWord(text, from)) return null;
  const named = runEnd(text, from, nameRest, 40);
  let at = named;
  if (quote(text.charCodeAt(at))) at += 1;
  else if (text.startsWith('\\"', at)) at += 2;
  if (text[at] === ']') at += 1;
  at = runEnd(text, at, blank, 8);
  const operator = OPERATORS.find((one) => text.startsWith(one, at));
  if (operator !== undefined) return valueAt(text, runEnd(text, at + operator.length, blank, 8));
  const apart = apartFrom(text, begin, named);
  return apart === null ? null : valueAt(text, apart);
}

const BESIDE = /\\?["'`]?[ \t]{0,8},?\s{0,40}\\?["'`]?value\\?["'`]?[ \t]{0,8}[:=][ \t]{0,8}/iy;
/** Of an option: a blank, or the next element of a list. */
const AFTER_OPTION = /[ \t]{1,8}(?=[^\s-])|\\?(["'])[ \t]{0,8},\s{0,40}(?=\\?\1)/y;
const QUOTED = /[ \t]{1,8}(?=["'])/y;

/** Where the value begins that stands after its name without a sign between them; null: none does. */
function apartFrom(text: string, begin: number, named: number): number | null {
  const start = runStart(text, begin, nameRest, 40);
  const forms = text.startsWith('--', start) ? [AFTER_OPTION, BESIDE] : [BESIDE, QUOTED];
  for (const form of forms) {
    form.lastIndex = named;
    if (form.test(text)) return form.lastIndex;
  }
  return null;
}

/** `tokenizer` is no `token`; `tokens` and `tokenValue` are. */
function isOtherWord(text: string, from: number): boolean {
  const next = text[from] === 's' ? from + 1 : from;
  return lower(text.charCodeAt(next));
}
const nameRest = alnumAnd('_-');
const OPERATORS = [':=', '=>', '==', '=', ':', '>', 'is '];
/** What ends a value that has no quotes. */
const ENDS = lettersOf(' \t\r\n"\'`,;<>&|)}]');

export function valueAt(text: string, from: number): Value | null {
  const escaped = text.startsWith('\\"', from);
  const at = from + (escaped ? 2 : quote(text.charCodeAt(from)) ? 1 : 0);
  const quoted = at > from;
  const ends = (index: number): boolean =>
    escaped
      ? text.startsWith('\\"', index)
      : quoted
        ? text[index] === text[from] || text[index] === '\n'
        : ENDS(text.charCodeAt(index));
  const limit = Math.min(text.length, at + (quoted ? MOST_VALUE : MOST_BARE));
  let end = at;
  // Within quotes a backslash takes the next character as it is.
  while (end < limit && !ends(end)) end += quoted && !escaped && text[end] === '\\' ? 2 : 1;
  end = Math.min(end, limit);
  if (end === at || (end === limit && limit < text.length)) return null;
  return { start: at, end, text: text.slice(at, end), quoted };
}

export const spanOf = ({ start, end }: Value): Span => ({ start, end });

/** Code names things where configuration has secrets: `token: string`, `password = readPassword(`, `key: config.key`. */
const CODE = /^[A-Za-z_$][\w$]*(?:\??\.[A-Za-z_$][\w$]*)*(?:[([{!?;].*)?$|\(|^[([{]/;
const hasDigit = (text: string): boolean => /\d/.test(text);

export function isPassword({ text, quoted }: Value): boolean {
  if (text.length < 6 || text.length > 200 || isPlaceholder(text)) return false;
  if (!quoted && CODE.test(text) && !(hasDigit(text) && !text.includes('('))) return false;
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((kind) => kind.test(text)).length;
  // A sentence, a path and a word are no passwords that anybody can tell from the rest.
  if (/\s/.test(text) || /^[a-z]+:\/\//i.test(text)) return false;
  return quoted
    ? kinds >= 2 && /[\d!@#$%^&*?]/.test(text)
    : kinds >= 3 || (hasDigit(text) && text.length >= 8);
}

function isKey(value: Value): boolean {
  const { text } = value;
  if (text.length < 16 || text.length > 4000 || isPlaceholder(text) || !KEY.test(text)) return false;
  if (!hasDigit(text) || !/[A-Za-z]/.test(text)) return false;
  return !NAME.test(text) && entropyOf(text) >= 3.2;
}
const KEY = /^[A-Za-z0-9+/=_.~!@#$%^*-]+$/;
/** Words with dashes or dots, a number or two among them: names of files, of versions, of things. */
const NAME = /^(?:[A-Za-z]{2,}[-_./]|\d{1,4}[-_./])+(?:[A-Za-z]{2,}|\d{1,4})$|^\d+\.\d+\.\d+|\.[a-z]{2,4}$/;

const assignment = (id: string, keywords: string[], holds: (value: Value) => boolean): Rule => ({
  ...{ id, category: 'secrets', keywords },
  match(text, at, after) {
    const value = assigned(text, at, after);
    return value && holds(value) ? spanOf(value) : null;
  },
});

/** One in 64 begins as a path does; what follows it tells. */
const awsSecret = ({ text }: Value): boolean =>
  /^[A-Za-z0-9+/]{40}$/.test(text) &&
  !isPlaceholder(/[A-Z]/.test(text) && /[a-z]/.test(text) ? text.replace(/^\/+/, '') : text) &&
  entropyOf(text) > 3.5;

/** `-----BEGIN … PRIVATE KEY-----` up to its end; where it was cut off, as far as it looks like one. */
function privateKey(text: string, at: number): Span | null {
  const head = /^-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----/.exec(text.slice(at, at + 100));
  if (!head) return null;
  const body = at + head[0].length;
  const end = runEnd(text, body, keyBody, 64 * 1024);
  // An address of the format, not a key.
  if (end - body < 40) return null;
  const tail = /^-----END [A-Z0-9 ]{0,40}-----/.exec(text.slice(end, end + 80));
  return { start: at, end: end + (tail?.[0].length ?? 0) };
}
/** Lines of base64, the headers of old formats, and line ends that JSON escaped. */
export const keyBody = lettersOf(
  'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=\r\n\t \\:,.()"\'',
);

function urlCredentials(text: string, at: number, after: number): Span | null {
  const scheme = runStart(text, at, schemeLetter, 30);
  if (scheme === at || !letter(text.charCodeAt(scheme))) return null;
  const user = runEnd(text, after, userLetter, 200);
  if (text[user] !== ':') return null;
  const end = runEnd(text, user + 1, passLetter, 300);
  const password = text.slice(user + 1, end);
  if (text[end] !== '@' || password.length < 3 || isPlaceholder(password) || WORDS.test(password))
    return null;
  return { start: user + 1, end };
}
const schemeLetter = alnumAnd('+.-');
export const userLetter = alnumAnd('._~%!$&*+,;=-');
const passLetter = alnumAnd('._~%!$&*+,;=:#?^-');
/** What documents write for a password. */
const WORDS =
  /^(?:pass|passwd|password|pw|pwd|secret|token|key|user|admin|test|postgres|root|guest|hunter2)$/i;

/** `Authorization: Bearer …` and `Basic …`, in a header, an option of curl or an object. */
function authorization(text: string, _at: number, after: number): Span | null {
  let at = after;
  if (quote(text.charCodeAt(at))) at += 1;
  at = runEnd(text, at, blank, 4);
  if (text[at] !== ':' && text[at] !== '=') return null;
  at = runEnd(text, at + 1, blankOrQuote, 6);
  const scheme = /^(?:bearer|basic|token|apikey|bot|ssws)[ \t]{1,3}/i.exec(text.slice(at, at + 20));
  if (!scheme) return null;
  const start = at + scheme[0].length;
  const end = runEnd(text, start, tokenLetter, MOST_VALUE);
  const token = text.slice(start, end);
  if (token.length < 16 || isPlaceholder(token)) return null;
  return entropyOf(token) >= 3 ? { start, end } : null;
}
export const blankOrQuote = lettersOf(' \t"\'`');
const tokenLetter = (code: number): boolean =>
  base64(code) || base64url(code) || code === 46 || code === 61 || code === 126;

export const CONTEXT_RULES: readonly Rule[] = [
  assignment(
    'aws-secret-access-key',
    [
      'aws_secret',
      'aws-secret',
      'awssecret',
      'secretaccesskey',
      'secret_access_key',
      'secret access key',
      'aws_sec',
    ],
    awsSecret,
  ),
  assignment(
    'password-assignment',
    ['password', 'passwd', 'passwort', 'kennwort', 'pwd', '_pass', 'passphrase', 'passcode', 'identified by'],
    isPassword,
  ),
  assignment(
    'key-assignment',
    [
      ...['secret', 'token', 'api_key', 'apikey', 'api-key', 'access_key', 'access-key', 'accesskey'],
      ...['auth_key', 'authkey', 'private_key', 'privatekey', 'encryption_key', 'signing_key', 'credential'],
      ...[
        'license_key',
        'client_key',
        'admin_key',
        'admin-key',
        'adminkey',
        'service_key',
        'account_key',
        'subscription-key',
        'app_key',
        'appkey',
        'consumer_key',
        'master_key',
        'x-api-key',
      ],
    ],
    isKey,
  ),
  secret('private-key', ['-----begin '], privateKey),
  secret('url-credentials', ['://'], urlCredentials),
  secret('authorization-header', ['authorization'], authorization),
];

import {
  alnum,
  alnumAnd,
  base64,
  base64url,
  digit,
  hex,
  letter,
  lettersOf,
  lower,
  runEnd,
  runStart,
  word,
} from './letters.ts';
import { entropyOf, isPlaceholder } from './allowed.ts';
import type { Rule, Span } from './hit.ts';

/** Secrets that only what stands around them gives away: a name, a header, an address, the frame of a key file. */

const blank = lettersOf(' \t');
const quote = lettersOf('"\'`');
const MOST_VALUE = 4096;
/** Without quotes: a line of anything would be a value. */
const MOST_BARE = 512;

interface Value extends Span {
  text: string;
  quoted: boolean;
}

/**
 * The value that a name is given: `name = value`, `"name": "value"`, `name=value`, `<name>value</name>`, `the name is value`.
 * `from` is the end of the keyword; the rest of the name may follow.
 */
function assigned(text: string, from: number): Value | null {
  if (isOtherWord(text, from)) return null;
  let at = runEnd(text, from, nameRest, 40);
  if (quote(text.charCodeAt(at))) at += 1;
  else if (text.startsWith('\\"', at)) at += 2;
  if (text[at] === ']') at += 1;
  at = runEnd(text, at, blank, 8);
  const operator = OPERATORS.find((one) => text.startsWith(one, at));
  if (operator === undefined) return null;
  at = runEnd(text, at + operator.length, blank, 8);
  return valueAt(text, at);
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

function valueAt(text: string, from: number): Value | null {
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
  while (end < limit && !ends(end)) end += 1;
  if (end === at || (end === limit && limit < text.length)) return null;
  return { start: at, end, text: text.slice(at, end), quoted };
}

const spanOf = ({ start, end }: Value): Span => ({ start, end });

/** Code names things where configuration has secrets: `token: string`, `password = readPassword(`, `key: config.key`. */
const CODE = /^[A-Za-z_$][\w$]*(?:\??\.[A-Za-z_$][\w$]*)*(?:[([{!?;].*)?$|\(|^[([{]/;
const hasDigit = (text: string): boolean => /\d/.test(text);

function isPassword({ text, quoted }: Value): boolean {
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
  match(text, _at, after) {
    const value = assigned(text, after);
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
const keyBody = lettersOf(
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
const userLetter = alnumAnd('._~%!$&*+,;=-');
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
  const scheme = /^(?:bearer|basic|token|apikey|bot)[ \t]{1,3}/i.exec(text.slice(at, at + 20));
  if (!scheme) return null;
  const start = at + scheme[0].length;
  const end = runEnd(text, start, tokenLetter, MOST_VALUE);
  const token = text.slice(start, end);
  if (token.length < 16 || isPlaceholder(token)) return null;
  return entropyOf(token) >= 3 ? { start, end } : null;
}
const blankOrQuote = lettersOf(' \t"\'`');
const tokenLetter = (code: number): boolean =>
  base64(code) || base64url(code) || code === 46 || code === 61 || code === 126;

/** `curl -u name:password`, and what is called like it. */
function commandCredentials(text: string, at: number, after: number): Span | null {
  const line =
    text
      .slice(Math.max(0, at - MOST_BEFORE), at)
      .split('\n')
      .at(-1) ?? '';
  if (!/curl|wget|http/.test(line)) return null;
  const user = runEnd(text, runEnd(text, after, blankOrQuote, 2), userLetter, 64);
  if (text[user] !== ':') return null;
  const value = valueAt(text, user + 1);
  return value && isPassword(value) ? spanOf(value) : null;
}
/** A command is looked for so far before its option. */
const MOST_BEFORE = 200;

/** `123456789:AA…`, which Telegram gives bots. */
function telegram(text: string, at: number, after: number): Span | null {
  const start = runStart(text, at, digit, 11);
  if (at - start < 8 || at - start > 10) return null;
  const end = runEnd(text, after, base64url, 40);
  return end - after === 33 ? { start, end } : null;
}

/** Three parts, of which the first is the number of the bot in base64. */
function discordBot(text: string, at: number): Span | null {
  const start = runStart(text, at, alnum, 30);
  const head = text.slice(start, at);
  if (head.length < 23 || head.length > 28 || !/^[MNO]/.test(head)) return null;
  const time = runEnd(text, at + 1, base64url, 8);
  if (time - at - 1 !== 6 || text[time] !== '.') return null;
  const end = runEnd(text, time + 1, base64url, 50);
  return end - time - 1 >= 27 ? { start, end } : null;
}

/** `…-us12`: a key of Mailchimp ends with the name of its data centre. */
function mailchimp(text: string, at: number, after: number): Span | null {
  const start = runStart(text, at, hex, 33);
  const end = runEnd(text, after, digit, 3);
  const bounded = !(start > 0 && word(text.charCodeAt(start - 1))) && !word(text.charCodeAt(end));
  return at - start === 32 && end > after && bounded ? { start, end } : null;
}

/** `…_mmk` ends a key of MaxMind. */
function maxmind(text: string, at: number, after: number): Span | null {
  const start = runStart(text, at, word, 37);
  const isForm = /^[A-Za-z0-9]{6}_[A-Za-z0-9]{29}$/.test(text.slice(start, at));
  return isForm && !word(text.charCodeAt(after)) ? { start, end: after } : null;
}

const secret = (id: string, keywords: string[], match: Rule['match']): Rule => ({
  ...{ id, category: 'secrets', keywords, match },
});

/** Forms of their own, which begin with no text that only they have. */
export const FORM_RULES: readonly Rule[] = [
  secret('telegram-bot-token', [':aa'], telegram),
  secret('discord-bot-token', ['.'], discordBot),
  secret('mailchimp-key', ['-us'], mailchimp),
  secret('maxmind-key', ['_mmk'], maxmind),
];

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
    ['password', 'passwd', 'passwort', 'kennwort', 'pwd', '_pass', 'passphrase', 'passcode'],
    isPassword,
  ),
  assignment(
    'key-assignment',
    [
      ...['secret', 'token', 'api_key', 'apikey', 'api-key', 'access_key', 'access-key', 'accesskey'],
      ...['auth_key', 'authkey', 'private_key', 'privatekey', 'encryption_key', 'signing_key', 'credential'],
      ...['license_key', 'client_key', 'app_key', 'appkey', 'consumer_key', 'master_key', 'x-api-key'],
    ],
    isKey,
  ),
  secret('private-key', ['-----begin '], privateKey),
  secret('url-credentials', ['://'], urlCredentials),
  secret('authorization-header', ['authorization'], authorization),
  secret('command-credentials', [' -u', ' --user'], commandCredentials),
];

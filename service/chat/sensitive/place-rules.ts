import { isPlaceholder } from './allowed.ts';
import { blankOrQuote, isPassword, keyBody, spanOf, userLetter, valueAt } from './context-rules.ts';
import { secret } from './hit.ts';
import type { Rule, Span } from './hit.ts';
import { alnum, alnumAnd, base64url, digit, hex, runEnd, runStart, word } from './letters.ts';

/** Secrets that are known by the place in a form, a file or a command line where they stand. */

/** `curl -u name:password`, and what is called like it. */
function commandCredentials(text: string, at: number, after: number): Span | null {
  const line =
    text
      .slice(Math.max(0, at - MOST_BEFORE), at)
      .split('\n')
      .at(-1) ?? '';
  if (!/curl|wget|http/.test(line)) return null;
  const user = runEnd(text, runEnd(text, after, blankOrQuote, 2), userLetter, 64);
  if (text[user] !== ':' || text.startsWith('//', user + 1)) return null;
  const value = valueAt(text, user + 1);
  return value && isPassword(value) ? spanOf(value) : null;
}
/** A command is looked for so far before its option. */
const MOST_BEFORE = 200;

/** `sshpass -p word`, `mysql -pword`. */
function commandPassword(text: string, at: number, after: number): Span | null {
  const line = text.slice(Math.max(0, at - MOST_BEFORE), at);
  const command = /(?:sshpass|mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)\b[^\n|;&]*$/.exec(line)?.[0];
  if (command === undefined) return null;
  const blanks = runEnd(text, after, blankOrQuote, 1) - after;
  const isApart = blanks > 0 && /[ \t]/.test(text[after] ?? '');
  // What stands apart is the password for sshpass alone; for the others it is the database.
  if (isApart !== command.startsWith('sshpass') && (isApart || /\s/.test(text[after] ?? ''))) return null;
  const value = valueAt(text, isApart ? after + 1 : after);
  return value && isWord(value.text) ? spanOf(value) : null;
}

/** So short words are found only where nothing else can stand. */
const isWord = (text: string): boolean =>
  text.length >= 6 && text.length <= 200 && /\d|[^\w]/.test(text) && !isPlaceholder(text);

/** `machine host login name password word`, in a line or in several. */
function netrc(text: string, at: number): Span | null {
  const form =
    /^machine\s{1,4}[^\s\\]{1,200}(?:\s|\\n){1,8}(?:(?:login|account)\s{1,4}[^\s\\]{1,100}(?:\s|\\n){1,8}){0,2}password\s{1,4}([^\s\\"'`]{6,200})/;
  const found = form.exec(text.slice(at, at + 800));
  if (!found || !isWord(found[1]!)) return null;
  return { start: at + found[0].length - found[1]!.length, end: at + found[0].length };
}

/** `host:port:database:user:password`, a line of `.pgpass`. */
function pgpass(text: string, at: number, after: number): Span | null {
  const host = runStart(text, at, hostLetter, 100);
  if (host === at) return null;
  const found = /^[\w.*-]{1,64}:[\w.*-]{1,64}:([^\s:"'\\]{6,200})(?=[\s"'\\]|$)/.exec(
    text.slice(after, after + 400),
  );
  if (!found || !isWord(found[1]!)) return null;
  return { start: after + found[0].length - found[1]!.length, end: after + found[0].length };
}
const hostLetter = alnumAnd('.*_-');

/** `"auth": "bmFtZTp3b3Jk"` of Docker and npm: a name and a password in base64. */
function dockerAuth(text: string, _at: number, after: number): Span | null {
  const found = /^\\?["']?[ \t]{0,4}[:=][ \t]{0,4}\\?["']?([A-Za-z0-9+/]{8,2000}={0,2})(?=[\s"'\\,]|$)/.exec(
    text.slice(after, after + 2100),
  );
  if (!found) return null;
  const plain = Buffer.from(found[1]!, 'base64').toString('latin1');
  if (!/^[\w.@+<>-]{1,200}:[\x21-\x7e]{4,}$/.test(plain)) return null;
  return { start: after + found[0].length - found[1]!.length, end: after + found[0].length };
}

/** The signature of an address that gives access to storage of Azure: 32 bytes in base64. */
function azureSignature(text: string, at: number, after: number): Span | null {
  if (!/[?&;"'\s]/.test(text[at - 1] ?? ' ')) return null;
  const found = /^[A-Za-z0-9+/%]{43,130}={0,1}/.exec(text.slice(after, after + 140));
  if (!found || !/^[A-Za-z0-9+/]{43}=$/.test(unescaped(found[0]))) return null;
  return { start: after, end: after + found[0].length };
}

const unescaped = (text: string): string =>
  text.replace(/%([2-3][\dA-Fa-f])/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)));

/** The lines of a key file of PuTTY that are the secret half. */
function putty(text: string, _at: number, after: number): Span | null {
  const head = /^ ?\d{1,3}(?:\r?\n|\\r\\n|\\n)/.exec(text.slice(after, after + 12));
  if (!head) return null;
  const start = after + head[0].length;
  const end = runEnd(text, start, keyBody, 8 * 1024);
  return end - start >= 40 ? { start, end } : null;
}

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

/** Forms of their own, which begin with no text that only they have. */
export const FORM_RULES: readonly Rule[] = [
  secret('telegram-bot-token', [':aa'], telegram),
  secret('discord-bot-token', ['.'], discordBot),
  secret('mailchimp-key', ['-us'], mailchimp),
  secret('maxmind-key', ['_mmk'], maxmind),
];

export const PLACE_RULES: readonly Rule[] = [
  secret('command-credentials', [' -u', ' --user'], commandCredentials),
  secret('command-credentials', [' -p'], commandPassword),
  secret('netrc-password', ['machine '], netrc),
  secret('pgpass-password', [':5432:', ':5433:', ':6432:', ':*:'], pgpass),
  secret('registry-credentials', ['auth'], dockerAuth),
  secret('azure-signature', ['sig='], azureSignature),
  secret('private-key', ['private-lines:'], putty),
];

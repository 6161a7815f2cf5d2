/** What looks like a secret and is none: placeholders, references to where one is kept, examples of documentation. */

const EXAMPLES = new Set([
  // Of the documentation of AWS, of jwt.io, and of RFC 7617 and RFC 6750.
  ...['AKIAIOSFODNN7EXAMPLE', 'ASIAIOSFODNN7EXAMPLE', 'AKIAI44QH8DHBEXAMPLE'],
  ...['wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', 'je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY'],
  'QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
  'mF_9.B5f-4.1JqM',
]);
const JWT_IO = /SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c$/;
/** Whoever writes an example says so; what is left without that is none of a secret's letters. */
const MARKED =
  /example|placeholder|redacted|dummy|your[_-]?|changeme|change[_-]me|insert[_-]|\bx{3,}|x{4,}/gi;
const FILL_IN = /<[^<>]+>/g;
const CUT = /\.\.\.|\*{3}|█/;
/** `{{ x }}`, `%X%`, `process.env.X`, `os.environ[…]`, a file or a vault that holds it. */
const REFERENCE =
  /^(?:\$\(|\{\{|%\w+%?$|process\.env|import\.meta|os\.(?:environ|getenv)|env[.([]|secrets?[.[]|vault:|op:\/\/|file:)/;
/** `$X`, `${X}` and what may stand between them. */
const VARIABLE = /\$\{[^{}]*\}?|\$\w+/g;

/** Whether a token that has a form of its own is an example. */
export function isExample(token: string): boolean {
  return EXAMPLES.has(token) || JWT_IO.test(token) || isOneLetter(token);
}

/** Whether what stands where a secret is expected is none. */
export function isPlaceholder(value: string): boolean {
  if (EXAMPLES.has(value) || CUT.test(value) || REFERENCE.test(value) || isOneLetter(value)) return true;
  return isMarked(value) || isVariable(value) || isPath(value) || isName(value);
}

function isMarked(value: string): boolean {
  const rest = value.replace(FILL_IN, '').replace(MARKED, ' ');
  return rest !== value && !rest.split(/[^A-Za-z0-9]+/).some(isRandom);
}

/** Letters and digits by turns, as nobody writes words. */
function isRandom(text: string): boolean {
  const turns = text.match(/[A-Za-z]+|\d+/g)?.length ?? 0;
  return text.length >= 8 && turns >= 4;
}

/** `$kJ8s!2nd` begins as a variable does, and goes on as none. */
function isVariable(value: string): boolean {
  if (!/^\$[\w{]/.test(value)) return false;
  const rest = value.replace(VARIABLE, '');
  return rest.length < 5 || !/\d/.test(rest);
}

/** `/run/secrets/db`, `../key.pem`; one of its parts is a word. */
function isPath(value: string): boolean {
  if (!/^(?:~|\.{1,2})?\/[\w.@+~-]+(?:\/[\w.@+~-]+)*\/?$/.test(value)) return false;
  return value.split('/').some((part) => /^[a-z][a-z._-]+$/.test(part)) || !/\d/.test(value);
}

/** `@scope/name`, `@file`. */
function isName(value: string): boolean {
  return /^@[\w./-]+$/.test(value) && !(/[A-Z]/.test(value) && /\d/.test(value) && /[a-z]/.test(value));
}

/** `xxxxxxxx`, `ghp_000000…`: its last part is the same character again and again, or counts up. */
function isOneLetter(value: string): boolean {
  const tail = value.slice(-16);
  if (tail.length < 8) return new Set(tail).size <= 2;
  return new Set(tail).size <= 2 || COUNTED.some((line) => line.includes(tail.toLowerCase()));
}

const COUNTED = [
  '0123456789'.repeat(3),
  'abcdefghijklmnopqrstuvwxyz0123456789',
  '0123456789abcdef'.repeat(2),
];

/** Bits per character (Shannon). */
export function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const one of text) counts.set(one, (counts.get(one) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

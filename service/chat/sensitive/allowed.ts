/** What looks like a secret and is none: placeholders, references to where one is kept, examples of documentation. */

const EXAMPLES = new Set([
  // Of the documentation of AWS, of jwt.io, and of RFC 7617 and RFC 6750.
  'AKIAIOSFODNN7EXAMPLE',
  'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  'QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
  'mF_9.B5f-4.1JqM',
]);
const JWT_IO = /SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c$/;
/** Anywhere in it: whoever writes an example says so. */
const MARKED =
  /example|placeholder|redacted|dummy|your[_-]?|changeme|change[_-]me|insert[_-]|\bxxx|xxxx|\.\.\.|\*{3}|█|<[^>]+>/i;
/** `${X}`, `$X`, `{{ x }}`, `%X%`, `process.env.X`, `os.environ[…]`, a file or a vault that holds it. */
const REFERENCE =
  /^(?:\$\{?\w|\$\(|\{\{|%\w+%?$|process\.env|import\.meta|os\.(?:environ|getenv)|env[.([]|secrets?[.[]|vault:|op:\/\/|file:|\/|\.{1,2}\/|~\/|@)/;

/** Whether a token that has a form of its own is an example. */
export function isExample(token: string): boolean {
  return EXAMPLES.has(token) || JWT_IO.test(token) || /EXAMPLE/.test(token) || isOneLetter(token);
}

/** Whether what stands where a secret is expected is none. */
export function isPlaceholder(value: string): boolean {
  return EXAMPLES.has(value) || MARKED.test(value) || REFERENCE.test(value) || isOneLetter(value);
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

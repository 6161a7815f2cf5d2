import { describe, expect, it } from 'vitest';
import { detect } from '../../../service/chat/sensitive/detect.ts';
import { cpuOf } from './cpu.ts';
import { secretSample } from '../../acceptance/corpus.ts';
import { createRandom } from '../../acceptance/random.ts';

/** Secrets as they stand where somebody or something wrote them otherwise than they are read. */

const random = createRandom(31);
const token = (): string => {
  const { text, start, end } = secretSample('GitHub classic token', 'plain', random);
  return text.slice(start, end);
};
const found = (text: string): string[] =>
  detect(text, ['secrets']).map(({ rule, start, end }) => `${rule}: ${text.slice(start, end)}`);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const each = (text: string, write: (code: number) => string): string =>
  Array.from(text, (one) => write(one.charCodeAt(0))).join('');
const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');
const halves = (text: string): [string, string] => [text.slice(0, 20), text.slice(20)];

describe('a secret is found', () => {
  it.each<[string, (secret: string) => string]>([
    ['in base64 twice', (secret) => base64(base64(`my token is ${secret}`))],
    [
      'in base64 that is put together of strings',
      (s) => `"${halves(base64(`my token is ${s}`)).join('" + "')}"`,
    ],
    [
      'in base64 of lines',
      (s) => (base64(`${'x'.repeat(60)} is ${s} and more`).match(/.{1,76}/g) ?? []).join('\r\n'),
    ],
    [
      'in base64 of UTF-16',
      (s) => `powershell -enc ${Buffer.from(`curl -H ${s}`, 'utf16le').toString('base64')}`,
    ],
    ['in base64 after other letters', (secret) => `x/abc${base64(`my token is ${secret}`)}`],
    [
      'in base64 behind bytes',
      (s) =>
        Buffer.concat([Buffer.alloc(60_000, 1), Buffer.from(`${' '.repeat(40_000)}${s}`)]).toString('base64'),
    ],
    ['as escapes of JSON', (secret) => `"${each(secret, (code) => `\\u${hex(code, 4)}`)}"`],
    ['as escapes of code', (secret) => `"${each(secret, (code) => `\\x${hex(code, 2)}`)}"`],
    ['as escapes of addresses', (secret) => `t=${each(secret, (code) => `%${hex(code, 2)}`)}`],
    ['as entities of HTML', (secret) => each(secret, (code) => `&#${code};`)],
    ['in part as escapes', (secret) => `the \\u0067${secret.slice(1)}`],
    ['with selectors of variants in it', (secret) => `t ${Array.from(secret).join('\u{E0100}')}`],
    ['with tags in it', (secret) => `t ${Array.from(secret).join('\u{E0020}')}`],
    ['as tags', (secret) => `t ${each(secret, (code) => String.fromCodePoint(0xe0000 + code))}`],
    ['with a separator of lines in it', (secret) => `t ${halves(secret).join('\u2028')}`],
    ['with a separator of paragraphs in it', (secret) => `t ${halves(secret).join('\u2029')}`],
  ])('%s', (_, write) => {
    for (let n = 0; n < 10; n += 1) {
      const text = write(token());
      expect(found(text).join(), text.slice(0, 200)).toMatch(/^github-personal-token: /);
    }
  });

  it('where it stands, in the positions of the text', () => {
    const secret = token();
    const [first, second] = halves(secret);
    const written = `${each(first, (code) => `\\u${hex(code, 4)}`)}" + "\u200b${second}`;
    expect(found(`const t = "${written}"; // end`)).toEqual([`github-personal-token: ${written}`]);
  });

  it.each(Array.from({ length: 9 }, (_, n) => [n]))('in base64 of 300 KB, %i bytes before it', (before) => {
    const run = base64(
      `${'y'.repeat(before)}${'y '.repeat(150_000)} token ${token()} ${'z '.repeat(30_000)}`,
    );
    expect(found(`{"d":"${run}"}`)).toEqual([`github-personal-token: ${run}`]);
  });
});

describe('a name and its value', () => {
  it.each<[string, string]>([
    ['DB_PASSWORD=hunter\\\n    22xyZ', 'password-assignment: hunter\\\n    22xyZ'],
    ['password = "hunter" + "22xyZ"', 'password-assignment: hunter" + "22xyZ'],
    ["password = 'hunter'\n  . '22xyZ'", "password-assignment: hunter'\n  . '22xyZ"],
    ["PASSWORD='hunter''22xyZ'", "password-assignment: hunter''22xyZ"],
  ])('are found in pieces: %j', (text, expected) => expect(found(text)).toEqual([expected]));

  it.each<[string, string]>([
    ['DB_PASSWORD=hunter22xy\nDB_HOST=host', 'password-assignment: hunter22xy'],
    ['"password": "hunter22xyZ",\n"host": "x"', 'password-assignment: hunter22xyZ'],
    ['["--password=hunter22xyZ", "--verbose"]', 'password-assignment: hunter22xyZ'],
  ])('end where the next one begins: %j', (text, expected) => expect(found(text)).toEqual([expected]));
});

describe('the time that it takes', () => {
  const MANY = 400_000;
  it.each([
    [base64('password=a'.repeat(MANY / 14))],
    [base64(base64('a b '.repeat(MANY / 8)))],
    ['QUtJQSBhYmMgZGVmIGdoaSBq '.repeat(MANY / 25)],
    ['\\u0041'.repeat(MANY / 6)],
    ['%41'.repeat(MANY / 3)],
    ['\u{E0041}'.repeat(MANY / 2)],
    ['a"+"'.repeat(MANY / 4)],
    ['a\\\n'.repeat(MANY / 3)],
    ["a''".repeat(MANY / 3)],
    ["a' + '".repeat(MANY / 6)],
    ['aGVsbG8gd29ybGQgYW5kIG1vcmU\n'.repeat(MANY / 28)],
  ])('is within the budget also for %.20j', (text) => {
    expect(cpuOf(text, ['secrets'])).toBeLessThan(400);
  });
});

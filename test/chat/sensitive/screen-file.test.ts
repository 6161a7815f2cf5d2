import { describe, expect, it } from 'vitest';
import { DEFAULT_CLASS } from '../../../service/chat/policy.ts';
import { screenFile } from '../../../service/chat/sensitive/screen-file.ts';
import { secretSample } from '../../acceptance/corpus.ts';
import { createRandom } from '../../acceptance/random.ts';

/** Files as they arrive: in pieces, in other codes, and with a type that says little. */

const random = createRandom(71);
const token = (): string => {
  const { text, start, end } = secretSample('GitHub classic token', 'plain', random);
  return text.slice(start, end);
};

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

/** Whether it is kept out. */
async function isRefused(bytes: Buffer, mediaType?: string, size = 16 * 1024): Promise<boolean> {
  const { content } = screenFile(DEFAULT_CLASS.sensitive, { mediaType }, pieces(bytes, size));
  let kept = 0;
  try {
    for await (const piece of content) kept += piece.length;
  } catch (error) {
    expect(error).toMatchObject({ code: 'sensitive-data-blocked' });
    return true;
  }
  expect(kept).toBe(bytes.length);
  return false;
}

const OCTETS = 'application/octet-stream';
const utf16be = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();
const bom = (bytes: Buffer, ...mark: number[]): Buffer => Buffer.concat([Buffer.from(mark), bytes]);

describe('base64 in a file is decoded', () => {
  const long = (): Buffer =>
    Buffer.from(
      Buffer.concat([
        Buffer.alloc(200_000, 'y'),
        Buffer.from(` tok ${token()} `),
        Buffer.alloc(50_000, 'z'),
      ]).toString('base64'),
    );

  it.each(Array.from({ length: 12 }, (_, n) => [n]))('with %i characters before it', async (before) => {
    const lead = before === 0 ? '' : `${'k'.repeat(before - 1)}"`;
    expect(await isRefused(Buffer.concat([Buffer.from(lead), long(), Buffer.from('"')]), 'text/plain')).toBe(
      true,
    );
  });

  it.each(Array.from({ length: 4 }, (_, n) => [n]))('with %i letters directly before it', async (before) => {
    expect(await isRefused(Buffer.concat([Buffer.alloc(before, 'k'), long()]), OCTETS, 10_007)).toBe(true);
  });

  it('in JSON, at every place of the cut', { timeout: 60_000 }, async () => {
    for (let before = 0; before < 8; before += 1) {
      const file = `{"n":"${'x '.repeat(before)}","d":"${long().toString()}"}`;
      expect(await isRefused(Buffer.from(file), 'application/json', 16 * 1024 + before)).toBe(true);
    }
  });
});

describe('a file is looked through', () => {
  const line = (): string => `A=1\nTOK=${token()}\nB=2\n`;
  it.each<[string, string, () => Buffer]>([
    ['UTF-16 with its mark', 'text/plain', () => bom(Buffer.from(line(), 'utf16le'), 0xff, 0xfe)],
    ['UTF-16 of the other order, with its mark', 'text/plain', () => bom(utf16be(line()), 0xfe, 0xff)],
    ['UTF-16 without a mark', 'text/plain', () => Buffer.from(line(), 'utf16le')],
    ['UTF-16 of the other order, without a mark', 'text/plain; charset=utf-16', () => utf16be(line())],
    ['UTF-16 of no type', OCTETS, () => Buffer.from(line(), 'utf16le')],
    ['a long one in UTF-16', OCTETS, () => Buffer.from('a log\n'.repeat(30_000) + line(), 'utf16le')],
    ['settings with a NUL at the end', OCTETS, () => Buffer.from(`${line()}\0`)],
    ['settings with a NUL at the beginning', OCTETS, () => Buffer.from(`\0${line()}`)],
    ['Latin-1', OCTETS, () => Buffer.from(`${'\xe9'.repeat(5000)} ${line()}`, 'latin1')],
    ['a text that is called an image', 'image/png', () => Buffer.from(line())],
    ['a text of no type', OCTETS, () => Buffer.from(line())],
    [
      'a text behind bytes, in a later piece',
      OCTETS,
      () => Buffer.concat([Buffer.alloc(64 * 1024, 1), Buffer.from(line().repeat(2000))]),
    ],
  ])('%s', async (_, type, write) => {
    expect(await isRefused(write(), type)).toBe(true);
  });

  it('but not one of bytes', async () => {
    const bytes = Buffer.from(Array.from({ length: 200_000 }, () => random.below(256)));
    expect(await isRefused(Buffer.concat([bytes, Buffer.from(token())]), OCTETS)).toBe(false);
    expect(await isRefused(Buffer.alloc(0), OCTETS)).toBe(false);
  });
});

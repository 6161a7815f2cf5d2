import { expect, it } from 'vitest';
import { mediaTypeOf } from '../../scripts/lib/media-type.ts';

const text = Buffer.from('words');
const binary = Buffer.from([0xff, 0, 1]);

it.each([
  ['notes.md', 'text/markdown'],
  ['log.TXT', 'text/plain'],
  ['table.csv', 'text/csv'],
  ['data.json', 'application/json'],
  ['picture.png', 'image/png'],
  ['paper.pdf', 'application/pdf'],
  // A film and a service list, by the registry.
  ['main.ts', 'text/plain'],
  ['main.rs', 'text/plain'],
])('a file is what its name says: %s', (name, type) => {
  for (const beginning of [text, binary]) expect(mediaTypeOf(name, beginning)).toBe(type);
});

it.each(['Makefile', 'main.go', 'lines.jsonl', '.env', 'json'])('a name that says nothing: %s', (name) => {
  expect(mediaTypeOf(name, text)).toBe('text/plain');
  expect(mediaTypeOf(name, binary)).toBe('application/octet-stream');
});

it('takes text for text where the beginning ends within a character', () => {
  const bytes = Buffer.from('日本🎉');
  for (let length = 0; length <= bytes.length; length += 1)
    expect(mediaTypeOf('x', bytes.subarray(0, length))).toBe('text/plain');
  expect(mediaTypeOf('x', Buffer.from('é words', 'latin1'))).toBe('application/octet-stream');
});

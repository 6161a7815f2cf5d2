import type { Json, Part } from '../types.ts';
import { placesOf, type SearchQuery } from './query.ts';
import { tokensOf, tokenTexts, type Token } from './tokens.ts';

/** What of a message is searched, and the piece of a text that a hit shows. */

/** Between what does not stand together. Private use: no text has a token like it. */
export const BREAK = '\ue000';

/** Each text that somebody or some tool wrote, in the order of the parts. */
export function textsOf(parts: readonly Part[]): string[] {
  return parts.flatMap((part) => {
    switch (part.type) {
      case 'text':
        return [part.text];
      case 'tool-call':
        return [part.name, ...leaves(part.arguments), ...leaves(part.input)];
      case 'tool-result':
        return [part.name, ...leaves(part.output)];
      case 'attachment':
        return part.name === undefined ? [] : [part.name];
    }
  });
}

/** Names and values of JSON, without a stack as deep as what came. */
export function leaves(json: Json | undefined): string[] {
  const found: string[] = [];
  const waiting: Json[] = json === undefined ? [] : [json];
  while (waiting.length > 0) {
    const one = waiting.pop()!;
    if (typeof one === 'string') found.push(one);
    else if (typeof one === 'number') found.push(String(one));
    else if (Array.isArray(one)) for (let n = one.length - 1; n >= 0; n -= 1) waiting.push(one[n]!);
    else if (one !== null && typeof one === 'object')
      for (const [name, value] of Object.entries(one).reverse()) waiting.push(value, name);
  }
  return found;
}

export const tokensOfTexts = (texts: readonly string[]): string[] =>
  texts.flatMap((text, index) => (index === 0 ? tokenTexts(text) : [BREAK, ...tokenTexts(text)]));

export interface Snippet {
  text: string;
  /** UTF-16 units of `text`, in order, apart from each other. */
  marks: [start: number, end: number][];
}

/** Around the first hit, in UTF-16 units. */
const BEFORE = 60;
const LENGTH = 240;

/** A long text is taken apart so far first: most hits are near its beginning. */
const STRETCHES = [16_384, 262_144, Infinity];

/** The surroundings of the first hit, with every hit in them marked. */
export function snippetOf(texts: readonly string[], { wanted }: SearchQuery): Snippet {
  for (const text of texts) {
    for (const stretch of STRETCHES) {
      const hits = hitsIn(Array.from(tokensOf(text.slice(0, stretch))), wanted);
      const [first] = hits;
      // Where the text was cut, a part of a word looks like a word.
      if (first && (stretch >= text.length || first[1] < stretch - LENGTH))
        return cutOut(text, first[0], hits);
      if (stretch >= text.length) break;
    }
  }
  return cutOut(texts[0] ?? '', 0, []);
}

function hitsIn(tokens: readonly Token[], wanted: SearchQuery['wanted']): [number, number][] {
  const words = tokens.map(({ text }) => text);
  const hits = wanted.flatMap((term) =>
    placesOf(term, words).map((at): [number, number] => [
      tokens[at]!.start,
      tokens[at + term.tokens.length - 1]!.end,
    ]),
  );
  hits.sort(([a], [b]) => a - b);
  const apart: [number, number][] = [];
  for (const [start, end] of hits) {
    const last = apart.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else apart.push([start, end]);
  }
  return apart;
}

function cutOut(text: string, at: number, hits: readonly [number, number][]): Snippet {
  const from = wordStart(text, Math.max(0, at - BEFORE));
  const to = notInside(text, Math.min(text.length, from + LENGTH));
  const [open, close] = [from > 0 ? '…' : '', to < text.length ? '…' : ''];
  const marks = hits
    .filter(([start]) => start >= from && start < to)
    .map(([start, end]): [number, number] => [
      start - from + open.length,
      Math.min(end, to) - from + open.length,
    ]);
  return { text: open + text.slice(from, to) + close, marks };
}

/** The next beginning of a word, if there is one near. */
function wordStart(text: string, at: number): number {
  if (at === 0) return 0;
  const space = text.slice(at, at + BEFORE / 2).search(/\s/u);
  return notInside(text, space < 0 ? at : at + space + 1);
}

/** Not between the halves of a surrogate pair. */
function notInside(text: string, at: number): number {
  const inside = /[\udc00-\udfff]/.test(text.charAt(at)) && /[\ud800-\udbff]/.test(text.charAt(at - 1));
  return inside ? at - 1 : at;
}

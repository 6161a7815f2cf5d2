import type { About } from '../attachments/attachment-files.ts';
import type { Json } from '../types.ts';
import { leaves } from './text.ts';

/** What of an attachment is searched: its name and, where it is text or JSON, so much of its beginning. */

/** Opened for each hit that is shown, too. */
export const SEARCHED_BYTES = 256 * 1024;
const TEXT = /^(?:text\/|application\/(?:[\w.+-]+\+)?json\b)/i;
const JSON_TYPE = /^(?:text|application)\/(?:[\w.+-]+\+)?json\b/i;

export const isSearched = ({ mediaType }: Pick<About, 'mediaType'>): boolean => TEXT.test(mediaType);

/** Each piece that stands for itself, the name first. Bytes that are no UTF-8 separate. */
export async function textsOfFile(
  { name, mediaType }: Pick<About, 'name' | 'mediaType'>,
  content: AsyncIterable<Buffer>,
): Promise<string[]> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of content) {
    pieces.push(piece);
    length += piece.length;
    if (length > SEARCHED_BYTES) break;
  }
  const isWhole = length <= SEARCHED_BYTES;
  const text = new TextDecoder().decode(Buffer.concat(pieces).subarray(0, SEARCHED_BYTES));
  const named = name === null ? [] : [name];
  if (!isWhole) return [...named, withoutLastWord(text)];
  return [...named, ...(JSON_TYPE.test(mediaType) ? textsOfJson(text) : [text])];
}

/** Words of JSON can hold escapes; lines of JSON, and what is none, are taken as they are. */
function textsOfJson(text: string): string[] {
  try {
    return leaves(JSON.parse(text) as Json);
  } catch {
    return [text];
  }
}

/** Where the file was cut, a part of a word looks like a word. */
function withoutLastWord(text: string): string {
  const end = text.slice(-1000).search(/\s\S*$/u);
  return end < 0 ? text : text.slice(0, text.length - Math.min(1000, text.length) + end);
}

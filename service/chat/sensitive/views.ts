import { base64, base64url, runEnd, word } from './letters.ts';
import type { Span } from './hit.ts';

/** A text as somebody meant it who hides what is in it, with the way back to its own positions. */

export interface View {
  text: string;
  /** In the text that it is a view of. */
  back(span: Span): Span;
  /** Whether something of the text was left out between the two. */
  spansGap(span: Span): boolean;
}

/** What shows nothing or only changes how something is shown. */
const UNSEEN =
  /[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0]+/g;
/** The full-width forms of ASCII, one for one. */
const FULL_WIDTH = /[\u3000\uFF01-\uFF5E]/g;
const TO_ASCII = 0xfee0;
const WIDE_BLANK = '\u3000';

/** Without what shows nothing, and in the usual width; null: the text is like that. */
export function plainView(text: string): View | null {
  const gaps = spansOf(text, UNSEEN);
  const narrow = text.replace(FULL_WIDTH, (one) =>
    one === WIDE_BLANK ? ' ' : String.fromCharCode(one.charCodeAt(0) - TO_ASCII),
  );
  return gaps.length === 0 && narrow === text ? null : without(narrow, gaps);
}

function spansOf(text: string, what: RegExp): Span[] {
  const spans: Span[] = [];
  for (const { index, 0: found } of text.matchAll(what))
    spans.push({ start: index, end: index + found.length });
  return spans;
}

/** A text without its gaps, which are in order. */
function without(text: string, gaps: readonly Span[]): View {
  const pieces: string[] = [];
  /** Where in the view each gap was, and how much was left out up to there. */
  const places = new Int32Array(gaps.length);
  const left = new Int32Array(gaps.length);
  let [from, sum] = [0, 0];
  for (const [n, { start, end }] of gaps.entries()) {
    pieces.push(text.slice(from, start));
    places[n] = start - sum;
    left[n] = sum += end - start;
    from = end;
  }
  pieces.push(text.slice(from));
  /** How much was left out before a place of the view. */
  function before(place: number): number {
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[middle]! <= place) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : left[low - 1]!;
  }
  return {
    text: pieces.join(''),
    back: ({ start, end }) => ({ start: start + before(start), end: end + before(end - 1) }),
    spansGap: ({ start, end }) => before(start) !== before(end - 1),
  };
}

/**
 * Between two halves of a word: the end of a line, with what continues it and what begins the next; a string that ends
 * and one that goes on; both.
 */
const SEAM =
  /(?<=[\w+/=.-])(?:\\?\r?\n[ \t]{0,40}(?:[>|*#] ?)?|(?:["'`][ \t]{0,8}(?:[+.&,][ \t]{0,8})?(?:\\?\r?\n[ \t]{0,40})?(?:[+.&,][ \t]{0,8})?["'`])|(?:\\n))(?=[\w+/=.-])/g;

/** With halves put together again; null: there are none. */
export function joinedView(text: string): View | null {
  const gaps = spansOf(text, SEAM);
  return gaps.length === 0 ? null : without(text, gaps);
}

/** Shorter ones hold no secret; longer ones are files, which are looked through in the first part of them. */
const LEAST_RUN = 24;
const MOST_RUN = 256 * 1024;

export interface Decoded {
  text: string;
  /** Where it stands encoded. */
  span: Span;
}

/** Texts that stand in a text as base64. */
export function* decoded(text: string): Generator<Decoded> {
  for (let at = 0; at < text.length;) {
    if (!word(text.charCodeAt(at))) {
      at += 1;
      continue;
    }
    const end = runEnd(text, at, either);
    if (end - at >= LEAST_RUN) {
      const plain = plainText(text.slice(at, Math.min(end, at + MOST_RUN)));
      if (plain !== null) yield { text: plain, span: { start: at, end: runEnd(text, end, padding, 2) } };
    }
    at = Math.max(end, at + 1);
  }
}

const either = (code: number): boolean => base64(code) || base64url(code);
const padding = (code: number): boolean => code === 61;
const CONTROL = /[\u0000-\u0008\u000E-\u001F\uFFFD]/;

/** Null: these are no characters of a text. */
function plainText(encoded: string): string | null {
  // Words are base64, too, and decode to nothing that anybody wrote: most of them are told by their first bytes.
  if (CONTROL.test(Buffer.from(encoded.slice(0, LEAST_RUN), 'base64').toString('latin1'))) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  return CONTROL.test(text.slice(0, -1)) ? null : text;
}

import type { Hit, Span } from './hit.ts';

/** A text as somebody meant it who hides what is in it, with the way back to its own positions. */

export interface View {
  text: string;
  /** In the text that it is a view of. */
  back(span: Span): Span;
  /** Whether something of the text was left out, or read as something else, within it. */
  spansGap(span: Span): boolean;
}

export const throughView = (view: View, hits: readonly Hit[]): Hit[] =>
  hits.map((hit) => ({ ...hit, ...view.back(hit) }));

/** What shows nothing or only changes how something is shown; the last ones are the tags and selectors beyond the first plane. */
const UNSEEN =
  /(?:[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0]|\uDB40[\uDC00-\uDDEF]|\uD834[\uDD73-\uDD7A])+/g;
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
  return gaps.length === 0 && narrow === text ? null : edited(narrow, gaps);
}

/**
 * Between two halves of a word: the end of a line, with what continues it and what begins the next; a string that ends
 * and one that goes on; both.
 */
const SEAM =
  /(?<=[\w+/=.-])(?:\\?(?:\r?\n|[\u2028\u2029\u0085])[ \t]{0,40}(?:[>|*#] ?)?|(?:["'`][ \t]{0,8}(?:[+.&,][ \t]{0,8})?(?:\\?\r?\n[ \t]{0,40})?(?:[+.&,][ \t]{0,8})?["'`])|(?:\\r)?\\n)(?=[\w+/=.-])/g;
/** Of these, those that say that it goes on: what follows the end of a line or a comma is another thing as a rule. */
const CONTINUED =
  /(?<=[^\s"'`])(?:\\\r?\n[ \t]{0,40}|["'`](?:[ \t]{0,8}(?:\\?\r?\n[ \t]{0,40})?[+.&][ \t]{0,8}(?:\\?\r?\n[ \t]{0,40})?)?["'`])(?=[^\s"'`])/g;

/** With halves put together again; null: there are none. */
export const joinedView = (text: string): View | null => withoutAll(text, SEAM);
export const continuedView = (text: string): View | null => withoutAll(text, CONTINUED);

function withoutAll(text: string, what: RegExp): View | null {
  const gaps = spansOf(text, what);
  return gaps.length === 0 ? null : edited(text, gaps);
}

/** What a character begins with that stands there as its number, to which base, and how: of JSON and code, of addresses, of HTML. */
const ESCAPES: [begins: string, base: number, form: RegExp][] = [
  ['%', 16, /%([2-7][\dA-Fa-f])/y],
  ['\\', 16, /\\(?:u00|x|u\{0{0,4})([2-7][\dA-Fa-f])\}?/y],
  ['&', 10, /&#0{0,4}(\d{2,3});/y],
  ['&', 16, /&#[xX]0{0,4}([2-7][\dA-Fa-f]);/y],
];

/** With characters instead of their numbers; null: there are none. */
export function unescapedView(text: string): View | null {
  const edits: Edit[] = [];
  for (const [begins, base, form] of ESCAPES)
    for (let at = text.indexOf(begins); at !== -1; at = text.indexOf(begins, at)) {
      form.lastIndex = at;
      const found = form.exec(text);
      const number = found ? parseInt(found[1]!, base) : 0;
      const end = found ? form.lastIndex : at + 1;
      if (number >= 32 && number <= 126) edits.push({ start: at, end, text: ASCII[number]! });
      at = end;
    }
  return edits.length === 0
    ? null
    : edited(
        text,
        edits.sort((a, b) => a.start - b.start),
      );
}

const ASCII = Array.from({ length: 127 }, (_, code) => String.fromCharCode(code));

/** Something of a text that is left out, or read as something else. */
interface Edit extends Span {
  text?: string;
}

function spansOf(text: string, what: RegExp): Edit[] {
  const spans: Edit[] = [];
  for (const { index, 0: found } of text.matchAll(what))
    spans.push({ start: index, end: index + found.length });
  return spans;
}

/** A text with its edits, which are in order. */
function edited(text: string, edits: readonly Edit[]): View {
  const pieces: string[] = [];
  /** Where each edit begins and ends in the view, and by how much the text is longer up to there. */
  const [begins, ends, longer] = [0, 1, 2].map(() => new Int32Array(edits.length)) as [
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  let [from, sum] = [0, 0];
  for (const [n, { start, end, text: instead = '' }] of edits.entries()) {
    if (start > from) pieces.push(text.slice(from, start));
    if (instead !== '') pieces.push(instead);
    begins[n] = start - sum;
    ends[n] = start - sum + instead.length;
    longer[n] = sum += end - start - instead.length;
    from = end;
  }
  pieces.push(text.slice(from));
  const before = (count: number): number => (count === 0 ? 0 : longer[count - 1]!);
  return {
    text: pieces.join(''),
    back: ({ start, end }) => ({
      start: start + before(upTo(ends, start)),
      end: end + before(upTo(begins, end - 1)),
    }),
    spansGap: ({ start, end }) => upTo(ends, start) !== upTo(begins, end - 1),
  };
}

/** How many of the places, which are in order, are not behind this one. */
function upTo(places: Int32Array, place: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle]! <= place) low = middle + 1;
    else high = middle;
  }
  return low;
}

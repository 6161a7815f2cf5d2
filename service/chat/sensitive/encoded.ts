import { base64, base64url, runEnd, word } from './letters.ts';
import type { Span } from './hit.ts';

/** Texts that stand in a text in another code: base64, also of UTF-16, and the tags of Unicode, which nobody sees. */

export interface Decoded {
  text: string;
  /** Where it stands encoded. */
  span: Span;
}

/** Shorter ones hold no secret. */
const LEAST_RUN = 24;
/** Decoded at a time, and how much of it once more with what follows: longer than a key file. Whole groups of four. */
const WINDOW = 32 * 1024;
const OVERLAP = 8 * 1024;

/**
 * Each run in windows, each of which is a text or is none: what stands behind other bytes is found, too. `wanted`: whether what
 * stands there is asked for.
 */
export function* decoded(text: string, wanted: (span: Span) => boolean): Generator<Decoded> {
  yield* tagged(text);
  for (let at = 0; at < text.length;) {
    if (!word(text.charCodeAt(at))) {
      at += 1;
      continue;
    }
    const end = runEnd(text, at, either);
    const span = { start: at, end: runEnd(text, end, padding, 2) };
    if (end - at >= LEAST_RUN && wanted(span))
      for (let from = at; ; from += WINDOW - OVERLAP) {
        const to = Math.min(end, from + WINDOW);
        const plain = plainText(text, from, to);
        if (plain !== null) yield { text: plain, span };
        if (to === end) break;
      }
    at = Math.max(end, at + 1);
  }
}

/** Invisible characters, one for each of ASCII. */
const TAGS = /(?:\uDB40[\uDC20-\uDC7E]){8,}/g;

function* tagged(text: string): Generator<Decoded> {
  for (const { index, 0: found } of text.matchAll(TAGS)) {
    const plain = found.replace(/\uDB40(.)/g, (_, low: string) =>
      String.fromCharCode(low.charCodeAt(0) - 0xdc00),
    );
    yield { text: plain, span: { start: index, end: index + found.length } };
  }
}

const either = (code: number): boolean => base64(code) || base64url(code);
const padding = (code: number): boolean => code === 61;

/** Null: these are no characters of a text. A run can begin within a group of four: something stands before it, or it was cut. */
function plainText(text: string, from: number, to: number): string | null {
  for (let phase = 0; phase < 4; phase += 1) {
    const start = from + phase;
    const kind = to - start < LEAST_RUN - 4 ? 'none' : kindOf(text, start);
    if (kind === 'none') continue;
    const bytes = Buffer.from(text.slice(start, to), 'base64');
    // Of UTF-16, whichever of its two bytes comes first, the ASCII stays.
    const plain = kind === 'wide' ? bytes.toString('latin1').replaceAll('\0', '') : bytes.toString('utf8');
    if ((plain.match(FOREIGN)?.length ?? 0) <= 2 + plain.length / 50) return plain;
  }
  return null;
}

const FOREIGN = /[\u0000-\u0008\u000E-\u001A\u001C-\u001F\uFFFD]/g;
/** Words are base64, too, and decode to nothing that anybody wrote: most of them are told by their first bytes. */
const HEAD = 20;

function kindOf(text: string, from: number): 'narrow' | 'wide' | 'none' {
  /** Zeros at even and at odd places. */
  const zeros: [number, number] = [0, 0];
  for (let at = from, n = 0; at < from + HEAD; at += 4) {
    const group =
      (sextet(text.charCodeAt(at)) << 18) |
      (sextet(text.charCodeAt(at + 1)) << 12) |
      (sextet(text.charCodeAt(at + 2)) << 6) |
      sextet(text.charCodeAt(at + 3));
    for (const shift of [16, 8, 0]) {
      const byte = (group >> shift) & 0xff;
      if (byte === 0) zeros[n % 2 === 0 ? 0 : 1] += 1;
      else if (byte < 9 || (byte > 13 && byte < 32 && byte !== 27)) return 'none';
      n += 1;
    }
  }
  const [even, odd] = zeros;
  if (even + odd === 0) return 'narrow';
  return (even === 0 || odd === 0) && even + odd >= 5 ? 'wide' : 'none';
}

const SEXTETS = Uint8Array.from({ length: 128 }, (_, code) => {
  const at = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.indexOf(
    String.fromCharCode(code),
  );
  return code === 45 ? 62 : code === 95 ? 63 : Math.max(0, at);
});
const sextet = (code: number): number => SEXTETS[code] ?? 0;

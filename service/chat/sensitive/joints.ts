import type { Hit } from './hit.ts';

/** What stands over the joints of texts that are pieces of one: a part of a message and the next, an element of a list and the next. */

/** A piece of what was found; `whole`: all of it. */
export interface PieceHit extends Hit {
  whole: string;
}

/** So much more of what is whole already is its end, and no word that begins after it. */
const LEAST_END = 20;

/**
 * By the number of the piece, what begins in one and ends in another; `alone`: what was found in each for itself. What is whole
 * in its piece goes on in the next one only where that looks like it.
 */
export function overJoints(
  pieces: readonly string[],
  alone: readonly (readonly Hit[])[],
  find: (text: string) => readonly Hit[],
): PieceHit[][] {
  const found: PieceHit[][] = pieces.map(() => []);
  const text = pieces.join('');
  const begins: number[] = [];
  for (let n = 0, at = 0; n < pieces.length; at += pieces[n]!.length, n += 1) begins.push(at);
  let first = 0;
  for (const hit of find(text)) {
    while (first + 1 < pieces.length && begins[first + 1]! <= hit.start) first += 1;
    let last = first;
    while (last + 1 < pieces.length && begins[last + 1]! < hit.end) last += 1;
    if (first === last) continue;
    const joint = begins[first + 1]!;
    if (isWhole(alone[first]!, pieces[first]!.length) && isOther(text.slice(joint, hit.end))) continue;
    if (alone[last]!.some(({ start }) => start === 0) && isOther(text.slice(hit.start, begins[last])))
      continue;
    const whole = text.slice(hit.start, hit.end);
    for (let n = first; n <= last; n += 1) {
      const start = Math.max(0, hit.start - begins[n]!);
      const end = Math.min(pieces[n]!.length, hit.end - begins[n]!);
      if (end > start) found[n]!.push({ ...hit, start, end, whole });
    }
  }
  return found;
}

const isWhole = (hits: readonly Hit[], length: number): boolean => hits.some(({ end }) => end === length);
const isOther = (rest: string): boolean => rest.length < LEAST_END && !/\d/.test(rest);

import fc from 'fast-check';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  openIndexFile,
  type Doc,
  type IndexFile,
  type Known,
} from '../../../service/chat/search/index-file.ts';
import { numberOf, placeOfMessage } from '../../../service/chat/search/places.ts';

/** The file alone: what is put in is found until it is taken out, and then is nowhere in it. */

let folder: string;
let file: IndexFile;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'factory-index-'));
  file = openIndexFile(folder, { installation: 'an-installation', engine: 'sqlite' });
  file.reset({ seq: 0, leaf: '' });
});
afterEach(() => {
  file.close();
  rmSync(folder, { recursive: true, force: true });
});

const docOf = (number: number, session: number, ...words: string[]): Doc => ({
  ...{ place: placeOfMessage(number), at: '2026-01-01T00:00:00.000Z', texts: [words.join(' ')] },
  session: { id: `id-${session}`, number: session, person_id: 'p', author: 1, class: 'general' },
});
const numbersOf = (found: readonly Known[]) => found.map(({ place }) => numberOf(place));
const find = (word: string, limit = 10_000) =>
  numbersOf(file.find({ match: `body : "${word}"`, before: Number.MAX_SAFE_INTEGER, limit }));

/** Takes them out; answers the steps that it took. */
function removed(known: readonly Known[]): number {
  const places = known.map(({ place }) => place);
  let steps = 0;
  for (let at = 0; at < places.length; steps += 1) at += file.remove(places.slice(at));
  return steps;
}

const bytes = (): string => {
  file.settle();
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name)).toString('latin1'))
    .join('\n');
};

describe('the file of the search index', () => {
  it('lets a large session go in as many steps as it has shards, and leaves the others', () => {
    const others = [3, 4100, 9000];
    const large = Array.from({ length: 9000 }, (_, n) => n).filter((number) => !others.includes(number));
    file.put(large.map((number) => docOf(number, 1, 'large', `secretword${number}`)));
    file.put(others.map((number) => docOf(number, 2, 'small', 'stays')));
    expect(find('large')).toHaveLength(large.length);
    expect(bytes()).toContain('secretword4711');
    expect(removed(file.ofSession(1))).toBe(3);
    expect([find('large'), find('stays'), file.count()]).toEqual([[], [9000, 4100, 3], 3]);
    expect(bytes()).not.toContain('secretword');
    // What is put there again is found again.
    file.put([docOf(5, 1, 'large')]);
    expect(find('large')).toEqual([5]);
  });

  it('takes a few out of many one by one', () => {
    file.put(
      Array.from({ length: 2000 }, (_, number) => docOf(number, number < 20 ? 1 : 2, 'all', `w${number}x`)),
    );
    expect(removed(file.ofSession(1))).toBe(3);
    expect(find('all')).toHaveLength(1980);
    for (const number of [0, 7, 19]) expect(find(`w${number}x`)).toEqual([]);
    expect(bytes()).not.toContain('w7x');
  });

  it('finds over shards, the newest first, between limits', () => {
    const numbers = [1, 4000, 5000, 9000, 40_000];
    file.put(numbers.map((number) => docOf(number, 1, 'ibex')));
    const match = 'body : "ibex"';
    const page = (number: number, limit: number, at = {}) =>
      numbersOf(file.find({ match, before: placeOfMessage(number), limit, ...at }));
    expect(page(1e9, 2)).toEqual([40_000, 9000]);
    expect(page(9000, 3)).toEqual([5000, 4000, 1]);
    expect(page(4096, 3)).toEqual([4000, 1]);
    const at = { from: '2026-01-01', to: '2026-01-02' };
    expect(page(9000, 9, at)).toEqual([5000, 4000, 1]);
    expect(page(9000, 9, { from: at.to })).toEqual([]);
  });

  it('holds what was put in and not taken out, whatever came in which order', () => {
    const step = fc.record({
      put: fc.array(fc.nat({ max: 60 }), { maxLength: 20 }),
      session: fc.nat({ max: 2 }),
      goes: fc.nat({ max: 2 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        file.reset({ seq: 0, leaf: '' });
        const there = new Map<number, number>();
        for (const { put, session, goes } of steps) {
          // Places of several shards.
          const numbers = put.map((n) => n * 300);
          file.put(numbers.map((number) => docOf(number, session, 'word')));
          for (const number of numbers) if (!there.has(number)) there.set(number, session);
          removed(file.ofSession(goes));
          for (const [number, of] of there) if (of === goes) there.delete(number);
          expect(find('word')).toEqual([...there.keys()].sort((a, b) => b - a));
        }
      }),
      { numRuns: 30, seed: 3 },
    );
  });
});

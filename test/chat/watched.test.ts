import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVERY_MS, watchedWith, type Watched } from '../../service/chat/erasure/watched.ts';

/** What ages an upload that nobody names: rounds of the service, not its clock. */

const keptMs = 24 * EVERY_MS;
const from = Date.parse('2026-01-01T00:00:00.000Z');
const rounds = (times: readonly { at: number; highest: number }[]) => {
  let before: Watched | null = null;
  return times.map(({ at, highest }) => {
    const { watched, old } = watchedWith(before, { at: new Date(at).toISOString(), highest, keptMs });
    before = watched;
    return { watched, old };
  });
};

describe('how long something has lain there', () => {
  it('is known after a day of rounds, and the rounds before it are forgotten', () => {
    const told = rounds(Array.from({ length: 50 }, (_, n) => ({ at: from + n * EVERY_MS, highest: n + 1 })));
    expect(told.map(({ old }) => old)).toEqual(Array.from({ length: 50 }, (_, n) => Math.max(n - 23, 0)));
    expect(told.at(-1)!.watched.rounds).toHaveLength(25);
  });

  it('grows by little over an hour a round, whatever the clock does', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1e12, max: 1e12 }), { minLength: 1, maxLength: 60 }),
        (jumps) => {
          let at = from;
          const told = rounds(jumps.map((jump, n) => ({ at: (at += jump % 4e11), highest: n + 1 })));
          // Whatever is old was there at a round that lies 22 rounds back or more.
          told.forEach(({ old }, n) => expect(old).toBeLessThanOrEqual(Math.max(0, n + 1 - 22)));
        },
      ),
    );
  });
});

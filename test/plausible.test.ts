import { describe, expect, it } from 'vitest';
import { lastEpoch, lastPlausible, lastSequence } from '../service/plausible.ts';

describe('the last number that is plausible', () => {
  it.each<[what: string, numbers: number[], last: number]>([
    ['of none is 0', [], 0],
    ['is the only one', [7], 7],
    ['is the highest of small steps, in whatever order', [3, 1, 2], 3],
    ['is reached by a step that is just small enough', [1, 11], 11],
    ['is the one below a step that is too large', [1, 12], 1],
    ['does not count what is above such a step', [1, 2, 100, 101, 102], 2],
    ['counts the same number twice', [5, 5, 15], 15],
  ])('%s', (_what, numbers, last) => {
    expect(lastPlausible(numbers, 10)).toBe(last);
  });

  it('of epochs is at most a thousand above one that is real', () => {
    expect(lastEpoch([])).toBe(0);
    expect(lastEpoch([1, 2, Number.MAX_SAFE_INTEGER])).toBe(2);
    expect([lastEpoch([1000]), lastEpoch([1001]), lastEpoch([1001], 1)]).toEqual([1000, 0, 1001]);
    expect(lastEpoch([1], 7)).toBe(7);
  });

  it('of sequences leaves room for those to come', () => {
    expect(lastSequence([40, 41, 999_999_999_999_999])).toBe(41);
    expect([lastSequence([1, 1_000_001]), lastSequence([1, 1_000_002])]).toEqual([1_000_001, 1]);
    // A destination keeps the last ones of many; one that is alone there is as good, but for what no host comes to.
    expect([lastSequence([5_000_000, 5_000_001]), lastSequence([999_999_999_999_999])]).toEqual([
      5_000_001, 0,
    ]);
  });
});

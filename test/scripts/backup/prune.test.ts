import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LEAST_VERIFIED, planDigest, planPrune } from '../../../scripts/lib/backup/prune.ts';
import type { Candidate } from '../../../scripts/lib/backup/prune.ts';
import { newFigures, promises } from '../../acceptance/prune-histories.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.parse('2026-05-01T00:00:00Z');
const rules = { now: NOW, retentionDays: 30, intervalMs: DAY };

const full = (sequence: number, daysAgo: number, more: Partial<Candidate> = {}): Candidate => ({
  ...{ backupId: `f${sequence}`, kind: 'full', sequence, storedAt: NOW - daysAgo * DAY, base: null },
  ...{ verified: true, own: true, ...more },
});
const diff = (
  sequence: number,
  hoursAgo: number,
  base: string,
  more: Partial<Candidate> = {},
): Candidate => ({
  ...{ backupId: `d${sequence}`, kind: 'differential', sequence, storedAt: NOW - hoursAgo * HOUR, base },
  ...{ verified: false, own: true, ...more },
});
/** A full backup a night, the oldest so many days ago. */
const nights = (oldest: number, more: Partial<Candidate> = {}): Candidate[] =>
  Array.from({ length: oldest + 1 }, (_, n) => full(n + 1, oldest - n, more));

describe('pruning', () => {
  it('lets go what is beyond the retention, and nothing younger', () => {
    expect(planPrune(nights(32), rules).delete).toEqual(['f1', 'f2']);
    expect(planPrune(nights(30), rules).delete).toEqual([]);
  });

  it('lets go differentials of two days ago, and keeps what a younger one rests on', () => {
    const old = [...nights(3), diff(10, 49, 'f2'), diff(11, 47, 'f2')];
    expect(planPrune(old, rules).delete).toEqual(['d10']);
    const rests = [full(1, 40), ...nights(31).slice(2), diff(99, 1, 'f1')];
    expect(planPrune(rests, rules).keep).toContainEqual({
      backupId: 'f1',
      why: 'a differential rests on it',
    });
  });

  it.each([
    ['the newest backup is late', nights(40).slice(0, -3), /older than twice/],
    ['a clock is wrong', [...nights(31), full(99, -1)], /future/],
    ['too few are verified', nights(31, { verified: false }), /verify/],
    ['a fifth would go', nights(60), /a fifth/],
  ])('lets nothing go where %s', (_what, candidates, refused) => {
    expect(planPrune(candidates, rules)).toMatchObject({
      delete: [],
      refused: expect.stringMatching(refused),
    });
  });

  it('neither touches nor counts what somebody else signed', () => {
    const fakes = Array.from({ length: 1000 }, (_, n) =>
      full(1000 + n, 0, { own: false, backupId: `x${n}` }),
    );
    const plan = planPrune([...nights(32), ...fakes], rules);
    expect(plan.delete).toEqual(['f1', 'f2']);
    expect(planPrune([...nights(33).slice(0, 1), ...fakes], rules).delete).toEqual([]);
  });

  it('lets go what interrupted runs left a day ago, unless a clock is wrong', () => {
    const leftovers = [
      { key: 'old', storedAt: NOW - 25 * HOUR },
      { key: 'going on', storedAt: NOW - 23 * HOUR },
    ];
    expect(planPrune(nights(3), rules, leftovers)).toMatchObject({ delete: [], leftovers: ['old'] });
    // Fewer than three verified keep backups, not what never was one.
    expect(planPrune(nights(1, { verified: false }), rules, leftovers).leftovers).toEqual(['old']);
    for (const wrong of [[], nights(9).slice(0, -3), [...nights(3), full(99, -1)]])
      expect(planPrune(wrong, rules, leftovers).leftovers).toEqual([]);
    expect(planDigest('a', { delete: [], leftovers: ['old'] })).not.toBe(planDigest('a', { delete: [] }));
  });

  it('keeps the last three verified full backups, whatever their age', () => {
    expect(LEAST_VERIFIED).toBe(3);
    const old = [full(1, 50), full(2, 49), full(3, 48), full(4, 47)];
    const young = nights(20, { verified: false }).map((one) => ({
      ...one,
      sequence: one.sequence + 4,
      backupId: `y${one.backupId}`,
    }));
    expect(planPrune([...old, ...young], rules).delete).toEqual(['f1']);
  });

  it.each([0, 12, 24, 47.8, 48])(
    'counts ages by the newest backup where the clock is %d h ahead',
    (hours) => {
      const day = nights(9);
      const diffs = Array.from({ length: 41 }, (_, n) => diff(20 + n, (41 - n) / 20, 'f10'));
      const history = [...day, ...diffs];
      const leftovers = [{ key: 'going on', storedAt: NOW - HOUR }];
      const plan = planPrune(history, { ...rules, now: NOW + hours * HOUR }, leftovers);
      expect([plan.delete, plan.leftovers]).toEqual([[], []]);
    },
  );

  it('never deletes more for a clock that runs ahead, nor for one that stands still', () => {
    const ages = fc.array(fc.integer({ min: 0, max: 70 * 24 }), { maxLength: 40 });
    fc.assert(
      fc.property(
        ages,
        fc.integer({ min: 0, max: 48 }),
        fc.integer({ min: 0, max: 48 }),
        (hours, ahead, behind) => {
          const history = [...nights(32), ...hours.map((ago, n) => diff(100 + n, ago, 'f30'))];
          const gone = new Set(planPrune(history, rules).delete);
          for (const off of [ahead, -behind]) {
            const other = planPrune(history, { ...rules, now: NOW + off * HOUR });
            expect(other.delete.filter((id) => !gone.has(id))).toEqual([]);
          }
        },
      ),
    );
  });

  it('has a digest of its own for each plan and place', () => {
    const digests = [
      planDigest('a', { delete: ['x'] }),
      planDigest('b', { delete: ['x'] }),
      planDigest('a', { delete: ['x', 'y'] }),
    ];
    expect(new Set(digests).size).toBe(3);
    expect(planDigest('a', { delete: ['y', 'x'] })).toBe(digests[2]);
  });

  it('lets a differential go before the full backup that it rests on', () => {
    const old = [full(1, 40), diff(2, 39 * 24, 'f1'), diff(3, 38 * 24, 'f1'), ...nights(31).slice(3)];
    expect(planPrune(old, rules).delete).toEqual(['d2', 'd3', 'f1']);
  });

  it('keeps what the newest verified backup rests on, however old that is', () => {
    // Of these four the last three stay by themselves.
    const verified = [1, 2, 3, 4].map((n) => full(n, 50 - n));
    const young = Array.from({ length: 31 }, (_, n) => full(n + 6, 30 - n, { verified: false }));
    const resting = (base: string) => [...verified, diff(5, 45 * 24, base, { verified: true }), ...young];
    expect(planPrune(resting('f1'), rules).delete).toEqual([]);
    expect(planPrune(resting('f2'), rules).delete).toEqual(['f1']);
  });

  // A sample; `npm run campaign -- prune-histories` tries ten thousand.
  it('keeps its promises for any history, cut off anywhere', async () => {
    const figures = newFigures();
    await fc.assert(promises(figures), { numRuns: 1000 });
    // A planner that never lets anything go would keep every promise.
    expect(figures.pruned).toBeGreaterThan(100);
    expect(figures.together).toBeGreaterThan(0);
  });
});

import { describe, expect, it } from 'vitest';
import { nothingKnown } from '../../service/jobs/facts.ts';
import { backupBudget, backupStatus } from '../../service/jobs/status.ts';
import type { FullRun } from '../../service/jobs/status.ts';
import type { BackupStatus } from '../../service/jobs/types.ts';

/** How old a verified backup may be, and that a schedule which is kept is never late. Seconds. */

const URL = 's3://far';
const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();

interface Moment {
  now: number;
  /** When the newest verified one was taken. */
  taken: number;
  intervalSeconds: number;
  full?: FullRun;
}

function statusAt({ now, taken, intervalSeconds, full }: Moment): BackupStatus {
  const newest = { backupId: 'b', kind: 'differential', takenAt: iso(taken), bytes: 1 };
  const verified = { backupId: 'b', takenAt: iso(taken), verifiedAt: iso(taken), how: 'ciphertext' as const };
  return backupStatus({
    destinations: [{ url: URL, sameDisk: false }],
    known: new Map([[URL, { ...nothingKnown(), newest, verified }]]),
    ...{ intervalSeconds, full: full ?? null, scheduled: true, refused: null, production: true },
    ...{
      recoveryKey: {
        proven: true,
        provenAt: '2026-05-01T00:00:00.000Z',
        onHost: false,
        recoveryOnHost: false,
      },
      now: now * 1000,
    },
  });
}

interface Work {
  from: number;
  until: number;
  isFull: boolean;
}

const NIGHT = 1800;
const END = NIGHT + 7200;

/** What the scheduler does where something changes all the time: one at a time, and what waited begins at once. */
function worksOf(interval: number, differential: number, full: number): Work[] {
  const works: Work[] = [];
  for (let now = interval, served = 0; now < END; now += 1) {
    const due = now - (now % interval);
    if (due <= served || now < (works.at(-1)?.until ?? 0)) continue;
    const isFull = now >= NIGHT && !works.some((one) => one.isFull);
    works.push({ from: now + 1, until: now + 1 + (isFull ? full : differential), isFull });
    if (!isFull) served = due;
  }
  return works;
}

describe('the budget', () => {
  it('is two intervals, and a minute to make one', () => {
    expect([10, 60, 300, 900, 3600, null].map(backupBudget)).toEqual([80, 180, 660, 1860, 7260, 93_600]);
  });

  it.each([
    ['every minute, quick ones', 60, 5, 20],
    ['every minute, slow ones', 60, 55, 120],
    ['every five minutes, and a full one of an hour', 300, 100, 3600],
    ['every minute, and a full one that is far longer than the interval', 60, 20, 1800],
  ])('is kept by the schedule at every second: %s', (_, interval, differential, full) => {
    const works = worksOf(interval, differential, full);
    const nightly = works.find(({ isFull }) => isFull)!;
    // Sending is half of it, reading it again the other half.
    const usualMs = (full / 2) * 1000;
    const late: number[] = [];
    for (let now = 900; now < END; now += 1) {
      const taken = works.findLast(({ until }) => until <= now)?.from ?? 0;
      const startedAt = (now >= nightly.from ? nightly.from : nightly.from - 86_400) * 1000;
      const { status } = statusAt({ now, taken, intervalSeconds: interval, full: { startedAt, usualMs } });
      if (status === 'failing') late.push(now);
    }
    expect(late).toEqual([]);
  });

  it('is exceeded within two intervals and a minute where nothing is made any more', () => {
    const at = (now: number) => statusAt({ now, taken: 1000, intervalSeconds: 60 }).status;
    expect([at(1180), at(1181)]).toEqual(['ok', 'failing']);
  });

  it('allows for a full one that runs, and no longer than twice the time that such a one takes', () => {
    const full = { startedAt: 10_000_000, usualMs: 300_000 };
    const at = (now: number, taken = 9940) => statusAt({ now, taken, intervalSeconds: 60, full });
    expect(at(10_480)).toMatchObject({ status: 'ok', ageSeconds: 540, budgetSeconds: 660 });
    expect(at(10_720)).toMatchObject({ status: 'ok', ageSeconds: 780, budgetSeconds: 780 });
    expect(at(10_721)).toMatchObject({ status: 'failing', budgetSeconds: 780 });
    // It excuses nothing that was late before or after it.
    expect(at(10_060, 9700)).toMatchObject({ status: 'failing', budgetSeconds: 240 });
    expect(at(11_000, 10_700)).toMatchObject({ status: 'failing', budgetSeconds: 180 });
  });
});

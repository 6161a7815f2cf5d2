import fc from 'fast-check';
import { createTask } from 'node-cron';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { dueNow, lastDue, lateAfterSeconds, nextDue, parseCron } from '../../service/jobs/schedule.ts';
import type { Schedule } from '../../service/jobs/schedule.ts';

const at = (iso: string): number => Date.parse(iso);
const iso = (time: number | null): string | null => (time === null ? null : new Date(time).toISOString());
const cron = (text: string): Schedule => ({ kind: 'cron', text });
const MINUTE = 60_000;

describe('cron', () => {
  it.each([
    ['15 2 * * *', '2026-05-01T02:15:00.000Z', '2026-05-01T02:15:00.000Z', '2026-05-02T02:15:00.000Z'],
    ['15 2 * * *', '2026-05-01T02:14:59.999Z', '2026-04-30T02:15:00.000Z', '2026-05-01T02:15:00.000Z'],
    ['*/20 * * * *', '2026-12-31T23:59:00.000Z', '2026-12-31T23:40:00.000Z', '2027-01-01T00:00:00.000Z'],
    ['0 12 * * mon-fri', '2026-05-03T00:00:00.000Z', '2026-05-01T12:00:00.000Z', '2026-05-04T12:00:00.000Z'],
    ['0 0 29 2 *', '2026-05-01T00:00:00.000Z', '2024-02-29T00:00:00.000Z', '2028-02-29T00:00:00.000Z'],
    ['0 0 13 * fri', '2026-05-01T12:00:00.000Z', '2026-05-01T00:00:00.000Z', '2026-05-08T00:00:00.000Z'],
    ['5,10-12 0 1 jan 7', '2026-02-01T00:00:00.000Z', '2026-01-25T00:12:00.000Z', '2027-01-01T00:05:00.000Z'],
  ])('%s at %s', (text, now, last, next) => {
    expect(iso(lastDue(cron(text), at(now)))).toBe(last);
    expect(iso(nextDue(cron(text), at(now)))).toBe(next);
  });

  it('never comes on a day that there is not', () => {
    expect(lastDue(cron('0 0 31 2 *'), at('2026-05-01T00:00:00.000Z'))).toBeNull();
  });

  it.each(['', '* * * *', '60 * * * *', '* 24 * * *', '* * 0 * *', '* * * 13 *', '* * * * 8', '5-1 * * * *'])(
    'is not %j',
    (text) => expect(parseCron(text)).toBeNull(),
  );
  it.each([
    '*/0 * * * *',
    '1-2-3 * * * *',
    '* * L * *',
    '1,,2 * * * *',
    '* * * * mo',
    '-1 * * * *',
    '1.5 * * * *',
  ])('nor %j', (text) => expect(parseCron(text)).toBeNull());

  it('agrees with node-cron on the next time', () => {
    const field = (least: number, most: number) =>
      fc.oneof(
        fc.constant('*'),
        fc.integer({ min: least, max: most }).map(String),
        fc.integer({ min: 1, max: 12 }).map((step) => `*/${step}`),
        fc
          .tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }))
          .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      );
    const times = fc.date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true });
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    fc.assert(
      fc.property(times, field(0, 59), field(0, 23), field(1, 28), (now, minute, hour, day) => {
        vi.setSystemTime(now);
        const text = `${minute} ${hour} ${day} * *`;
        const task = createTask(text, () => undefined, { timezone: 'UTC' });
        void task.start();
        const theirs = task.getNextRun()?.getTime();
        void task.destroy();
        expect(iso(nextDue(cron(text), now.getTime()))).toBe(iso(theirs ?? null));
      }),
      { numRuns: 50 },
    );
  });
});

it.each<[Schedule, number]>([
  [{ kind: 'interval', seconds: 60 }, 30],
  [{ kind: 'interval', seconds: 300 }, 75],
  [{ kind: 'interval', seconds: 3600 }, 600],
  [cron('15 2 * * *'), 600],
  [cron('*/10 * * * *'), 150],
  [cron('0 0 30 2 *'), 600],
])('%j is late after %d s', (schedule, seconds) => {
  expect(lateAfterSeconds(schedule, at('2026-05-01T00:00:07.000Z'))).toBe(seconds);
});

describe('what is due', () => {
  const schedules = fc.oneof(
    fc.integer({ min: 1, max: 86_400 }).map((seconds): Schedule => ({ kind: 'interval', seconds })),
    fc.constantFrom('15 2 * * *', '*/5 * * * *', '0 4 * * sun').map(cron),
  );
  const since = at('2026-05-01T00:00:00.000Z');

  it('is each time once, the newest after a downtime, and never one that is to come', () => {
    const pauses = fc.array(fc.integer({ min: 1, max: 30 * 24 * 60 * MINUTE }), { maxLength: 60 });
    fc.assert(
      fc.property(schedules, pauses, (schedule, waits) => {
        let [dueAt, now]: [number | null, number] = [null, since];
        for (const wait of waits) {
          now += wait;
          const due = dueNow(schedule, { dueAt, since, now });
          const missed = lastDue(schedule, now);
          if (missed !== null && missed > (dueAt ?? since)) expect(due).toBe(missed);
          else expect(due).toBeNull();
          if (due === null) continue;
          expect(due).toBeLessThanOrEqual(now);
          dueAt = due;
          // One run catches up with everything.
          expect(dueNow(schedule, { dueAt, since, now })).toBeNull();
        }
      }),
    );
  });

  it('is not held up by a clock that ran ahead, and is none twice where it went back a little', () => {
    const schedule: Schedule = { kind: 'interval', seconds: 300 };
    const now = at('2026-05-01T10:03:00.000Z');
    const year = at('2027-05-01T10:00:00.000Z');
    expect(iso(dueNow(schedule, { dueAt: year, since, now }))).toBe('2026-05-01T10:00:00.000Z');
    expect(dueNow(schedule, { dueAt: at('2026-05-01T10:05:00.000Z'), since, now })).toBeNull();
  });

  it('begins after the start where none was ever claimed', () => {
    const schedule = cron('15 2 * * *');
    expect(dueNow(schedule, { dueAt: null, since, now: since + MINUTE })).toBeNull();
    expect(iso(dueNow(schedule, { dueAt: null, since, now: since + 136 * MINUTE }))).toBe(
      '2026-05-01T02:15:00.000Z',
    );
  });
});

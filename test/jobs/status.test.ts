import { describe, expect, it } from 'vitest';
import { isOverdue } from '../../service/jobs/ages.ts';
import { nothingKnown } from '../../service/jobs/facts.ts';
import type { Known } from '../../service/jobs/facts.ts';
import { backupStatus, drillStatus } from '../../service/jobs/status.ts';
import type { BackupSituation } from '../../service/jobs/status.ts';
import type { DrillOutcome, DrillRecord } from '../../service/jobs/types.ts';

const NOW = Date.parse('2026-05-01T10:00:00.000Z');
const [NEAR, FAR] = ['file:///near', 's3://far'];
const ago = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();

/** Made and verified so many minutes ago; `covered`: found to hold everything, later. */
function made(
  minutes: number,
  { covered = minutes, verified = minutes }: { covered?: number; verified?: number | null } = {},
): Known {
  const newest = { backupId: `b${minutes}`, kind: 'full', takenAt: ago(minutes), bytes: 1 };
  return {
    ...nothingKnown(),
    newest,
    covered: { at: ago(covered), mark: 'm', lookedAt: ago(covered), backupId: `b${minutes}` },
    verified:
      verified === null
        ? null
        : { backupId: `b${verified}`, takenAt: ago(verified), verifiedAt: ago(verified), how: 'ciphertext' },
  };
}
const error = {
  of: 'backup' as const,
  code: 'destination-failed',
  message: 'Away.',
  hint: 'Wait.',
  at: ago(1),
};

const gone = { ...error, code: 'destination-emptied' };

function situation(known: Record<string, Known>, change: Partial<BackupSituation> = {}): BackupSituation {
  return {
    destinations: [NEAR, FAR].map((url) => ({ url, sameDisk: false })),
    known: new Map(Object.entries(known)),
    // Of which the budget is a quarter of an hour.
    ...{ intervalSeconds: 420, full: null, scheduled: true, refused: null, production: true, now: NOW },
    recoveryKey: { proven: true, provenAt: '2026-05-01T00:00:00.000Z', onHost: false, recoveryOnHost: false },
    ...change,
  };
}

const near = { destinations: [{ url: NEAR, sameDisk: true }] };
const both = { destinations: [...near.destinations, { url: FAR, sameDisk: false }] };
const CASES: [what: string, BackupSituation, status: string, ageMinutes: number | null, detail: RegExp][] = [
  ['no destination', situation({}, { destinations: [] }), 'not-configured', null, /No destination/],
  ['no backup yet', situation({}), 'degraded', null, /No backup was made yet/],
  ['none, and no schedule', situation({}, { scheduled: false }), 'not-configured', null, /none is scheduled/],
  ['none possible', situation({}, { refused: 'No recipients.' }), 'not-configured', null, /No recipients/],
  [
    'the first one failed',
    situation({ [NEAR]: { ...nothingKnown(), errors: [error] } }),
    'failing',
    null,
    /No backup could/,
  ],
  [
    'the only one turned out to be empty',
    situation({ [FAR]: { ...nothingKnown(), errors: [gone] } }, { destinations: both.destinations.slice(1) }),
    'failing',
    null,
    /No destination holds any of the backups/,
  ],
  [
    'one turned out to be empty, the other is fresh',
    situation({ [NEAR]: made(5), [FAR]: { ...nothingKnown(), errors: [gone] } }),
    'degraded',
    5,
    /1 of 2 destinations have no verified backup/,
  ],
  [
    'what lies elsewhere than on the disk turned out to be empty',
    situation({ [NEAR]: made(5), [FAR]: { ...nothingKnown(), errors: [gone] } }, both),
    'failing',
    null,
    /The only verified backup lies on the disk of the database/,
  ],
  [
    'fresh in both',
    situation({ [NEAR]: made(5), [FAR]: made(6) }),
    'ok',
    5,
    /Everything up to 5 minutes ago/,
  ],
  [
    'old, and nothing new since',
    situation({ [NEAR]: made(600, { covered: 2 }), [FAR]: made(600, { covered: 2 }) }),
    'ok',
    2,
    /2 minutes ago/,
  ],
  [
    'covered of another backup than the newest',
    situation({
      [NEAR]: { ...made(600, { covered: 2 }), covered: { ...made(2).covered!, backupId: 'gone' } },
      [FAR]: { ...made(600, { covered: 2 }), covered: { at: ago(2), mark: 'm', lookedAt: ago(2) } },
    }),
    'failing',
    600,
    /10 hours old/,
  ],
  ['stale in one', situation({ [NEAR]: made(5), [FAR]: made(60) }), 'degraded', 5, /1 of 2 destinations/],
  ['missing in one', situation({ [NEAR]: made(5) }), 'degraded', 5, /1 of 2 destinations/],
  [
    'an error in one',
    situation({ [NEAR]: made(5), [FAR]: { ...made(5), errors: [error] } }),
    'degraded',
    5,
    /have a problem/,
  ],
  [
    'stale in both',
    situation({ [NEAR]: made(16), [FAR]: made(60) }),
    'failing',
    16,
    /16 minutes old; 15 minutes are allowed/,
  ],
  [
    'within a longer interval',
    situation({ [NEAR]: made(16), [FAR]: made(16) }, { intervalSeconds: 600 }),
    'ok',
    16,
    /16 minutes/,
  ],
  [
    'nightly only',
    situation({ [NEAR]: made(1500), [FAR]: made(1500) }, { intervalSeconds: null }),
    'ok',
    1500,
    /25 hours ago/,
  ],
  [
    'made, never verified',
    situation({ [NEAR]: made(5, { verified: null }), [FAR]: made(5, { verified: null }) }),
    'degraded',
    null,
    /none of them was read again/,
  ],
  [
    'never verified for long',
    situation({ [NEAR]: made(60, { verified: null }) }),
    'failing',
    null,
    /none of them was read again/,
  ],
  // The job says that it made one and is covered; verification finds the old one only.
  [
    'a job that lies',
    situation({ [NEAR]: made(1, { verified: 40 }), [FAR]: made(1, { verified: 40 }) }),
    'failing',
    40,
    /40 minutes old/,
  ],
  [
    'a clock that went back',
    situation({ [NEAR]: made(-60), [FAR]: made(-60) }),
    'failing',
    null,
    /clock is wrong/,
  ],
  [
    'a clock that went back a little',
    situation({ [NEAR]: made(-5), [FAR]: made(-5) }),
    'ok',
    0,
    /0 seconds ago/,
  ],
  [
    'the same disk, in production',
    situation({ [NEAR]: made(5) }, near),
    'failing',
    5,
    /disk of the database.*FACTORY_BACKUP_DESTINATIONS/,
  ],
  [
    'the same disk, and one elsewhere that was never reached',
    situation({ [NEAR]: made(5), [FAR]: { ...nothingKnown(), errors: [error] } }, both),
    'failing',
    null,
    /only verified backup lies on the disk of the database.*factory doctor/,
  ],
  [
    'the same disk, and one elsewhere that is late',
    situation({ [NEAR]: made(2), [FAR]: made(60) }, both),
    'failing',
    60,
    /another disk than the database is 60 minutes old/,
  ],
  [
    'the same disk, and one elsewhere that is late, in development',
    situation({ [NEAR]: made(2), [FAR]: made(60) }, { ...both, production: false }),
    'degraded',
    2,
    /1 of 2 destinations/,
  ],
  [
    'the same disk, and one elsewhere that is fresh',
    situation({ [NEAR]: made(2), [FAR]: made(5) }, both),
    'ok',
    5,
    /5 minutes ago/,
  ],
  [
    'the same disk, elsewhere',
    situation({ [NEAR]: made(5) }, { ...near, production: false }),
    'ok',
    5,
    /on the same disk/,
  ],
  [
    'a key that nobody proved',
    situation(
      { [NEAR]: made(5), [FAR]: made(5) },
      { recoveryKey: { proven: false, provenAt: null, onHost: false, recoveryOnHost: false } },
    ),
    'failing',
    5,
    /recovery key.*factory keys prove/,
  ],
  [
    'a key that nobody proved, in development',
    situation(
      { [NEAR]: made(5), [FAR]: made(5) },
      {
        recoveryKey: { proven: false, provenAt: null, onHost: true, recoveryOnHost: true },
        production: false,
      },
    ),
    'ok',
    5,
    /5 minutes ago/,
  ],
];

describe('backups', () => {
  it.each(CASES)('%s', (_, facts, status, ageMinutes, detail) => {
    const found = backupStatus(facts);
    expect([found.status, found.ageSeconds]).toEqual([status, ageMinutes === null ? null : ageMinutes * 60]);
    expect(found.detail).toMatch(detail);
    expect(isOverdue(found)).toBe(status === 'failing' || status === 'not-configured' || ageMinutes === null);
    // Anybody may read it.
    expect(found.detail).not.toMatch(/near|s3:/);
  });

  it('name the newest error of a destination', () => {
    const older = { ...error, of: 'verify' as const, code: 'backup-damaged', at: ago(9) };
    const [first] = backupStatus(situation({ [NEAR]: { ...made(5), errors: [older, error] } })).destinations;
    expect(first?.error).toEqual({ code: 'destination-failed', message: 'Away.', hint: 'Wait.', at: ago(1) });
  });
});

describe('drills', () => {
  const drill = (outcome: DrillOutcome, hoursAgo: number): DrillRecord => ({
    ...{
      id: `${outcome}${hoursAgo}`,
      url: NEAR,
      outcome,
      at: ago(hoursAgo * 60),
      backupId: 'b',
      digest: 'd',
    },
    ...{ rpoSeconds: 1, rtoSeconds: 2, restoreSeconds: 1, bootSeconds: 1, checks: [] },
  });
  it.each<[string, DrillRecord[], boolean, string, number | null]>([
    ['none, and none to come', [], false, 'not-configured', null],
    ['none yet', [], true, 'degraded', null],
    ['passed', [drill('pass', 3)], true, 'ok', 3],
    ['passed long ago', [drill('pass', 27)], true, 'failing', 27],
    ['failed after one that passed', [drill('fail', 1), drill('pass', 20)], true, 'failing', 20],
    ['came to nothing', [drill('inconclusive', 1), drill('pass', 20)], true, 'degraded', 20],
    ['never came to anything', [drill('inconclusive', 1)], true, 'failing', null],
    ['passed in the future', [drill('pass', -3)], true, 'failing', null],
  ])('%s', (_, records, scheduled, status, hours) => {
    const found = drillStatus({ records, scheduled, now: NOW });
    expect([found.status, found.ageSeconds]).toEqual([status, hours === null ? null : hours * 3600]);
    expect(found.last).toBe(records[0] ?? null);
  });
});

import { ageSeconds, verifiedAge } from './ages.ts';
import { coveredNow, EMPTIED, nothingKnown } from './facts.ts';
import type { Known } from './facts.ts';
import { CLOCK_SLACK_MS } from './schedule.ts';
import type { BackupStatus, DestinationStatus, DrillRecord, DrillStatus } from './types.ts';

/** Whether this is backed up, and whether that was shown, as rules over facts. */

/** A night and two hours. */
const DAILY_BUDGET_SECONDS = 26 * 3600;
/**
 * For starting, making, sending and verifying one, beside two intervals. A backup counts from when it was verified on, so
 * that its age is never less than what that took: at an interval of 60 s there is room for one that takes a minute, and
 * for one that failed once and is tried again after a minute. A full one that takes longer is allowed for by itself.
 */
const MAKING_SECONDS = 60;

export interface BackupSituation {
  destinations: readonly { url: string; sameDisk: boolean }[];
  known: ReadonlyMap<string, Known>;
  /** Between differentials; null: none are made by the schedule here. */
  intervalSeconds: number | null;
  /** The newest full one that was begun; null: none is known of. */
  full: FullRun | null;
  /** Whether the service makes backups at their times. */
  scheduled: boolean;
  /** Why none can be made here, as one sentence; null: they can. */
  refused: string | null;
  production: boolean;
  recoveryKey: BackupStatus['recoveryKey'];
  /** In ms since the epoch. */
  now: number;
}

/** Differentials wait for a full one, and it counts only when every byte was read again. */
export interface FullRun {
  /** In ms since the epoch. */
  startedAt: number;
  /** How long the last one that did not fail took to be sent. */
  usualMs: number;
}

/** Whoever is two intervals without a backup is told; one may be late, or fail once. */
export function backupBudget(intervalSeconds: number | null): number {
  return intervalSeconds === null ? DAILY_BUDGET_SECONDS : 2 * intervalSeconds + MAKING_SECONDS;
}

/**
 * How much of the age is due to a full backup that kept differentials waiting. Reading it again takes as long as sending
 * it, at most; one that takes longer than that hangs, and excuses nothing.
 */
function heldUpSeconds({ full, now }: BackupSituation, age: number | null): number {
  if (!full || age === null) return 0;
  const until = Math.min(now, full.startedAt + 2 * full.usualMs);
  return Math.max(0, Math.floor((until - Math.max(full.startedAt, now - age * 1000)) / 1000));
}

export function backupStatus(situation: BackupSituation): BackupStatus {
  const { destinations, known, now, recoveryKey } = situation;
  const all = destinations.map(({ url, sameDisk }) =>
    statusOf(url, sameDisk, known.get(url) ?? nothingKnown()),
  );
  const counted = countedOf(all, situation.production);
  const ageOfAll = counted
    .map((one) => trustedAge(one, now))
    .reduce((best, age) => (best === null || (age !== null && age < best) ? age : best), null);
  const { intervalSeconds } = situation;
  const heldUp = intervalSeconds === null ? 0 : heldUpSeconds(situation, ageOfAll);
  const budgetSeconds = backupBudget(intervalSeconds) + heldUp;
  const verdict = judge(situation, all, ageOfAll, budgetSeconds);
  return { ...verdict, budgetSeconds, ageSeconds: ageOfAll, destinations: all, recoveryKey };
}

/** In production, what lies on the database's disk makes nothing younger while there is a destination elsewhere. */
function countedOf(all: readonly DestinationStatus[], production: boolean): readonly DestinationStatus[] {
  const elsewhere = all.filter(({ sameDisk }) => !sameDisk);
  return production && elsewhere.length > 0 ? elsewhere : all;
}

function statusOf(url: string, sameDisk: boolean, known: Known): DestinationStatus {
  const { newest, verified, total, errors } = known;
  const error = [...errors].sort((a, b) => (a.at < b.at ? 1 : -1))[0];
  return {
    ...{ url, sameDisk, newest, verified, coveredAt: coveredNow(known), total },
    error: error ? { code: error.code, message: error.message, hint: error.hint, at: error.at } : null,
  };
}

/** What was taken in the future tells nothing: then a clock is wrong, this one's or that of whoever took it. */
function trustedAge(one: DestinationStatus, now: number): number | null {
  if (one.verified && Date.parse(one.verified.takenAt) > now + CLOCK_SLACK_MS) return null;
  return verifiedAge(one, now);
}

const some = (count: number, all: number): string =>
  all === 1 ? 'The destination has' : `${count} of ${all} destinations have`;

type Verdict = Pick<BackupStatus, 'status' | 'detail'>;
const SAME_DISK =
  'Every backup lies on the disk of the database, and is lost with it: name a destination elsewhere in FACTORY_BACKUP_DESTINATIONS.';
const ONLY_SAME_DISK =
  'The only verified backup lies on the disk of the database, and is lost with it: `npx factory doctor` says why the other destinations have none.';
const ALL_GONE =
  'No destination holds any of the backups that were stored there: a disk is not mounted, or somebody emptied it. `npx factory doctor` says which.';
const UNPROVEN =
  'Nobody has shown yet that the recovery key opens the backups: `npx factory keys prove --challenge` begins it.';
const verdict = (status: BackupStatus['status'], detail: string): Verdict => ({ status, detail });

function judge(
  situation: BackupSituation,
  all: readonly DestinationStatus[],
  age: number | null,
  budget: number,
): Verdict {
  const { refused, scheduled, production, recoveryKey, now } = situation;
  if (all.length === 0) return verdict('not-configured', 'No destination for backups is configured.');
  if (refused !== null) return verdict('not-configured', refused);
  const counted = countedOf(all, production);
  const same = all.every(({ sameDisk }) => sameDisk);
  if (production && same) return verdict('failing', SAME_DISK);
  if (age === null) return withoutAge(all, counted, scheduled, budget, now);
  if (age > budget) {
    const where = counted.length < all.length ? ' on another disk than the database' : '';
    return verdict(
      'failing',
      `The newest verified backup${where} is ${span(age)} old; ${span(budget)} are allowed.`,
    );
  }
  // Nobody calls this backed up in production before that: it may be what nobody can read.
  if (production && !recoveryKey.proven) return verdict('failing', UNPROVEN);
  const ages = all.map((one) => trustedAge(one, now));
  const late = ages.filter((one) => one === null || one > budget).length;
  if (late > 0)
    return verdict('degraded', `${some(late, all.length)} no verified backup of the last ${span(budget)}.`);
  const failing = all.filter(({ error }) => error !== null).length;
  if (failing > 0) return verdict('degraded', `${some(failing, all.length)} a problem.`);
  const fine = `Everything up to ${span(age)} ago is in a verified backup`;
  return verdict('ok', same ? `${fine}, on the same disk: it is lost with the database.` : `${fine}.`);
}

function withoutAge(
  all: readonly DestinationStatus[],
  counted: readonly DestinationStatus[],
  scheduled: boolean,
  budget: number,
  now: number,
): Verdict {
  if (counted.every(({ newest }) => newest === null) && all.some(({ verified }) => verified !== null))
    return verdict('failing', ONLY_SAME_DISK);
  const made = counted.flatMap(({ newest }) => (newest ? [newest] : []));
  if (counted.some(({ verified }) => verified !== null))
    return verdict('failing', 'The newest verified backup is from the future: a clock is wrong.');
  if (made.length > 0) {
    const young = made.some(({ takenAt }) => (ageSeconds(takenAt, now) ?? Infinity) <= budget);
    return verdict(young ? 'degraded' : 'failing', 'There are backups, and none of them was read again.');
  }
  if (counted.every(({ error }) => error?.code === EMPTIED)) return verdict('failing', ALL_GONE);
  if (all.some(({ error }) => error !== null)) return verdict('failing', 'No backup could be made yet.');
  if (!scheduled) return verdict('not-configured', 'No backup was made, and none is scheduled.');
  return verdict('degraded', 'No backup was made yet.');
}

export interface DrillSituation {
  /** Newest first. */
  records: readonly DrillRecord[];
  scheduled: boolean;
  now: number;
}

export function drillStatus({ records, scheduled, now }: DrillSituation): DrillStatus {
  const last = records[0] ?? null;
  const lastPass = records.find(({ outcome }) => outcome === 'pass') ?? null;
  const future = lastPass !== null && Date.parse(lastPass.at) > now + CLOCK_SLACK_MS;
  const age = future ? null : ageSeconds(lastPass?.at, now);
  const budgetSeconds = DAILY_BUDGET_SECONDS;
  return {
    ...judgeDrills(last, age, scheduled, budgetSeconds),
    budgetSeconds,
    ageSeconds: age,
    last,
    lastPass,
  };
}

function judgeDrills(
  last: DrillRecord | null,
  age: number | null,
  scheduled: boolean,
  budget: number,
): Verdict {
  if (last === null)
    return scheduled
      ? verdict('degraded', 'No backup was restored for a trial yet.')
      : verdict('not-configured', 'No drill was reported, and none is scheduled here.');
  if (last.outcome === 'fail') return verdict('failing', 'The last drill failed: its backup does not do.');
  if (age === null) return verdict('failing', 'No drill passed yet.');
  if (age > budget)
    return verdict(
      'failing',
      `The last drill that passed was ${span(age)} ago; ${span(budget)} are allowed.`,
    );
  if (last.outcome === 'inconclusive')
    return verdict('degraded', `The last drill came to no result; one passed ${span(age)} ago.`);
  return verdict('ok', `A backup was restored and started ${span(age)} ago.`);
}

/** `40 seconds`, `14 minutes`, `26 hours`, `3 days`. */
function span(seconds: number): string {
  const units: [number, string][] = [
    [2 * 86_400, 'day'],
    [2 * 3600, 'hour'],
    [2 * 60, 'minute'],
  ];
  const [size, name] = units.find(([least]) => seconds >= least) ?? [2, 'second'];
  const count = Math.floor(seconds / (size / 2));
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

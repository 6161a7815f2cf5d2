import { createHash } from 'node:crypto';
import { canonicalJson } from '../../../service/canonical-json.ts';
import type { Kind } from './format.ts';

/** What may go from a destination, and why the rest stays. Pure. */

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Differentials bridge the time between two full backups; two days of them cover a night that failed. */
export const DIFFERENTIAL_HOURS = 48;
/** So many full backups that were read again and found whole stay whatever their age. */
export const LEAST_VERIFIED = 3;
/** More at once looks like a mistake of somebody's clock or configuration. */
const MOST_SHARE = 0.2;
/** Servers and hosts that are set right differ by less. */
const CLOCK_SLACK_MS = 10 * 60_000;

/** No run takes so long: what has no manifest then gets none. */
export const LEFTOVER_MS = DAY;

/** An object without a manifest. */
export interface Leftover {
  key: string;
  /** By the destination's clock, in ms. */
  storedAt: number;
}

/** A backup as the rules see it. */
export interface Candidate {
  backupId: string;
  kind: Kind;
  sequence: number;
  /** By the destination's clock, in ms. */
  storedAt: number;
  /** Of a differential. */
  base: string | null;
  verified: boolean;
  /** Signed with our key, or one that is trusted here. What others signed is never touched and never counts. */
  own: boolean;
}

export interface PruneRules {
  now: number;
  retentionDays: number;
  /** How often a full backup is made, in ms. */
  intervalMs: number;
}

export interface PrunePlan {
  /** In this order: differentials before the full backups that they may rest on, the oldest of each first. */
  delete: string[];
  keep: { backupId: string; why: string }[];
  /** Objects that belong to no backup, by key: what interrupted runs left. */
  leftovers: string[];
  /** Why nothing goes although something could; null: nothing stands in the way. */
  refused: string | null;
}

/**
 * Deletes full backups beyond the retention and differentials beyond two days. Never: the newest verified one, one of
 * the last three verified full ones, what a kept differential rests on, or anything at all while the newest backup is
 * late, the clock is wrong, or more than a fifth of the full ones would go. What has no manifest goes after a day.
 */
export function planPrune(
  candidates: readonly Candidate[],
  rules: PruneRules,
  leftovers: readonly Leftover[] = [],
): PrunePlan {
  const own = candidates.filter((one) => one.own).sort((a, b) => a.sequence - b.sequence);
  const now = agesFrom(own, rules);
  const safe = new Set(
    own
      .filter(({ kind, verified }) => kind === 'full' && verified)
      .slice(-LEAST_VERIFIED)
      .map(({ backupId }) => backupId),
  );
  const newestVerified = own.findLast(({ verified }) => verified)?.backupId;
  const young = new Map(own.map((one) => [one.backupId, youth(one, { ...rules, now })]));
  const bases = new Set(
    own.filter(({ backupId }) => young.get(backupId) || backupId === newestVerified).map(({ base }) => base),
  );
  const why = (one: Candidate): string | null => {
    if (one.backupId === newestVerified) return 'the newest verified backup';
    if (bases.has(one.backupId)) return 'a differential rests on it';
    if (safe.has(one.backupId)) return `one of the last ${LEAST_VERIFIED} verified full backups`;
    return young.get(one.backupId) ?? null;
  };
  const gone = own.filter((one) => why(one) === null);
  const refused = gone.length === 0 ? null : obstacle(own, gone, safe.size, rules);
  const isFull = ({ kind }: Candidate): boolean => kind === 'full';
  // Cut off after any of them, no differential is left without what it rests on.
  const inOrder = [...gone.filter((one) => !isFull(one)), ...gone.filter(isFull)];
  const goes = new Set(refused === null ? inOrder : []);
  return {
    delete: [...goes].map(({ backupId }) => backupId),
    keep: candidates
      .filter((one) => !goes.has(one))
      .map((one) => ({
        backupId: one.backupId,
        why: one.own ? (why(one) ?? refused ?? '') : 'it is signed by somebody else',
      })),
    leftovers: untimely(own, rules) === null ? oldOf(leftovers, { ...rules, now }) : [],
    refused,
  };
}

/**
 * The newest backup's own time, where that is before `now`: both are then of the destination's clock, and a host's clock that
 * runs ahead makes nothing old. One that stands still keeps more.
 */
export function agesFrom(
  own: readonly Pick<Candidate, 'storedAt'>[],
  { now }: Pick<PruneRules, 'now'>,
): number {
  return own.length === 0 ? now : Math.min(now, Math.max(...own.map(({ storedAt }) => storedAt)));
}

function oldOf(leftovers: readonly Leftover[], { now }: PruneRules): string[] {
  return leftovers
    .filter(({ storedAt }) => now - storedAt > LEFTOVER_MS)
    .map(({ key }) => key)
    .sort();
}

/** Null: old enough to go. */
function youth({ kind, storedAt }: Candidate, { now, retentionDays }: PruneRules): string | null {
  const age = now - storedAt;
  if (kind === 'full') return age <= retentionDays * DAY ? `younger than ${retentionDays} days` : null;
  return age <= DIFFERENTIAL_HOURS * HOUR ? `younger than ${DIFFERENTIAL_HOURS} hours` : null;
}

function obstacle(
  own: readonly Candidate[],
  gone: readonly Candidate[],
  verified: number,
  rules: PruneRules,
): string | null {
  const fulls = own.filter(({ kind }) => kind === 'full').length;
  const goneFulls = gone.filter(({ kind }) => kind === 'full').length;
  const late = untimely(own, rules);
  if (late !== null) return late;
  if (verified < LEAST_VERIFIED)
    return `fewer than ${LEAST_VERIFIED} full backups are verified: run backups verify`;
  if (goneFulls > Math.max(1, Math.floor(MOST_SHARE * fulls)))
    return `${goneFulls} of ${fulls} full backups would go at once, more than a fifth`;
  return null;
}

/** Why nothing at all may go now; null: the newest backup is of the time that it should be of. */
export function untimely(
  own: readonly Candidate[],
  { now, intervalMs }: Pick<PruneRules, 'now' | 'intervalMs'>,
): string | null {
  const newest = Math.max(...own.map(({ storedAt }) => storedAt));
  if (newest > now + CLOCK_SLACK_MS) return 'the newest backup is from the future: a clock is wrong';
  return now - newest > 2 * intervalMs ? 'the newest backup is older than twice the interval' : null;
}

/** Names exactly this plan for this destination; an apply that comes to another one is refused. */
export function planDigest(
  url: string,
  plan: Pick<PrunePlan, 'delete'> &
    Partial<Pick<PrunePlan, 'leftovers'>> & { attachments?: { objects: readonly { key: string }[] } },
): string {
  const { leftovers = [], attachments } = plan;
  const text = canonicalJson({
    ...{ url, delete: [...plan.delete].sort(), leftovers: [...leftovers].sort() },
    ...(attachments?.objects.length ? { attachments: attachments.objects.map(({ key }) => key).sort() } : {}),
  });
  return createHash('sha256').update(`build-factory/prune-plan/1\n${text}`).digest('hex');
}

import { computeDrift, DRIFT_RULES, type DriftSource, type LeaseFacts } from './drift.ts';
import {
  FRESHNESS,
  type DriftCode,
  type ForgeFacts,
  type Freshness,
  type Policy,
  type QueueObservation,
  type TruthReport,
  type WorkItem,
} from './types.ts';

/** A source within its budget is Fresh, within this many budgets Aging. */
const AGING_BUDGETS = 3;

/** Age of an observation against its budget; a clock that went back gives age 0. Null: never observed. */
export function freshness(observedAt: string | null, budgetSeconds: number, now: string): Freshness {
  if (observedAt === null) return { verdict: 'Unknown', ageSeconds: null };
  const age = Math.max(0, (Date.parse(now) - Date.parse(observedAt)) / 1000);
  const ageSeconds = Math.floor(age);
  if (age <= budgetSeconds) return { verdict: 'Fresh', ageSeconds };
  return { verdict: age <= AGING_BUDGETS * budgetSeconds ? 'Aging' : 'Stale', ageSeconds };
}

/**
 * Every signal of an item compared: sources with their age, open drift, and what could not be computed and why.
 * `forge` and `leases` null: not connected.
 */
export function truthReport(
  item: WorkItem,
  queue: QueueObservation | null,
  forge: ForgeFacts | null,
  policy: Policy,
  now: string,
  { queueWritePending, leases = null }: { queueWritePending: boolean; leases?: LeaseFacts | null },
): TruthReport {
  const seen = observations(queue, forge, leases);
  const sources = seen
    .filter(({ connected }) => connected)
    .map(({ source, at }) => ({ source, freshness: freshness(at, policy.freshness[source], now) }));
  const notConnected = seen.filter(({ connected }) => !connected).map(({ source }) => source);
  const unavailable = (code: DriftCode) => {
    const needs = DRIFT_RULES[code].needs;
    const readsQueue = needs.includes('queue') || needs.includes('prompt');
    if (readsQueue && queueWritePending) return 'queue write pending';
    if (needs.includes('queue') && code !== 'duplicate-id' && queue && isUnreadable(queue)) return 'queue record unreadable';
    const missing = needs.find((source) => notConnected.includes(source));
    if (missing !== undefined) return `${missing} not connected`;
    const old = sources.find(
      ({ source, freshness: { verdict } }) => needs.includes(source) && (verdict === 'Stale' || verdict === 'Unknown'),
    );
    return old ? `${old.source} ${old.freshness.verdict === 'Unknown' ? 'never read' : 'stale'}` : null;
  };
  return {
    freshness: worst(sources.map((one) => one.freshness)),
    sources,
    notConnected,
    ...computeDrift({ item, queue, forge, leases }, unavailable),
  };
}

/** Whether the item's own record has a problem; then `record` is only what was last readable. */
export function isUnreadable(queue: QueueObservation): boolean {
  return queue.problems.some(({ file }) => !file.startsWith('prompts/') && !queue.duplicates.includes(file));
}

/** The queue's files count as connected even before the first look. */
function observations(queue: QueueObservation | null, forge: ForgeFacts | null, leases: LeaseFacts | null) {
  const seen: [DriftSource, string | null, boolean][] = [
    ['queue', queue?.observedAt ?? null, true],
    ['prompt', queue?.observedAt ?? null, true],
    ['pull request', forge?.observedAt ?? null, forge !== null],
    ['checks', forge?.observedAt ?? null, forge !== null],
    ['lease', leases?.observedAt ?? null, leases !== null],
  ];
  return seen.map(([source, at, connected]) => ({ source, at, connected }));
}

/** The worst verdict with the highest age among its sources. */
function worst(all: Freshness[]): Freshness {
  const rank = ({ verdict }: Freshness) => FRESHNESS.indexOf(verdict);
  return all.reduce((a, b) => {
    if (rank(a) !== rank(b)) return rank(a) > rank(b) ? a : b;
    return (a.ageSeconds ?? 0) >= (b.ageSeconds ?? 0) ? a : b;
  });
}

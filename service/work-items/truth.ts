import { computeDrift, DRIFT_RULES, mismatchedId, type DriftSource, type LeaseFacts } from './drift.ts';
import {
  FRESHNESS,
  type Drift,
  type DriftCode,
  type ForgeFacts,
  type Freshness,
  type Policy,
  type QueueObservation,
  type TruthReport,
  type WorkItem,
} from './types.ts';
import { isOfPrompts, NEVER, unreadProblem } from './unread.ts';

/** A source within its budget is Fresh, within this many budgets Aging. */
const AGING_BUDGETS = 3;

/** Age of an observation against its budget; a clock that went back gives age 0. Null: never observed. */
export function freshness(observedAt: string | null, budgetSeconds: number, now: string): Freshness {
  const age = ageOf(observedAt, now);
  if (age === null) return { verdict: 'Unknown', ageSeconds: null };
  const ageSeconds = Math.floor(age);
  if (age <= budgetSeconds) return { verdict: 'Fresh', ageSeconds };
  return { verdict: age <= AGING_BUDGETS * budgetSeconds ? 'Aging' : 'Stale', ageSeconds };
}

/** A source that cannot be read now: unknown, whatever it said before. `readBefore`: when it last could. */
export function unreadFreshness(readBefore: string | null, now: string): Freshness {
  const age = ageOf(readBefore, now);
  return { verdict: 'Unknown', ageSeconds: age === null ? null : Math.floor(age) };
}

function ageOf(at: string | null, now: string): number | null {
  if (at === null || at === NEVER) return null;
  return Math.max(0, (Date.parse(now) - Date.parse(at)) / 1000);
}

interface TruthOptions {
  queueWritePending: boolean;
  /** Whether records follow their items by themselves. */
  queueWrites?: boolean;
  leases?: LeaseFacts | null;
}

interface Observed {
  queue: QueueObservation | null;
  forge: ForgeFacts | null;
  leases: LeaseFacts | null;
}

/**
 * Every signal of an item compared: sources with their age, open drift, and what could not be computed and why.
 * `queue` null: never looked at; `forge` and `leases` null: not connected.
 */
export function truthReport(
  item: WorkItem,
  queue: QueueObservation | null,
  forge: ForgeFacts | null,
  policy: Policy,
  now: string,
  { queueWritePending, queueWrites = true, leases = null }: TruthOptions,
): TruthReport {
  const observed = { queue, forge, leases };
  const all = observations(observed);
  const sources = all
    .filter(({ connected }) => connected)
    .map(({ source, at, unread }) => ({
      source,
      freshness: unread ? unreadFreshness(at, now) : freshness(at, policy.freshness[source], now),
    }));
  const notConnected = all.filter(({ connected }) => !connected).map(({ source }) => source);
  const computed = computeDrift({ item, ...observed }, (code) => {
    const { needs } = DRIFT_RULES[code];
    return (
      unavailable(code, queue, queueWritePending) ?? missing(needs, notConnected) ?? tooOld(needs, sources)
    );
  });
  const { notComputed } = computed;
  const drift = queueWrites ? computed.drift : computed.drift.map((one) => expected(one, item, queue));
  return {
    freshness: worst(sources.map((one) => one.freshness)),
    sources,
    notConnected,
    drift,
    notComputed,
  };
}

/** With queue writes off the record stays where the item was until a person moves it: that is to be expected. */
function expected(drift: Drift, { lane, lanes }: WorkItem, queue: QueueObservation | null): Drift {
  const record = queue?.record;
  if (drift.code !== 'queue-status-vs-lane' || !record) return drift;
  const { collection, fields } = record;
  const been: string[] = lanes.map((move) => move.lane);
  const lags = been.includes(collection) && (been.includes(fields.status) || fields.status === lane);
  return lags ? { ...drift, severity: 'warn' } : drift;
}

/**
 * A queue write in the outbox moves and rewrites what these codes compare; an unreadable record says nothing, but for
 * the id by which it is another item's.
 */
function unavailable(
  code: DriftCode,
  queue: QueueObservation | null,
  queueWritePending: boolean,
): string | null {
  const { needs } = DRIFT_RULES[code];
  if (queueWritePending && (needs.includes('queue') || needs.includes('prompt')))
    return 'queue write pending';
  if (!queue || !needs.includes('queue') || code === 'duplicate-id' || !isUnreadable(queue)) return null;
  return code === 'queue-file-unknown-item' && mismatchedId(queue) !== null
    ? null
    : 'queue record unreadable';
}

function missing(needs: readonly DriftSource[], notConnected: DriftSource[]): string | null {
  const absent = needs.find((source) => notConnected.includes(source));
  return absent === undefined ? null : `${absent} not connected`;
}

function tooOld(
  needs: readonly DriftSource[],
  sources: { source: DriftSource; freshness: Freshness }[],
): string | null {
  const needed = sources.filter(({ source }) => needs.includes(source));
  const old = needed.find(
    ({ freshness }) => freshness.verdict === 'Stale' || freshness.verdict === 'Unknown',
  );
  if (!old) return null;
  const { verdict, ageSeconds } = old.freshness;
  if (verdict === 'Stale') return `${old.source} stale`;
  return `${old.source} ${ageSeconds === null ? 'never read' : 'cannot be read'}`;
}

/** Whether the item's own record has a problem; then `record` is only what was last readable. */
export function isUnreadable(queue: QueueObservation): boolean {
  return queue.problems.some(({ file }) => !isOfPrompts(file) && !queue.duplicates.includes(file));
}

interface Seen {
  source: DriftSource;
  at: string | null;
  connected: boolean;
  unread: boolean;
}

/** The queue's files count as connected even before the first look. */
function observations({ queue, forge, leases }: Observed): Seen[] {
  const file = (source: 'queue' | 'prompt'): Seen => {
    const unread = queue !== null && unreadProblem(queue, source) !== null;
    const at = unread ? (queue.readBefore ?? queue.observedAt) : (queue?.observedAt ?? null);
    return { source, at, connected: true, unread };
  };
  const outside = (source: DriftSource, seen: { observedAt: string } | null): Seen => {
    return { source, at: seen?.observedAt ?? null, connected: seen !== null, unread: false };
  };
  const [request, checks] = [outside('pull request', forge), outside('checks', forge)];
  return [file('queue'), file('prompt'), request, checks, outside('lease', leases)];
}

/** The worst verdict with the highest age among its sources. */
function worst(all: Freshness[]): Freshness {
  const rank = ({ verdict }: Freshness) => FRESHNESS.indexOf(verdict);
  return all.reduce((a, b) => {
    if (rank(a) !== rank(b)) return rank(a) > rank(b) ? a : b;
    return (a.ageSeconds ?? 0) >= (b.ageSeconds ?? 0) ? a : b;
  });
}

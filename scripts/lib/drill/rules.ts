import type { Findings } from './findings.ts';
import type { DrillJob, DrillResult } from './job.ts';

/** Seconds since a `performance.now()`, to the millisecond. */
export const since = (started: number): number => Math.round(performance.now() - started) / 1000;

/** How much would be lost now, and whether that is more than may be. */
export function judgeAge(
  job: Pick<DrillJob, 'now' | 'budgetSeconds'>,
  from: string | null,
  found: Findings,
  result: DrillResult,
): void {
  const seconds = from === null ? 0 : Math.max(0, (job.now() - Date.parse(from)) / 1000);
  result.rpoSeconds = Math.round(seconds * 1000) / 1000;
  found.hold(
    'fresh',
    seconds <= job.budgetSeconds,
    `${Math.round(seconds)} s would be lost; ${job.budgetSeconds} s may be.`,
    `What was done since ${from} would be lost: ${Math.round(seconds)} s, and ${job.budgetSeconds} s may be.`,
  );
}

/** `needsNetwork`: its database is not to be reached without one. */
export function networkText(apart: boolean, needsNetwork = false): string {
  if (apart) return 'It had no network but its own.';
  const why = needsNetwork
    ? 'its database is reached by the network'
    : 'this system gives no network of its own';
  return `That it reaches nothing else was configured, not enforced: ${why}.`;
}

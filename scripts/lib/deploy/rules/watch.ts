import { p95 } from './gates.ts';

/** When a release that is live is bad enough for the way back. Takes samples and the time; fetches nothing. */

export interface WatchLimits {
  /** How long it is watched. */
  ms: number;
  /** Between two questions. */
  everyMs: number;
  /** What counts: the samples of so long. */
  windowMs: number;
  /** Fewer samples than this say nothing yet. */
  least: number;
  /** Of the samples, in parts of one. */
  errorRate: number;
  p95Ms: number;
  /** One question may take so long; then it is an error. */
  replyMs: number;
}

export const WATCH: WatchLimits = {
  ...{ ms: 20_000, everyMs: 100, windowMs: 5_000, least: 20 },
  ...{ errorRate: 0.05, p95Ms: 1_000, replyMs: 2_000 },
};

export interface Sample {
  at: number;
  ms: number;
  /** Null: a good answer. */
  problem: string | null;
}

/** Why the way back has to be taken; null: go on. */
export function turnedBad(samples: readonly Sample[], now: number, limits: WatchLimits): string | null {
  const recent = samples.filter(({ at }) => at > now - limits.windowMs);
  // Whoever answers nothing at all is not waited for.
  const last = recent.slice(-3);
  if (last.length === 3 && last.every(({ problem }) => problem !== null))
    return `three answers one after the other were bad: ${last.at(-1)?.problem ?? ''}`;
  if (recent.length < limits.least) return null;
  const bad = recent.filter(({ problem }) => problem !== null);
  // One alone may be chance.
  if (bad.length > 1 && bad.length / recent.length > limits.errorRate)
    return `${bad.length} of ${recent.length} answers were bad, the last: ${bad.at(-1)?.problem ?? ''}`;
  const slow = p95(recent.map(({ ms }) => ms));
  if (slow <= limits.p95Ms) return null;
  return `95 of 100 answers took up to ${Math.round(slow)} ms; the limit is ${limits.p95Ms} ms`;
}

/**
 * How long something has lain there, counted by what the service itself saw: a clock that jumps, forwards or back, and a
 * service that was stopped for long age nothing by more than the time between two rounds.
 */

export const EVERY_MS = 60 * 60 * 1000;
/** A round begins a little later than an hour after the one before. */
const MOST_BETWEEN_MS = EVERY_MS + 5 * 60 * 1000;

/** Kept from round to round. */
export interface Watched {
  /** ISO-8601 UTC, of the last round. */
  at: string;
  /** Watched until then. */
  ms: number;
  /** The highest number that each round found, oldest round first. */
  rounds: { ms: number; highest: number }[];
}

/** One more round. `old`: numbers up to this one have lain there for `keptMs` at least; 0: none has. */
export function watchedWith(
  before: Watched | null,
  { at, highest, keptMs }: { at: string; highest: number; keptMs: number },
): { watched: Watched; old: number } {
  const passed = before === null ? 0 : Date.parse(at) - Date.parse(before.at);
  const ms = (before?.ms ?? 0) + Math.min(Math.max(passed, 0), MOST_BETWEEN_MS);
  const rounds = [...(before?.rounds ?? []), { ms, highest }];
  const newest = rounds.findLastIndex((round) => ms - round.ms >= keptMs);
  return {
    watched: { at, ms, rounds: rounds.slice(Math.max(newest, 0)) },
    old: rounds[newest]?.highest ?? 0,
  };
}

/**
 * Numbers that somebody else wrote, before they decide anything. Whoever stole a signing key can sign any number, and one
 * near the largest that there is would leave no room for those to come. Real numbers grow in small steps. Pure.
 */

/** So many restores in place between two epochs that are seen; nobody comes near it. */
const EPOCH_STEP = 1_000;
/** So many backups between two that are kept: one each minute for almost two years. */
const SEQUENCE_STEP = 1_000_000;
/** Names hold fifteen digits; numbers this far below that never come to them. */
const MOST_SEQUENCE = 1_000_000_000_000;

/**
 * The highest number that is reached from the lowest one in steps of at most `step`; 0 where there is none. What is above
 * it is not plausible.
 */
export function lastPlausible(numbers: readonly number[], step: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  let last = sorted[0] ?? 0;
  for (const number of sorted) {
    if (number - last > step) break;
    last = number;
  }
  return last;
}

/** `own`: an epoch that is known to be real; the first one always is. */
export const lastEpoch = (epochs: readonly number[], own = 0): number =>
  lastPlausible([own, ...epochs.filter((epoch) => epoch > own)], EPOCH_STEP);

export const lastSequence = (sequences: readonly number[]): number =>
  lastPlausible(
    sequences.filter((sequence) => sequence <= MOST_SEQUENCE),
    SEQUENCE_STEP,
  );

import type { Range } from './journal.ts';

/** Neighbours together, with the times of the first and the last of them. */
export function rangesOf(messages: readonly { seq: number; created_at: string }[]): Range[] {
  const ranges: Range[] = [];
  for (const { seq, created_at } of messages) {
    const last = ranges.at(-1);
    if (last && last[1] === seq - 1) {
      last[1] = seq;
      if (created_at < last[2]) last[2] = created_at;
      if (created_at > last[3]) last[3] = created_at;
    } else ranges.push([seq, seq, created_at, created_at]);
  }
  return ranges;
}

export const isIn =
  (ranges: readonly Range[]) =>
  ({ seq, created_at }: { seq: number; created_at: string }): boolean =>
    ranges.some(
      ([from, to, first, last]) => seq >= from && seq <= to && created_at >= first && created_at <= last,
    );

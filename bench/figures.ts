/**
 * figure   one measured value, with the peer's beside it where there is one
 * ratio    ours through the peer's
 * goal     what was asked for; a figure without one is there to be looked at
 */
export interface Figure {
  bench: string;
  what: string;
  value: number;
  unit: string;
  /** The same on the raw peer, in the same run. */
  peer?: number;
  ratio?: number;
  goal?: { least?: number; most?: number; of?: 'ratio' };
}

export interface Options {
  /** Length of one measurement. */
  seconds: number;
  /** Interleaved repetitions; their median counts. */
  rounds: number;
  /** Items of the large installation. */
  items: number;
  /** Messages that are searched. */
  messages: number;
  /** Where they are. */
  engine: 'sqlite' | 'postgres';
  /** Of the database that is backed up. */
  bytes: number;
  say(text: string): void;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[middle - 1] ?? NaN, sorted[middle] ?? NaN];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

/** Nearest rank; `share` of 0.95 is the p95. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** Null where there is no goal. */
export function isMet({ goal, value, ratio }: Figure): boolean | null {
  if (goal === undefined) return null;
  const judged = goal.of === 'ratio' ? (ratio ?? NaN) : value;
  return judged >= (goal.least ?? -Infinity) && judged <= (goal.most ?? Infinity);
}

export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.bench,
    figure.what,
    `${shortNumber(figure.value)} ${figure.unit}`,
    figure.peer === undefined ? '' : shortNumber(figure.peer),
    figure.ratio === undefined ? '' : figure.ratio.toFixed(3),
    goalText(figure),
    verdict(isMet(figure)),
  ]);
  const all = [['bench', 'what', 'ours', 'peer', 'ratio', 'goal', ''], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function goalText({ goal }: Figure): string {
  if (goal === undefined) return '';
  const name = goal.of === 'ratio' ? 'ratio ' : '';
  return goal.least === undefined ? `${name}<= ${goal.most}` : `${name}>= ${goal.least}`;
}

function verdict(met: boolean | null): string {
  if (met === null) return '';
  return met ? 'met' : 'NOT MET';
}

function shortNumber(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}

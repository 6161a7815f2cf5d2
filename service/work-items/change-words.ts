import type { HandoffDocument } from './documents.ts';

/** What a plan changes of an item, as one line of words; pages and the command line say the same. Pure. */

/** One line: `queued by Ada → claimed by bot`, `+1`, `2 changed`, or the two values. */
export function changeText(field: string, before: unknown, after: unknown): string {
  if (Array.isArray(before) && Array.isArray(after)) return listText(before, after);
  return `${valueWords(field, before)} → ${valueWords(field, after)}`;
}

/** Whether the words hold all of a value. */
export function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null;
}

/** Any fact as one line of text. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (typeof value === 'string') return value === '' ? '(empty)' : value;
  return JSON.stringify(value) ?? 'unknown';
}

function listText(before: unknown[], after: unknown[]): string {
  const grown = after.length - before.length;
  if (grown !== 0) return grown > 0 ? `+${grown}` : `−${-grown}`;
  const same = before.map((one) => JSON.stringify(one));
  return `${after.filter((one, index) => JSON.stringify(one) !== same[index]).length} changed`;
}

const WORDS: Record<string, (value: never) => string> = {
  handoff: ({ state, queuedBy, holder }: HandoffDocument) => {
    const by = holder ?? queuedBy;
    return by === null ? state : `${state} by ${by}`;
  },
  history: ({ count }: { count: number }) => `${count} ${count === 1 ? 'snapshot' : 'snapshots'}`,
  release: ({ by }: { by: string }) => `prepared by ${by}`,
};

function valueWords(field: string, value: unknown): string {
  if (isPlain(value)) return valueText(value);
  return WORDS[field]?.(value as never) ?? 'set';
}

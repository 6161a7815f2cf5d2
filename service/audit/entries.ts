/** Reading the log newest first, with filters, in steps that are small enough to keep answering others. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';
import type { LeafOutcome } from './leaf.ts';

/** Exact matches; `object` and `actor` are ids. */
export interface EntryFilters {
  actor?: string | undefined;
  action?: string | undefined;
  object?: string | undefined;
  outcome?: LeafOutcome | undefined;
  code?: string | undefined;
  project?: string | undefined;
}

export interface EntryQuery {
  /** Entries before this `seq`: `next` of the answer before. */
  after?: number | null | undefined;
  limit: number;
  filters?: EntryFilters | undefined;
}

export interface EntryPage {
  /** `leaf` is the canonical JSON as it was hashed. */
  entries: { seq: number; leaf: string }[];
  /** Where to go on; null at the oldest entry. A page can be short, or empty, and still have one. */
  next: number | null;
}

/** Entries looked at in one step: some 3 ms where nothing matches. */
const WINDOW = 2_000;
/** Steps of one call: a rare match is looked for in several calls, not in one that takes seconds. */
const MOST_WINDOWS = 50;

const PATTERNS = ['actor', 'action', 'object', 'outcome', 'code', 'project'] as const;

const newestSeq = statement()((db) =>
  db.selectFrom('audit_entries').select((row) => row.fn.max('seq').as('seq')),
);

const matching = statement<
  { from: number; before: number; limit: number } & Record<(typeof PATTERNS)[number], string>
>()((db) =>
  PATTERNS.reduce(
    (query, name) => query.where('leaf', 'like', param<string>(name)),
    db
      .selectFrom('audit_entries')
      .select(['seq', 'leaf'])
      .where('seq', '>=', param('from'))
      .where('seq', '<', param('before'))
      .orderBy('seq', 'desc')
      .limit(param<number>('limit')),
  ),
);

export async function readEntries(
  reader: Reader,
  { after, limit, filters = {} }: EntryQuery,
): Promise<EntryPage> {
  const entries: EntryPage['entries'] = [];
  const needles = needlesOf(filters);
  let before = after ?? ((await newest(reader)) ?? 0) + 1;
  for (let step = 0; step < MOST_WINDOWS && before > 1; step++) {
    const from = Math.max(before - WINDOW, 1);
    const wanted = limit - entries.length;
    const rows = await reader.all(matching, { ...patternsOf(needles), from, before, limit: wanted });
    const texts = Object.values(needles);
    entries.push(...rows.filter((row) => texts.every((text) => row.leaf.includes(text))));
    // A full step ends at its last row, which LIKE alone may have let through.
    before = rows.length === wanted ? rows.at(-1)!.seq : from;
    if (entries.length === limit) break;
    await nextTurn();
  }
  return { entries, next: before > 1 ? before : null };
}

async function newest(reader: Reader): Promise<number | null> {
  return (await reader.get(newestSeq, {}))?.seq ?? null;
}

/**
 * What a leaf that matches contains. Exact, because the form is canonical: keys are sorted, there is no white space,
 * and a quotation mark inside a value is escaped.
 */
function needlesOf({
  actor,
  object,
  ...flat
}: EntryFilters): Partial<Record<(typeof PATTERNS)[number], string>> {
  const needles: Partial<Record<(typeof PATTERNS)[number], string>> = {};
  if (actor !== undefined) needles.actor = `"actor":{"id":${JSON.stringify(actor)},`;
  if (object !== undefined) needles.object = `"object":{"id":${JSON.stringify(object)},`;
  for (const [name, value] of Object.entries(flat) as [keyof typeof flat, string | undefined][]) {
    if (value !== undefined) needles[name] = `"${name}":${JSON.stringify(value)}`;
  }
  return needles;
}

/** LIKE patterns that let through at least the matches: `_` where the engines differ in what a character means. */
function patternsOf(needles: ReturnType<typeof needlesOf>): Record<(typeof PATTERNS)[number], string> {
  const pattern = (text: string | undefined): string =>
    text === undefined ? '%' : `%${text.replace(/[\\%]/g, '_')}%`;
  return Object.fromEntries(PATTERNS.map((name) => [name, pattern(needles[name])])) as ReturnType<
    typeof patternsOf
  >;
}

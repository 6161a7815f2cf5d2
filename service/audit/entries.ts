/** Reading the log newest first, with filters, in steps that are small enough to keep answering others. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';
import type { LeafOutcome } from './leaf.ts';

/** Exact matches; `object` and `actor` are ids. */
export interface EntryFilters {
  actor?: string | undefined;
  /** Entries of any of them. */
  actors?: readonly string[] | undefined;
  action?: string | undefined;
  object?: string | undefined;
  outcome?: LeafOutcome | undefined;
  code?: string | undefined;
  project?: string | undefined;
  /** Written from then on, and until then: times of leaves, which a clock that was set back does not order. */
  from?: string | undefined;
  to?: string | undefined;
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

/** Who acted, as a canonical leaf has it. */
const ACTOR = /"actor":\{"id":("(?:[^"\\]|\\.)*"),/;

/** When, likewise: after the actor, whose id can hold no bare quotation mark. */
const AT = /"at":"([0-9T:.-]+Z)",/;

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
  const { actors, from: since, to: until, ...flat } = filters;
  const needles = needlesOf(actors?.length === 1 ? { ...flat, actor: actors[0] } : flat);
  // Many patterns for each entry cost the database more than reading all of a step's entries does.
  const also = [
    ...(actors && actors.length !== 1 ? [oneOf(actors)] : []),
    ...((since ?? until) ? [between(since, until)] : []),
  ];
  let before = after ?? ((await newest(reader)) ?? 0) + 1;
  for (let step = 0; step < MOST_WINDOWS && before > 1; step++) {
    const from = Math.max(before - WINDOW, 1);
    const wanted = limit - entries.length;
    const most = also.length > 0 ? WINDOW : wanted;
    const rows = await reader.all(matching, { ...patternsOf(needles), from, before, limit: most });
    const texts = Object.values(needles);
    const found = rows.filter(
      ({ leaf }) => texts.every((text) => leaf.includes(text)) && also.every((fits) => fits(leaf)),
    );
    entries.push(...found.slice(0, wanted));
    if (found.length >= wanted) return { entries, next: goOn(entries.at(-1)!.seq) };
    // A full step ends at its last row, which LIKE alone may have let through.
    before = rows.length === most ? rows.at(-1)!.seq : from;
    await nextTurn();
  }
  return { entries, next: goOn(before) };
}

const goOn = (before: number): number | null => (before > 1 ? before : null);

function oneOf(actors: readonly string[]): (leaf: string) => boolean {
  const quoted = new Set(actors.map((id) => JSON.stringify(id)));
  return (leaf) => quoted.has(ACTOR.exec(leaf)?.[1] ?? '');
}

function between(since = '', until = '\uffff'): (leaf: string) => boolean {
  return (leaf) => {
    const at = AT.exec(leaf)?.[1];
    return at !== undefined && at >= since && at <= until;
  };
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
}: Omit<EntryFilters, 'actors' | 'from' | 'to'>): Partial<Record<(typeof PATTERNS)[number], string>> {
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

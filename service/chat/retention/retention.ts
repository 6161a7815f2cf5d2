import { hash } from 'node:crypto';
import { canonicalJson } from '../../canonical-json.ts';
import type { Range } from '../erasure/journal.ts';
import { rangesOf } from '../erasure/ranges.ts';
import type { Bounds, ClassPolicy, GeneralPolicy, Keeping, Kind } from '../policy.ts';

/**
 * What policies make expire. Content first goes to the bin, where nobody sees it; after its days there a plan can purge it.
 * A plan is made of facts, policies and the day, and does nothing by itself: it is applied by its digest or not at all.
 */

const DAY_MS = 86_400_000;

/** Something that can expire. `held`: a hold keeps it. */
export interface Fact {
  createdAt: string;
  bytes: number;
  binnedAt: string | null;
  held: boolean;
  /** Ids of the holds that keep it. */
  holds?: readonly string[];
}

export interface MessageFact extends Fact {
  seq: number;
}

export interface FileFact extends Fact {
  id: string;
  /** Null: no message names it yet. */
  message: number | null;
}

export interface SessionFacts extends Fact {
  id: string;
  class: string;
  messages: readonly MessageFact[];
  /** Messages with outputs of tools; `bytes` are those of the outputs, `binnedAt` is of the outputs. */
  outputs: readonly MessageFact[];
  files: readonly FileFact[];
}

export type Act = 'bin' | 'purge';
/** What one step of a plan is about; `session`: all of it at once. */
export type StepKind = 'session' | 'message' | 'toolOutput' | 'attachment';

export interface Step {
  act: Act;
  kind: StepKind;
  session: string;
  class: string;
  /** Messages by their places. Of a session: every message of it. */
  ranges: Range[];
  /** Ids of attachments. */
  files: string[];
  items: number;
  bytes: number;
}

export type Counts = Record<StepKind, number>;
export const NO_COUNTS: Counts = { session: 0, message: 0, toolOutput: 0, attachment: 0 };

/** How long a kind is kept: what its class says, within the limits for all. */
export function keepingOf(kind: Kind, policy: ClassPolicy, general: GeneralPolicy): Keeping {
  const { days, binDays } = policy.retention[kind];
  return { days: within(days, general.retention[kind]), binDays };
}

function within(days: number | null, { floorDays, ceilingDays }: Bounds): number | null {
  if (days === null) return ceilingDays;
  return Math.min(Math.max(days, floorDays ?? 0), ceilingDays ?? Infinity);
}

/** Days are whole ones, UTC: a set does not grow while somebody looks at it, but over night. */
export function before(now: number, days: number): string {
  return new Date(Math.floor(now / DAY_MS) * DAY_MS - days * DAY_MS).toISOString();
}

/** What is to happen to a thing now; null: nothing. */
export function actOn(fact: Fact, { days, binDays }: Keeping, now: number): Act | null {
  if (days === null || fact.createdAt >= before(now, days)) return null;
  if (fact.binnedAt !== null) return fact.binnedAt < before(now, binDays) ? 'purge' : null;
  return binDays === 0 ? 'purge' : 'bin';
}

/** From when on a plan can purge what was put into the bin at a time, if it still expires then: days are whole ones. */
export function purgeableFrom(binnedAt: string, binDays: number): string {
  return before(Date.parse(binnedAt), -(binDays + 1));
}

export interface SessionPlan {
  steps: Step[];
  /** Things that would go and are held. */
  held: number;
  /** For each of them, the ids of the holds that keep it. */
  heldBy: string[];
}

/** The steps for one session. What is held stays as it is, and what goes with it as well. */
export function planSession(
  session: SessionFacts,
  policy: ClassPolicy,
  general: GeneralPolicy,
  now: number,
): SessionPlan {
  const keeping = (kind: Kind) => keepingOf(kind, policy, general);
  const whole = wholeSession(session, keeping('message'), now);
  if (whole) return { steps: [whole], held: 0, heldBy: [] };
  if (session.binnedAt !== null) return { steps: [], held: 0, heldBy: [] };
  const messages = sorted(session.messages, keeping('message'), now);
  const going = new Set([...messages.bin, ...messages.purge].map(({ seq }) => seq));
  const outputs = sorted(
    session.outputs.filter(({ seq }) => !going.has(seq)),
    keeping('toolOutput'),
    now,
  );
  const files = sorted(
    session.files.filter(({ message }) => message === null || !going.has(message)),
    keeping('attachment'),
    now,
  );
  return {
    steps: ACTS.flatMap((act) => [
      ...stepOf(session, act, 'message', messages[act], []),
      ...stepOf(session, act, 'toolOutput', outputs[act], []),
      ...stepOf(session, act, 'attachment', [], files[act]),
    ]),
    held: messages.held.length + outputs.held.length + files.held.length,
    heldBy: [...messages.held, ...outputs.held, ...files.held].flatMap(({ holds }) => holds ?? []),
  };
}

const ACTS = ['bin', 'purge'] as const;

/** A session of which nothing stays goes as one, with its title. */
function wholeSession(session: SessionFacts, keeping: Keeping, now: number): Step | null {
  const all = [session, ...session.messages, ...session.files];
  if (all.some(({ held }) => held)) return null;
  const act = actOn(session, keeping, now);
  // Its messages may have been in the bin for long: what counts is since when the session is.
  const expired = all.every((one) => actOn({ ...one, binnedAt: null }, keeping, now) !== null);
  if (act === null || !expired) return null;
  const { id, class: kind, messages, files } = session;
  const bytes = [...messages, ...files].reduce((sum, one) => sum + one.bytes, 0);
  const items = messages.length;
  return {
    act,
    kind: 'session',
    session: id,
    class: kind,
    ranges: placesOf(messages),
    files: [],
    items,
    bytes,
  };
}

function sorted<F extends Fact>(facts: readonly F[], keeping: Keeping, now: number) {
  const all = facts.map((fact) => ({ fact, act: actOn(fact, keeping, now) }));
  const of = (wanted: Act): F[] =>
    all.filter(({ fact, act }) => act === wanted && !fact.held).map(({ fact }) => fact);
  const held = all.filter(({ fact, act }) => act !== null && fact.held).map(({ fact }) => fact);
  return { bin: of('bin'), purge: of('purge'), held };
}

function stepOf(
  { id, class: kind }: SessionFacts,
  act: Act,
  what: StepKind,
  messages: readonly MessageFact[],
  files: readonly FileFact[],
): Step[] {
  const all = [...messages, ...files];
  if (all.length === 0) return [];
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0);
  const ids = files.map((file) => file.id);
  return [
    {
      act,
      kind: what,
      session: id,
      class: kind,
      ranges: placesOf(messages),
      files: ids,
      items: all.length,
      bytes,
    },
  ];
}

const placesOf = (messages: readonly MessageFact[]): Range[] =>
  rangesOf(messages.map(({ seq, createdAt }) => ({ seq, created_at: createdAt })));

/** What applying a plan needs: the same steps have the same digest, whenever they are planned. */
export function digestOf(steps: readonly Step[]): string {
  return hash('sha256', `build-factory/retention-plan/1\n${canonicalJson(steps)}`);
}

/** How many things, by kind: messages of whole sessions count as messages, too. */
export function countsOf(steps: readonly Pick<Step, 'kind' | 'items'>[]): Counts {
  const counts = { ...NO_COUNTS };
  for (const { kind, items } of steps) {
    if (kind === 'session') {
      counts.session += 1;
      counts.message += items;
    } else counts[kind] += items;
  }
  return counts;
}

export interface Sample {
  act: Act;
  kind: StepKind;
  class: string;
  sessionId: string;
  /** Id of the message or of the attachment; null: the whole session. */
  id: string | null;
}

/** The first few things of a plan. */
export function sampleOf(steps: readonly Step[], most: number): Sample[] {
  const sample: Sample[] = [];
  for (const { act, kind, class: of, session, ranges, files } of steps) {
    const ids =
      kind === 'session' ? [null] : [...files, ...seqsOf(ranges, most).map((seq) => `${session}.${seq}`)];
    for (const id of ids) {
      if (sample.length === most) return sample;
      sample.push({ act, kind, class: of, sessionId: session, id });
    }
  }
  return sample;
}

function seqsOf(ranges: readonly Range[], most: number): number[] {
  const seqs: number[] = [];
  for (const [from, to] of ranges)
    for (let seq = from; seq <= to && seqs.length < most; seq += 1) seqs.push(seq);
  return seqs;
}

/** The second half of verification: rows of `events` and `decisions` against the commitments in the leaves. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';
import { CommitmentTable } from './commitment-table.ts';
import { decisionCommitment, decodeLeaf, eventCommitment } from './leaf.ts';
import type { AuditLeaf, DecisionRow, EventRow } from './leaf.ts';
import type { Problems } from './problems.ts';
import { SeqSet } from './seq-set.ts';
import { storedObject } from './stored-json.ts';
import type { NewKey } from './restored.ts';
import { leavesFrom } from './store.ts';

const PAGE = 256;

const eventsBetween = statement<{ from: number; to: number }>()((db) =>
  db
    .selectFrom('events')
    .selectAll()
    .where('seq', '>=', param('from'))
    .where('seq', '<=', param('to'))
    .orderBy('seq'),
);

const eventSeqFrom = statement<{ from: number }>()((db) =>
  db.selectFrom('events').select('seq').where('seq', '>=', param('from')).orderBy('seq').limit(1),
);

const decisionsAfter = statement<{ after: string }>()((db) =>
  db.selectFrom('decisions').selectAll().where('id', '>', param('after')).orderBy('id').limit(PAGE),
);

interface EventRef {
  leafSeq: number;
  seq: number;
  commitment: string;
}

/** Every event has exactly one leaf, whose commitment is that of its row; and no leaf speaks of another event. */
export class EventCheck {
  readonly #reader: Reader;
  readonly #key: Buffer | null;
  readonly #problems: Problems;
  readonly #newKey: NewKey | null;
  readonly #seen = new SeqSet();

  /** Entries before `newKey` committed with a key that is lost. */
  constructor(reader: Reader, key: Buffer | null, problems: Problems, newKey: NewKey | null = null) {
    this.#reader = reader;
    this.#key = key;
    this.#problems = problems;
    this.#newKey = newKey;
  }

  /** The leaves of one page. Their events lie close together, so they are read as ranges. */
  async page(leaves: { seq: number; leaf: AuditLeaf }[]): Promise<void> {
    const refs = leaves
      .flatMap(({ seq, leaf }) => (leaf.event ? [{ ...leaf.event, leafSeq: seq }] : []))
      .sort((a, b) => a.seq - b.seq);
    const rows = new Map<number, EventRow>();
    for (const { from, to } of runs(refs.map((ref) => ref.seq))) {
      for (const row of await this.#reader.all(eventsBetween, { from, to })) rows.set(row.seq, row);
    }
    for (const ref of refs) this.#compare(ref, rows.get(ref.seq));
  }

  /** After the last leaf: events that no leaf speaks of, and numbers that no event has. */
  async finish(): Promise<void> {
    for (let at = Number.MIN_SAFE_INTEGER; Number.isSafeInteger(at);) {
      const row = await this.#reader.get(eventSeqFrom, { from: at });
      if (row === undefined || this.#problems.isFull('event-without-leaf')) return;
      if (!this.#seen.has(row.seq)) this.#withoutLeaf(row.seq);
      at = this.#seen.nextAbsent(row.seq + 1);
    }
  }

  #compare({ leafSeq, seq, commitment }: EventRef, row: EventRow | undefined): void {
    if (row === undefined) {
      this.#problems.add({
        code: 'event-missing',
        message: `Event ${seq}, which entry ${leafSeq} records, is gone.`,
        seq: leafSeq,
        hint: 'The row was removed from events. A backup from before has it.',
      });
      return;
    }
    if (this.#seen.has(seq)) {
      this.#problems.add({
        code: 'event-recorded-twice',
        message: `Entry ${leafSeq} records event ${seq}, which an earlier entry records already.`,
        seq: leafSeq,
        hint: 'One of both was not written by the log.',
      });
    }
    this.#seen.add(seq);
    const known = this.#key !== null && leafSeq >= (this.#newKey?.entry ?? 0);
    if (known && this.#key !== null && eventCommitment(this.#key, row) !== commitment) {
      this.#problems.add({
        code: 'event-altered',
        message: `Event ${seq} is not what entry ${leafSeq} committed to.`,
        seq: leafSeq,
        hint: 'Its row in events was changed. A backup from before has the original.',
      });
    }
  }

  #withoutLeaf(seq: number): void {
    this.#problems.add({
      code: 'event-without-leaf',
      message: `Event ${seq} has no entry in the log.`,
      hint: 'Its row was not written by the service, or its entry was removed.',
    });
  }
}

/** Every decision that was acted on has exactly one leaf, and row, stored commitment and leaf agree. */
export class DecisionCheck {
  readonly #reader: Reader;
  readonly #key: Buffer | null;
  readonly #problems: Problems;
  readonly #newKey: NewKey | null;
  readonly #recorded = new CommitmentTable();
  /** Recorded with the key that is lost. */
  readonly #old = new Set<string>();

  constructor(reader: Reader, key: Buffer | null, problems: Problems, newKey: NewKey | null = null) {
    this.#reader = reader;
    this.#key = key;
    this.#problems = problems;
    this.#newKey = newKey;
  }

  async leaf(seq: number, leaf: AuditLeaf): Promise<void> {
    if (!leaf.decision) return;
    const { id, commitment } = leaf.decision;
    if (seq < (this.#newKey?.entry ?? 0)) this.#old.add(id);
    const earlier = this.#recorded.add(commitment, seq);
    if (earlier === null || !(await this.#isOf(earlier, commitment))) return;
    this.#problems.add({
      code: 'decision-recorded-twice',
      message: `Entry ${seq} records decision ${id}, which entry ${earlier} records already.`,
      seq,
      hint: 'One of both was not written by the log.',
    });
  }

  /** The table knows commitments by their beginning; the entry itself tells. */
  async #isOf(seq: number, commitment: string): Promise<boolean> {
    const [entry] = await this.#reader.all(leavesFrom, { from: seq, limit: 1 });
    return entry !== undefined && decodeLeaf(entry.leaf).decision?.commitment === commitment;
  }

  /** After the last leaf: reads all decisions. */
  async finish(): Promise<void> {
    for (let after = ''; ;) {
      const rows = await this.#reader.all(decisionsAfter, { after });
      for (const row of rows) this.#compare(row);
      await this.#plansOf(rows);
      if (rows.length < PAGE) break;
      after = rows.at(-1)!.id;
      await nextTurn();
    }
    for (const seq of this.#recorded.unmatched()) {
      this.#problems.add({
        code: 'decision-missing',
        message: `The decision that entry ${seq} records is not in decisions as it was.`,
        seq,
        hint: 'Its row was removed or changed. A backup from before has it.',
      });
    }
  }

  /** A plan has no entry of its own; what was decided by one vouches that it is there, and its commitment for the rest. */
  async #plansOf(rows: DecisionRow[]): Promise<void> {
    const named = rows.flatMap(({ id, item_id, body }) => {
      const plan = planIn(body);
      return plan === null ? [] : [{ id, item_id, plan }];
    });
    if (named.length === 0) return;
    const ids = [...new Set(named.map(({ plan }) => plan))];
    const stored = await this.#reader.query((db) =>
      db.selectFrom('decisions').select(['id', 'item_id']).where('id', 'in', ids),
    );
    const itemOf = new Map(stored.map((row) => [row.id, row.item_id]));
    for (const { id, item_id, plan } of named) {
      if (itemOf.get(plan) === item_id) continue;
      this.#problems.add({
        code: 'plan-missing',
        message: `The plan ${plan} that decision ${id} of ${item_id} went by is not in decisions.`,
        hint: 'Its row was removed or changed. A backup from before has it.',
      });
    }
  }

  #compare(row: DecisionRow & { commitment: string }): void {
    const planBefore = row.outcome === 'planned' && row.at < (this.#newKey?.at ?? '');
    const known = !planBefore && !this.#old.has(row.id);
    if (known && this.#key !== null && decisionCommitment(this.#key, row) !== row.commitment) {
      this.#problems.add({
        code: 'decision-altered',
        message: `Decision ${row.id} of ${row.item_id} is not what its commitment was made for.`,
        hint: 'Its row in decisions was changed. A backup from before has the original.',
      });
    }
    const recorded = this.#recorded.match(row.commitment);
    // A plan writes nothing but its decision (`?dryRun=true`).
    if (recorded || row.outcome === 'planned') return;
    this.#problems.add({
      code: 'decision-without-leaf',
      message: `Decision ${row.id} of ${row.item_id} (${row.outcome}) has no entry in the log.`,
      hint: 'Its row was not written by the service, or was changed, or its entry was removed.',
    });
  }
}

/** Ids of decisions; what else a body may hold after an edit is no question to the database. */
const DECISION_ID = /^[\w-]{1,100}$/;

/** The plan that a decision's body names. Most name none, so the text is looked at before it is parsed. */
function planIn(body: string): string | null {
  const plan = body.includes('"plan":"') ? storedObject(body)?.['plan'] : null;
  return typeof plan === 'string' && DECISION_ID.test(plan) ? plan : null;
}

/** Sorted numbers as ranges without large holes. */
export function runs(sorted: number[]): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  for (const seq of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && seq - last.to <= PAGE) last.to = seq;
    else ranges.push({ from: seq, to: seq });
  }
  return ranges;
}

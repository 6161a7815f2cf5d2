import { recordChange, type ChangeActor } from '../audit/events.ts';
import { FactoryError } from '../errors.ts';
import type { Transaction } from '../storage/transaction.ts';
import type { ChatDependencies } from './dependencies.ts';
import { isHeld, mayCover, type Hold } from './holds.ts';
import type { Journal, JournalEntry, Range } from './journal.ts';
import { attachments, holds, journaled, removal } from './store-deletion.ts';
import { subjects, type SessionRow } from './store.ts';
import type { Cause } from './types.ts';

/**
 * The one place where content goes, whoever wants it gone: people, retention, erasure, a replay of the journal. Holds are
 * asked in the deleting transaction; the journal is written before its commit; keys, files and the search index follow it.
 */

export interface How {
  cause: Cause;
  actor: ChangeActor;
  at: string;
  /** What is held: an error for all of it, or left where it is. */
  held: 'refuse' | 'leave';
  /** False: the journal has it already. */
  journal: boolean;
}

export interface Removed {
  messages: number;
  bytes: number;
  /** Messages that a hold keeps. */
  held: number;
  /** Whether the session itself is gone. */
  session: boolean;
}

/** What followed a commit: told to whoever keeps something derived from content. `seqs` null: the whole session. */
export interface Gone {
  session: { id: string; number: number };
  ranges: readonly Range[] | null;
  blobs: readonly string[];
}

export interface Deletion {
  /** Errors: `on-hold`. */
  session(tx: Transaction, row: SessionRow, how: How): Promise<Removed>;
  /** Of the messages at these places, those that are there. Errors: `on-hold`. */
  messages(
    tx: Transaction,
    row: SessionRow,
    wanted: (message: LiveMessage) => boolean,
    how: How,
  ): Promise<Removed>;
  /** Writes an entry of the journal and this database's copy of it, in the caller's transaction. */
  journal(tx: Transaction, at: string, entry: JournalEntry): Promise<void>;
}

export interface LiveMessage {
  seq: number;
  subject: number | null;
  created_at: string;
  bytes: number;
}

export function createDeletion(
  deps: ChatDependencies & { journal: Journal; gone(what: Gone): void },
): Deletion {
  const { audit, journal, projectId, directory, keys, changed } = deps;

  async function holdsOn(tx: Transaction, row: SessionRow): Promise<Hold[]> {
    const all = await tx.all(holds.inForce, { project_id: projectId });
    return all.filter((hold) => mayCover(hold, row));
  }

  /** Throws `on-hold` where something is held and the caller wants all of it. */
  function sort(row: SessionRow, live: readonly LiveMessage[], inForce: readonly Hold[], { held }: How) {
    const isKept = ({ subject, created_at }: Pick<LiveMessage, 'subject' | 'created_at'>): boolean =>
      isHeld(inForce, { subject, session: row.number, class: row.class, createdAt: created_at });
    const going = live.filter((message) => !isKept(message));
    const kept = live.length - going.length;
    const sessionHeld = isKept(row);
    if (held === 'refuse' && (kept > 0 || sessionHeld)) throw onHold(row.id);
    return { going, kept, sessionHeld };
  }

  let finished = 0;

  /** After what else follows a commit, and once for all that a commit held. */
  function finishSoon(seq: number): void {
    finished = seq;
    setImmediate(() => {
      if (finished === seq) keys.finish(seq);
    });
  }

  async function write(tx: Transaction, at: string, entry: JournalEntry): Promise<void> {
    const known = Number((await tx.get(journaled.head, {}))?.seq ?? 0);
    if (known !== journal.head()) throw replayNeeded();
    const { seq } = journal.append(at, entry);
    await tx.run(journaled.insert, { seq, at, entry: JSON.stringify(entry) });
    tx.afterCommit(() => finishSoon(seq));
  }

  async function blobsOf(
    tx: Transaction,
    row: SessionRow,
    of: ReadonlySet<number> | null,
  ): Promise<string[]> {
    const files = await tx.all(attachments.ofSession, { session: row.number });
    const going = files.filter(({ message }) => of === null || (message !== null && of.has(message)));
    for (const { number } of going) await tx.run(attachments.remove, { number });
    const unused: string[] = [];
    for (const blob of new Set(going.map((file) => file.blob)))
      if (!(await tx.get(attachments.usersOf, { blob }))) unused.push(blob);
    return unused;
  }

  async function record(
    tx: Transaction,
    row: SessionRow,
    type: string,
    removed: Removed,
    how: How,
  ): Promise<void> {
    const { cause, actor, at } = how;
    await recordChange(tx, audit, {
      ...{ projectId, stream: 'session', streamId: row.id, version: row.version + 1, type },
      payload: { cause, messages: removed.messages, bytes: removed.bytes, held: removed.held },
      ...{ actor, at, action: removed.session ? 'session.delete' : 'session.delete-messages' },
    });
  }

  async function removeMessages(
    tx: Transaction,
    row: SessionRow,
    going: readonly LiveMessage[],
    held: number,
    how: How,
  ): Promise<Removed> {
    const removed: Removed = { messages: going.length, bytes: sum(going), held, session: false };
    if (going.length === 0) return removed;
    const { cause: deleted_by, at: deleted_at } = how;
    const ranges = rangesOf(going);
    if (how.journal)
      await write(tx, how.at, { kind: 'delete-messages', session: row.id, ranges, cause: how.cause });
    for (const [from, to] of ranges)
      await tx.run(removal.tombstone, { session: row.number, from, to, deleted_at, deleted_by });
    const { messages, bytes } = removed;
    await tx.run(removal.shrink, { number: row.number, messages, bytes, updated_at: how.at });
    const blobs = await blobsOf(tx, row, new Set(going.map(({ seq }) => seq)));
    await record(tx, row, 'messages-deleted', removed, how);
    tell(tx, { session: row, ranges, blobs });
    return removed;
  }

  function tell(tx: Transaction, what: Gone): void {
    tx.afterCommit(() => {
      if (what.ranges === null) keys.forgetSession(what.session.id);
      deps.gone(what);
      changed(what.session.id);
    });
  }

  return {
    journal: write,

    async messages(tx, row, wanted, how) {
      const live = (await tx.all(removal.live, { session: row.number })).filter(wanted);
      const { going, kept } = sort(row, live, await holdsOn(tx, row), { ...how, held: 'leave' });
      if (how.held === 'refuse' && kept > 0) throw onHold(row.id);
      return removeMessages(tx, row, going, kept, how);
    },

    async session(tx, row, how) {
      const live = await tx.all(removal.live, { session: row.number });
      const { going, kept, sessionHeld } = sort(row, live, await holdsOn(tx, row), how);
      if (kept > 0 || sessionHeld) return removeMessages(tx, row, going, kept, how);
      const { id: subject } = await directory.subjectAt(tx, row.subject);
      const { lookup } = (await tx.get(subjects.byNumber, { number: row.subject }))!;
      const { cause, at } = how;
      if (how.journal)
        await write(tx, at, { kind: 'delete-session', session: row.id, subject, lookup, cause });
      const blobs = await blobsOf(tx, row, null);
      const of = { session: row.number };
      for (const statement of [removal.messages, removal.attachments, removal.quarantine, removal.grants])
        await tx.run(statement, of);
      await tx.run(removal.closeSession, { number: row.number, deleted_at: at, deleted_by: cause });
      const removed: Removed = { messages: live.length, bytes: sum(live), held: 0, session: true };
      await record(tx, row, 'session-deleted', removed, how);
      tell(tx, { session: row, ranges: null, blobs });
      return removed;
    },
  };
}

const sum = (messages: readonly LiveMessage[]): number => messages.reduce((all, { bytes }) => all + bytes, 0);

/** Neighbours together, with the times of the first and the last of them. */
export function rangesOf(messages: readonly LiveMessage[]): Range[] {
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

export function onHold(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'on-hold', op: 'delete content', target },
    message: `A hold keeps content of session ${target}; nothing was deleted.`,
    hint: 'It can be deleted when the hold is released: GET /api/governance/holds lists holds.',
  });
}

function replayNeeded(): FactoryError {
  return new FactoryError({
    ...{ code: 'journal-ahead', op: 'delete content', retryable: true },
    message:
      'The erasure journal has entries that this database has not carried out yet; nothing was deleted.',
    hint: 'They are carried out when the service starts: start it again.',
  });
}

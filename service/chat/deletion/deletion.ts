import type { Reader, Transaction } from '../../storage/transaction.ts';
import { deletionParts, type DeletionParts } from './deletion-parts.ts';
import { deletionSteps, onHold, sum } from './deletion-steps.ts';
import type { DeletionDependencies, HeldContent, How, LiveMessage, Removed } from './deletion-steps.ts';
import type { JournalEntry } from '../erasure/journal.ts';
import { rangesOf } from '../erasure/ranges.ts';
import { attachments, quarantine, removal, SESSION_CONTENT } from './store-deletion.ts';
import { subjects, type SessionRow } from '../store.ts';

export type { Gone, How, LiveFile, LiveMessage, Removed } from './deletion-steps.ts';

/**
 * The one place where content goes, whoever wants it gone: people, retention, erasure, a replay of the journal. Holds are
 * asked in the deleting transaction; the journal is written before its commit; keys, files and the search index follow it.
 */

export interface Deletion extends DeletionParts {
  /** Errors: `on-hold`. */
  session(tx: Transaction, row: SessionRow, how: How): Promise<Removed>;
  /** Of the messages at these places, those that are there. `between`: no need to look at others. Errors: `on-hold`. */
  messages(
    tx: Transaction,
    row: SessionRow,
    wanted: (message: LiveMessage) => boolean,
    how: How,
    between?: { from: number; to: number },
  ): Promise<Removed>;
  /** What is held of a session now. */
  isKept(reader: Reader, row: SessionRow): Promise<(content: HeldContent) => boolean>;
  /** The same, with the holds that keep it, by their ids. */
  keptBy(reader: Reader, row: SessionRow): Promise<(content: HeldContent) => string[]>;
  /** Writes an entry of the journal and this database's copy of it, in the caller's transaction. */
  journal(tx: Transaction, at: string, entry: JournalEntry): Promise<void>;
}

export function createDeletion(deps: DeletionDependencies): Deletion {
  const { directory } = deps;
  const steps = deletionSteps(deps);
  const { isKept, keptBy, keptFrom, sort, write, removeFiles, record, tell } = steps;

  async function filesOf(tx: Transaction, row: SessionRow, of: ReadonlySet<number> | null) {
    const files = await tx.all(attachments.ofSession, { session: row.number });
    return files.filter(({ message }) => of === null || (message !== null && of.has(message)));
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
    for (const [from, to] of ranges)
      await tx.run(quarantine.removeBetween, { session: row.number, from, to });
    // What lay in the bin was not counted any more.
    const counted = going.filter(({ binned_at }) => binned_at === null);
    const less = { messages: counted.length, bytes: sum(counted) };
    await tx.run(removal.shrink, { number: row.number, ...less, updated_at: how.at });
    const files = await filesOf(tx, row, new Set(going.map(({ seq }) => seq)));
    const blobs = await removeFiles(tx, files);
    await record(tx, row, 'messages-deleted', removed, how);
    tell(tx, { session: row, ranges, blobs });
    return removed;
  }

  /** The session with everything in it; nothing of it is held. */
  async function close(tx: Transaction, row: SessionRow, live: readonly LiveMessage[], how: How) {
    const { id: subject } = await directory.subjectAt(tx, row.subject);
    const { lookup } = (await tx.get(subjects.byNumber, { number: row.subject }))!;
    const { cause, at } = how;
    if (how.journal) await write(tx, at, { kind: 'delete-session', session: row.id, subject, lookup, cause });
    const blobs = await removeFiles(tx, await filesOf(tx, row, null));
    for (const { remove } of Object.values(SESSION_CONTENT)) await tx.run(remove, { session: row.number });
    await tx.run(removal.grants, { session: row.number });
    await tx.run(removal.closeSession, { number: row.number, deleted_at: at, deleted_by: cause });
    const removed: Removed = { messages: live.length, bytes: sum(live), held: 0, session: true };
    await record(tx, row, 'session-deleted', removed, how);
    tell(tx, { session: row, ranges: null, blobs });
    return removed;
  }

  return {
    journal: write,
    isKept,
    keptBy,

    async messages(tx, row, wanted, how, between) {
      const all = between
        ? await tx.all(removal.liveBetween, { session: row.number, ...between })
        : await tx.all(removal.live, { session: row.number });
      const { going, held } = await sort(tx, row, all.filter(wanted), how);
      if (how.held === 'refuse' && held > 0) throw onHold(row.id);
      return removeMessages(tx, row, going, held, how);
    },

    async session(tx, row, how) {
      const kept = await keptFrom(tx, row, how);
      let held = 0;
      for (const { live } of Object.values(SESSION_CONTENT))
        held += (await tx.all<{ session: number }, HeldContent>(live, { session: row.number })).filter(
          kept,
        ).length;
      const all = await tx.all(removal.live, { session: row.number });
      if (held === 0 && !kept(row)) return close(tx, row, all, how);
      if (how.held === 'refuse') throw onHold(row.id);
      const { going } = await sort(tx, row, all, how);
      return removeMessages(tx, row, going, held, how);
    },

    ...deletionParts(steps),
  };
}

import { SYSTEM } from '../../audit/events.ts';
import type { Transaction } from '../../storage/transaction.ts';
import type { Deletion, How } from '../deletion/deletion.ts';
import type { ChatDependencies } from '../dependencies.ts';
import type { Journal, Journaled, JournalEntry } from './journal.ts';
import { isIn } from './ranges.ts';
import { journaled, quarantine } from '../deletion/store-deletion.ts';
import { sessions, subjects, type SessionRow, type SubjectRow } from '../store.ts';

/**
 * Brings a database up to the erasure journal: before anything is served, and so after each restore. What was deleted goes
 * again, what was held is held again, and keys that a crash left behind are taken away.
 */

export interface Replayed {
  /** Entries that this database had not carried out. */
  entries: number;
}

export function createReplay(
  deps: ChatDependencies & { journal: Journal },
  deletion: Pick<Deletion, 'session' | 'messages'>,
  carryOutMore: (tx: Transaction, entry: JournalEntry, at: string) => Promise<void>,
) {
  const { storage, journal, projectId, keys } = deps;

  const howOf = (cause: How['cause'], at: string): How => ({
    ...{ cause, at, actor: SYSTEM, held: 'leave', journal: false },
  });

  async function sessionOf(tx: Transaction, id: string): Promise<SessionRow | undefined> {
    return tx.get(sessions.byId, { project_id: projectId, id });
  }

  async function carryOut(tx: Transaction, { at, entry }: Journaled): Promise<void> {
    switch (entry.kind) {
      case 'delete-session': {
        const row = await sessionOf(tx, entry.session);
        if (!row) return leaveTombstone(tx, entry, at);
        if (row.deleted_at !== null) return;
        const { session } = await deletion.session(tx, row, howOf(entry.cause, at));
        // Of another timeline, where a hold covers what this deletion has made unreadable long ago.
        const unreadable = !session && keys.idsOf({ session: entry.session }).length === 0;
        if (unreadable) await deletion.session(tx, row, { ...howOf(entry.cause, at), held: 'ignore' });
        return;
      }
      case 'delete-messages': {
        const row = await sessionOf(tx, entry.session);
        if (row?.deleted_at === null)
          await deletion.messages(tx, row, isIn(entry.ranges), howOf(entry.cause, at));
        return;
      }
      case 'strip-tool-output':
      case 'delete-attachments':
      case 'delete-quarantined':
      case 'erasure-requested':
      case 'erase-subject':
      case 'hold':
      case 'release-hold':
        return carryOutMore(tx, entry, at);
    }
  }

  /** A session that this database never saw: a late write or an import must not make it anew. */
  async function leaveTombstone(
    tx: Transaction,
    { session: id, subject: subjectId, lookup, cause }: Extract<JournalEntry, { kind: 'delete-session' }>,
    at: string,
  ): Promise<void> {
    const { number: subject } = await ensureSubject(tx, projectId, { id: subjectId, lookup }, at);
    const author = await deps.directory.author(tx, { kind: 'person', id: 'system', personId: 'system' });
    const gone = { deleted_at: at, deleted_by: cause };
    await tx.run(sessions.insertGone, { project_id: projectId, id, subject, author, ...gone });
  }

  return {
    /** Errors: `journal-behind` where the database knows of entries that the journal lacks. */
    async run(): Promise<Replayed> {
      await takeOver();
      const known = Number((await storage.read.get(journaled.head, {}))?.seq ?? 0);
      const pending = journal.after(known);
      for (const one of pending)
        await storage.write(async (tx) => {
          await carryOut(tx, one);
          await tx.run(journaled.insert, { seq: one.seq, at: one.at, entry: JSON.stringify(one.entry) });
        });
      await finish();
      return { entries: pending.length };
    },
  };

  /** A keyring that was put back from its replica can be older than the database, which has a copy of what is missing. */
  async function takeOver(): Promise<void> {
    const missing = await storage.read.all(journaled.after, { after: journal.head() });
    for (const { at, entry } of missing) journal.append(at, JSON.parse(entry) as JournalEntry);
  }

  /** What follows a commit may not have come to pass: keys of what is gone go now. What is held has kept them. */
  async function finish(): Promise<void> {
    for (const { entry } of journal.after(keys.finished())) {
      if (entry.kind === 'delete-session') {
        const row = await storage.read.get(sessions.byId, { project_id: projectId, id: entry.session });
        if (row?.deleted_at !== null) keys.forgetSession(entry.session);
      }
      if (entry.kind === 'delete-quarantined') {
        const known = new Set(keys.idsOf({ session: entry.session }));
        for (const { id, key } of entry.originals) {
          const kept = await storage.read.get(quarantine.byId, { project_id: projectId, id });
          if (!kept && known.has(key)) keys.forgetContent(key);
        }
      }
      if (entry.kind === 'erase-subject') {
        const of = { project_id: projectId, lookup: entry.lookup };
        const row = await storage.read.get(subjects.byLookup, of);
        if (row?.state === 'erased') keys.forgetSubject(row.id);
        keys.forgetSubject(entry.subject);
      }
    }
    if (journal.head() !== keys.finished()) keys.finish(journal.head());
  }
}

/**
 * A subject that this database may never have seen, by what the journal knows of it. After a restore the same name can have
 * been given another id: who it is about is told by the keyed digest of the name.
 */
export async function ensureSubject(
  tx: Transaction,
  project_id: string,
  { id, lookup }: { id: string; lookup: string },
  at: string,
): Promise<SubjectRow> {
  const found =
    (await tx.get(subjects.byId, { id })) ?? (await tx.get(subjects.byLookup, { project_id, lookup }));
  if (found) return found;
  await tx.get(subjects.insert, { project_id, id, lookup, state: 'active', created_at: at, name: null });
  return (await tx.get(subjects.byId, { id }))!;
}

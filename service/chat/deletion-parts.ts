import type { Transaction } from '../storage/transaction.ts';
import { sum, type DeletionSteps } from './deletion-steps.ts';
import type { How, LiveFile, LiveMessage, Removed } from './deletion-steps.ts';
import { rangesOf } from './ranges.ts';
import { attachments, quarantine, removal } from './store-deletion.ts';
import type { SessionRow } from './store.ts';

/** Parts of a session that go while it stays. What is held is left where it is. */

export interface DeletionParts {
  /** Outputs of tools alone; what is held stays. */
  outputs(
    tx: Transaction,
    row: SessionRow,
    wanted: (message: LiveMessage) => boolean,
    how: How,
  ): Promise<Removed>;
  /** Files alone; what is held stays. */
  files(tx: Transaction, row: SessionRow, wanted: (file: LiveFile) => boolean, how: How): Promise<Removed>;
  /** What waits in quarantine about a subject; what is held stays. */
  quarantine(tx: Transaction, row: SessionRow, subject: number, how: How): Promise<Removed>;
  /** The title alone, unless the session is held. */
  title(tx: Transaction, row: SessionRow, how: How): Promise<Removed>;
}

export function deletionParts({
  keptFrom,
  sort,
  write,
  removeFiles,
  record,
  tell,
}: DeletionSteps): DeletionParts {
  return {
    async outputs(tx, row, wanted, how) {
      const all = (await tx.all(removal.outputs, { session: row.number })).filter(wanted);
      const { going, held } = await sort(tx, row, all, how);
      const removed: Removed = { messages: going.length, bytes: sum(going), held, session: false };
      if (going.length === 0) return removed;
      const ranges = rangesOf(going);
      if (how.journal) await write(tx, how.at, { kind: 'strip-tool-output', session: row.id, ranges });
      for (const [from, to] of ranges) await tx.run(removal.stripOutput, { session: row.number, from, to });
      await tx.run(removal.touch, { number: row.number, updated_at: how.at });
      await record(tx, row, 'outputs-deleted', removed, how);
      tell(tx, { session: row, ranges: [], blobs: [], outputs: ranges });
      return removed;
    },

    async files(tx, row, wanted, how) {
      const kept = await keptFrom(tx, row, how);
      const all = (await tx.all(attachments.ofSession, { session: row.number })).filter(wanted);
      const going = all.filter((file) => !kept(file));
      const held = all.length - going.length;
      const removed: Removed = { messages: 0, bytes: sum(going), held, session: false };
      if (going.length === 0) return removed;
      const { cause } = how;
      const ids = going.map(({ id }) => id);
      if (how.journal)
        await write(tx, how.at, { kind: 'delete-attachments', session: row.id, attachments: ids, cause });
      const blobs = await removeFiles(tx, going);
      await tx.run(removal.touch, { number: row.number, updated_at: how.at });
      await record(tx, row, 'attachments-deleted', removed, how);
      tell(tx, { session: row, ranges: [], blobs });
      return { ...removed, messages: going.length };
    },

    async quarantine(tx, row, subject, how) {
      const kept = await keptFrom(tx, row, how);
      const all = await tx.all(quarantine.ofSession, { session: row.number });
      const of = all.filter((one) => one.subject === subject);
      const going = of.filter((one) => !kept(one));
      for (const { id } of going) await tx.run(quarantine.remove, { id });
      const held = of.length - going.length;
      const removed: Removed = { messages: going.length, bytes: 0, held, session: false };
      if (going.length > 0) await record(tx, row, 'quarantine-deleted', removed, how);
      return removed;
    },

    async title(tx, row, how) {
      const held = row.title !== null && (await keptFrom(tx, row, how))(row) ? 1 : 0;
      const removed: Removed = { messages: 0, bytes: 0, held, session: false };
      if (row.title === null || held > 0) return removed;
      await tx.run(removal.title, { number: row.number, updated_at: how.at });
      await record(tx, row, 'title-deleted', removed, how);
      tell(tx, { session: row, ranges: [], blobs: [] });
      return removed;
    },
  };
}

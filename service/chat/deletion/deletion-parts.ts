import type { Transaction } from '../../storage/transaction.ts';
import { onHold, sum, type DeletionSteps } from './deletion-steps.ts';
import type { How, LiveFile, LiveMessage, Original, Removed } from './deletion-steps.ts';
import { decideFindings } from '../messages/findings.ts';
import { rangesOf } from '../erasure/ranges.ts';
import { attachments, quarantine, removal } from './store-deletion.ts';
import type { SessionRow } from '../store.ts';

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
  /** Originals that wait in quarantine; what stands for them stays where it is, but files go. Errors: `on-hold`. */
  quarantine(
    tx: Transaction,
    row: SessionRow,
    wanted: (original: Original) => boolean,
    how: How,
  ): Promise<Removed>;
  /** The title alone, unless the session is held. */
  title(tx: Transaction, row: SessionRow, how: How): Promise<Removed>;
}

export function deletionParts({
  keptFrom,
  sort,
  write,
  removeFiles,
  record,
  forget,
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

    async quarantine(tx, row, wanted, how) {
      const all = (await tx.all(quarantine.ofSession, { session: row.number })).filter(wanted);
      const { going, held } = await sort(tx, row, all, how);
      if (how.held === 'refuse' && held > 0) throw onHold(row.id);
      const removed: Removed = { messages: going.length, bytes: 0, held, session: false };
      if (going.length === 0) return removed;
      const { cause } = how;
      const originals = going.map(({ id, key_id: key }) => ({ id, key }));
      if (how.journal)
        await write(tx, how.at, { kind: 'delete-quarantined', session: row.id, originals, cause });
      for (const { id, seq } of going) {
        await tx.run(quarantine.remove, { id });
        await decideFindings(tx, row.number, seq, 'block');
      }
      const ids = new Set(going.map(({ id }) => id));
      const files = await tx.all(attachments.ofSession, { session: row.number });
      const blobs = await removeFiles(
        tx,
        files.filter(({ id }) => ids.has(id)),
      );
      await tx.run(removal.touch, { number: row.number, updated_at: how.at });
      await record(tx, row, 'quarantine-deleted', removed, how);
      forget(tx, originals);
      tell(tx, { session: row, ranges: [], blobs });
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

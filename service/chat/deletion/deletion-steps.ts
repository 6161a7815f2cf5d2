import { recordChange, type ChangeActor } from '../../audit/events.ts';
import { FactoryError } from '../../errors.ts';
import type { Statement } from '../../storage/statement.ts';
import type { Reader, Transaction } from '../../storage/transaction.ts';
import type { ChatDependencies } from '../dependencies.ts';
import { covers, isHeld, mayCover } from '../holds/holds.ts';
import type { Journal, JournalEntry, Range } from '../erasure/journal.ts';
import { attachments, holds, journaled, quarantine } from './store-deletion.ts';
import type { SessionRow } from '../store.ts';
import type { Cause } from '../types.ts';

/** The steps that every deletion takes; nobody but `deletion.ts` and `deletion-parts.ts` calls them. */

export interface How {
  cause: Cause;
  actor: ChangeActor;
  at: string;
  /** What is held: an error for all of it, or left where it is. `ignore`: its keys are gone, so there is nothing to keep. */
  held: 'refuse' | 'leave' | 'ignore';
  /** False: the journal has it already. */
  journal: boolean;
}

export interface Removed {
  messages: number;
  bytes: number;
  /** What a hold keeps: messages, files, what waits in quarantine. */
  held: number;
  /** Whether the session itself is gone. */
  session: boolean;
}

/** What followed a commit: told to whoever keeps something derived from content. `ranges` null: the whole session. */
export interface Gone {
  session: { id: string; number: number };
  ranges: readonly Range[] | null;
  blobs: readonly string[];
  /** Messages that stay, without the outputs of their tools. */
  outputs?: readonly Range[];
}

export type HeldContent = Pick<LiveMessage, 'subject' | 'created_at'>;

export interface LiveMessage {
  seq: number;
  subject: number | null;
  created_at: string;
  bytes: number;
  binned_at: string | null;
}

export type LiveFile = Selected<typeof attachments.ofSession>;
export type Original = Selected<typeof quarantine.ofSession>;
type Selected<S> = S extends Statement<never, infer R> ? R : never;

export type DeletionDependencies = ChatDependencies & { journal: Journal; gone(what: Gone): void };

export function deletionSteps({ audit, journal, projectId, keys, changed, gone }: DeletionDependencies) {
  async function holdsOn(tx: Reader, row: SessionRow) {
    const all = await tx.all(holds.inForce, { project_id: projectId });
    const inForce = all.filter((hold) => mayCover(hold, row));
    const heldOf = ({ subject, created_at }: HeldContent) => ({
      ...{ subject, session: row.number, class: row.class, createdAt: created_at },
    });
    return { inForce, heldOf };
  }

  async function isKept(tx: Reader, row: SessionRow): Promise<(content: HeldContent) => boolean> {
    const { inForce, heldOf } = await holdsOn(tx, row);
    return (content) => isHeld(inForce, heldOf(content));
  }

  async function keptBy(tx: Reader, row: SessionRow): Promise<(content: HeldContent) => string[]> {
    const { inForce, heldOf } = await holdsOn(tx, row);
    return (content) => inForce.filter((hold) => covers(hold, heldOf(content))).map(({ id }) => id);
  }

  const keptFrom = async (tx: Transaction, row: SessionRow, { held }: How) =>
    held === 'ignore' ? () => false : isKept(tx, row);

  /** A message goes with its files, so it stays where one of them has to. */
  async function sort<M extends HeldContent & { seq: number }>(
    tx: Transaction,
    row: SessionRow,
    live: readonly M[],
    how: How,
  ) {
    const kept = await keptFrom(tx, row, how);
    const files = await tx.all(attachments.ofSession, { session: row.number });
    const withHeldFile = new Set(files.filter(kept).map(({ message }) => message));
    const going = live.filter((message) => !kept(message) && !withHeldFile.has(message.seq));
    return { going, held: live.length - going.length };
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

  async function removeFiles(tx: Transaction, files: readonly LiveFile[]): Promise<string[]> {
    for (const { number, id } of files) {
      await tx.run(attachments.remove, { number });
      // The original of one that is held back has its id.
      await tx.run(quarantine.remove, { id });
    }
    const unused: string[] = [];
    for (const blob of new Set(files.map((file) => file.blob)))
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
      ...{ actor, at, action: removed.session ? 'session.delete' : `session.${ACTIONS[type] ?? type}` },
    });
  }

  /** Keys that were of one thing alone. */
  function forget(tx: Transaction, things: readonly { key: number }[]): void {
    tx.afterCommit(() => things.forEach(({ key }) => keys.forgetContent(key)));
  }

  function tell(tx: Transaction, what: Gone): void {
    tx.afterCommit(() => {
      if (what.ranges === null) keys.forgetSession(what.session.id);
      gone(what);
      changed(what.session.id);
    });
  }

  return { isKept, keptBy, keptFrom, sort, write, removeFiles, record, forget, tell };
}

export type DeletionSteps = ReturnType<typeof deletionSteps>;

const ACTIONS: Record<string, string> = {
  'messages-deleted': 'delete-messages',
  'outputs-deleted': 'delete-outputs',
  'attachments-deleted': 'delete-attachments',
  'quarantine-deleted': 'delete-quarantine',
  'title-deleted': 'delete-title',
};

export const sum = (messages: readonly { bytes: number }[]): number =>
  messages.reduce((all, { bytes }) => all + bytes, 0);

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

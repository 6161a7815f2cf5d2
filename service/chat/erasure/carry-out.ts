import { recordChange, SYSTEM } from '../../audit/events.ts';
import type { Transaction } from '../../storage/transaction.ts';
import type { Deletion, How } from '../deletion/deletion.ts';
import type { ChatDependencies } from '../dependencies.ts';
import type { Eraser } from './erase.ts';
import { NO_PROGRESS, NOT_HELD, type Progress } from './erasure.ts';
import type { JournalEntry } from './journal.ts';
import { isIn } from './ranges.ts';
import { ensureSubject } from './replay.ts';
import { erasures, lastLeaf } from './store-erasures.ts';
import { holdRows } from '../holds/store-holds.ts';
import { sessions, subjects, type SubjectRow } from '../store.ts';

/** What a replay of the journal does for holds, erasures and parts of messages. */

/** No session has this number: a hold on one that this database never saw covers nothing, and not everything. */
const NO_SESSION = 0;

type Entry<K extends JournalEntry['kind']> = Extract<JournalEntry, { kind: K }>;

export function createCarryOut(
  { audit, projectId, directory, keys }: Pick<ChatDependencies, 'audit' | 'projectId' | 'directory' | 'keys'>,
  deletion: Pick<Deletion, 'outputs' | 'files' | 'quarantine'>,
  eraser: Pick<Eraser, 'sweep'>,
) {
  const project_id = projectId;

  async function record(tx: Transaction, id: string, type: string, at: string): Promise<number> {
    await recordChange(tx, audit, {
      ...{ projectId, stream: 'governance', streamId: id, version: 1, type, payload: { replayed: true } },
      ...{ actor: SYSTEM, at, action: `governance.${type}` },
    });
    return Number((await tx.get(lastLeaf, {}))?.seq);
  }

  const sessionOf = (tx: Transaction, id: string) => tx.get(sessions.byId, { project_id, id });

  const howOf = (cause: How['cause'], at: string): How => ({
    ...{ cause, at, actor: SYSTEM, held: 'leave', journal: false },
  });

  async function hold(tx: Transaction, entry: Entry<'hold'>, at: string): Promise<void> {
    if (await tx.get(holdRows.byId, { project_id, id: entry.hold })) return;
    const subject = entry.subject && (await ensureSubject(tx, projectId, entry.subject, at));
    const session =
      entry.session === null ? null : ((await sessionOf(tx, entry.session))?.number ?? NO_SESSION);
    await tx.run(holdRows.insert, {
      ...{ project_id, id: entry.hold, subject: subject?.number ?? null, session, class: entry.class },
      ...{ from_at: entry.from, to_at: entry.to, reason: entry.reason },
      ...{ placed_by: entry.placedBy, placed_at: at },
    });
    await record(tx, entry.hold, 'hold-placed', at);
  }

  async function release(tx: Transaction, entry: Entry<'release-hold'>, at: string): Promise<void> {
    const by = { released_by: entry.releasedBy, released_at: at };
    const { changes } = await tx.run(holdRows.release, { project_id, id: entry.hold, ...by });
    if (changes > 0) await record(tx, entry.hold, 'hold-released', at);
  }

  async function requested(tx: Transaction, entry: Entry<'erasure-requested'>, at: string): Promise<void> {
    const subject = await ensureSubject(tx, projectId, { id: entry.subject, lookup: entry.lookup }, at);
    if (!(await tx.get(erasures.byId, { project_id, id: entry.erasure }))) {
      await tx.run(erasures.insert, {
        ...{ project_id, id: entry.erasure, subject: subject.number, state: 'running', reason: entry.reason },
        ...{ requested_by: entry.by, requested_at: at, document: JSON.stringify(NO_PROGRESS) },
      });
      await record(tx, entry.erasure, 'erasure-requested', at);
    }
    await setState(tx, subject, 'erasing', null);
    await eraser.sweep(tx, subject.number, howOf('erasure', at));
  }

  async function erase(tx: Transaction, entry: Entry<'erase-subject'>, at: string): Promise<void> {
    const subject = await ensureSubject(tx, projectId, { id: entry.subject, lookup: entry.lookup }, at);
    const readable = keys.hasSubject(subject.id);
    await eraser.sweep(tx, subject.number, { ...howOf('erasure', at), held: readable ? 'leave' : 'ignore' });
    await tx.run(subjects.name, { number: subject.number, name: null });
    await setState(tx, subject, 'erased', at);
    tx.afterCommit(() => keys.forgetSubject(subject.id));
    const row = await tx.get(erasures.byId, { project_id, id: entry.erasure });
    if (!row || row.state === 'done') return;
    // What the certificate of before counted went with the database of before: another one is made.
    const entryOfEnd = await record(tx, entry.erasure, 'erasure-done', at);
    const before = JSON.parse(row.document) as Progress;
    const progress: Progress = { ...before, entry: entryOfEnd, held: NOT_HELD };
    const { id, certificate } = row;
    const now = { state: 'running', finished_at: at, document: JSON.stringify(progress), certificate };
    await tx.run(erasures.update, { project_id, id, ...now });
  }

  async function setState(tx: Transaction, { number }: SubjectRow, state: string, erased_at: string | null) {
    await tx.run(subjects.state, { number, state, erased_at });
    tx.afterCommit(() => directory.forget(number));
  }

  return async function carryOut(tx: Transaction, entry: JournalEntry, at: string): Promise<void> {
    if (entry.kind === 'hold') return hold(tx, entry, at);
    if (entry.kind === 'release-hold') return release(tx, entry, at);
    if (entry.kind === 'erasure-requested') return requested(tx, entry, at);
    if (entry.kind === 'erase-subject') return erase(tx, entry, at);
    const row = await sessionOf(tx, entry.session);
    if (row?.deleted_at !== null) return;
    if (entry.kind === 'strip-tool-output')
      await deletion.outputs(tx, row, isIn(entry.ranges), howOf('retention', at));
    if (entry.kind === 'delete-attachments') {
      const ids = new Set(entry.attachments);
      await deletion.files(tx, row, ({ id }) => ids.has(id), howOf(entry.cause, at));
    }
    if (entry.kind === 'delete-quarantined') {
      const ids = new Set(entry.originals.map(({ id }) => id));
      await deletion.quarantine(tx, row, ({ id }) => ids.has(id), howOf(entry.cause, at));
    }
  };
}

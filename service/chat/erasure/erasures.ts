import { FactoryError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Reader, Transaction } from '../../storage/transaction.ts';
import type { Deletion } from '../deletion/deletion.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import type { Eraser } from './erase.ts';
import { NO_PROGRESS, type Certificate } from './erasure.ts';
import { createErasureRun } from './erasure-run.ts';
import { withoutName } from '../holds/holding.ts';
import { createQueue } from './queue.ts';
import { countLostSubjects } from './lost-subjects.ts';
import { erasures, type ErasureRow } from './store-erasures.ts';
import { subjects } from '../store.ts';

/**
 * Erasing a subject: asked for (in the journal first), carried out in steps, ended by taking the keys away, and certified.
 * Each step is whole; after a crash, and when a hold is released, it goes on where it was.
 */

export interface ErasureView {
  id: string;
  status: 'running' | 'partial-held' | 'done';
  /** Id of the subject. */
  subject: string;
  reason: string;
  requestedBy: string;
  requestedAt: string;
  finishedAt: string | null;
  certificate: Certificate | null;
}

export interface Erasures {
  /** The same subject again: the erasure that there is. Errors: `not-found`. */
  request(caller: Caller, input: { subjectId: string; reason: string }): Promise<ErasureView>;
  /** Errors: `not-found`. */
  show(id: string): Promise<ErasureView>;
  list(query: { cursor?: string | undefined; limit?: number | undefined }): Promise<{
    erasures: ErasureView[];
    nextCursor: string | null;
  }>;
  /** Goes on with those that are not done. */
  resume(): Promise<void>;
  /** Resolves when nothing is being erased. */
  idle(): Promise<void>;
  /** The step that runs is the last one. */
  stop(): Promise<void>;
}

export interface ErasureDependencies extends ChatDependencies {
  deletion: Deletion;
  eraser: Eraser;
  keyCopies: KeyCopies;
  /** Resolves when files of deleted attachments are gone. */
  filesGone: () => Promise<void>;
}

/** Copies of the keyring, which hold keys that are gone from the keyring itself. */
export interface KeyCopies {
  /** `none`: on this machine's own disk at most. */
  where(): Promise<'elsewhere' | 'none'>;
  /** Takes those away that are on this machine's own disk: the next backup makes another one. */
  dropLocal(): Promise<void>;
}

const LIST = 'erasures';
const PAGE = 50;

export function createErasures(deps: ErasureDependencies): Erasures {
  const { storage, clock, cursors, directory, projectId, deletion, logger } = deps;
  const { record, rowOf, run } = createErasureRun(deps);
  const queue = createQueue(run, (id, error) =>
    logger.error({ err: error }, `Erasure ${id} waits to go on.`),
  );

  async function viewOf(reader: Reader, row: ErasureRow): Promise<ErasureView> {
    return {
      ...{ id: row.id, status: row.state as ErasureView['status'], reason: row.reason },
      subject: (await directory.subjectAt(reader, row.subject)).id,
      ...{ requestedBy: row.requested_by, requestedAt: row.requested_at, finishedAt: row.finished_at },
      certificate: row.certificate === null ? null : (JSON.parse(row.certificate) as Certificate),
    };
  }

  async function begin(tx: Transaction, caller: Caller, input: { subjectId: string; reason: string }) {
    const subject = await directory.findSubject(tx, input.subjectId);
    if (!subject) throw noSubject(await countLostSubjects(tx, deps));
    const before = await tx.get(erasures.ofSubject, { project_id: projectId, subject: subject.number });
    if (before && subject.state !== 'active') return before;
    const [id, at] = [newId(), clock.iso()];
    const reason = withoutName(input.reason, input.subjectId, subject.id);
    await tx.run(erasures.insert, {
      ...{ project_id: projectId, id, subject: subject.number, state: 'running', reason },
      ...{ requested_by: caller.id, requested_at: at, document: JSON.stringify(NO_PROGRESS) },
    });
    await tx.run(subjects.state, { number: subject.number, state: 'erasing', erased_at: null });
    const { kind, personId, roles } = caller;
    await record(
      tx,
      id,
      'erasure-requested',
      { subject: subject.id },
      { kind, id: caller.id, personId, roles },
    );
    await deletion.journal(tx, at, {
      ...{ kind: 'erasure-requested', erasure: id, subject: subject.id, lookup: subject.lookup, reason },
      by: caller.id,
    });
    tx.afterCommit(() => directory.forget(subject.number));
    return rowOf(tx, id);
  }

  return {
    async request(caller, input) {
      const row = await storage.write((tx) => begin(tx, caller, input));
      queue.add(row.id);
      return viewOf(storage.read, row);
    },
    show: async (id) => viewOf(storage.read, await rowOf(storage.read, id)),
    async list({ cursor, limit = PAGE }) {
      const before = cursor === undefined ? null : String(cursors.decode(LIST, cursor));
      const rows = await storage.read.query((db) => {
        let query = db.selectFrom('chat_erasures').selectAll().where('project_id', '=', projectId);
        if (before !== null) query = query.where('id', '<', before);
        return query.orderBy('id', 'desc').limit(limit + 1);
      });
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      return {
        erasures: await Promise.all(page.map((row) => viewOf(storage.read, row))),
        nextCursor: last ? cursors.encode(LIST, last.id) : null,
      };
    },
    async resume() {
      for (const { id } of await storage.read.all(erasures.unfinished, { project_id: projectId }))
        queue.add(id);
    },
    idle: () => queue.idle(),
    stop: () => queue.stop(),
  };
}

/** `lost`: subjects that have lost their keys, so that nobody can tell whether one of them is meant. */
export function noSubject(lost: number): FactoryError {
  const subjects = lost === 1 ? '1 subject' : `${lost} subjects`;
  return new FactoryError({
    ...{ code: 'not-found', op: 'find subject' },
    message:
      lost === 0
        ? 'Nothing is, or ever was, about a subject of this name.'
        : `Nothing that can be read is about a subject of this name. The keys of ${subjects} are lost, and with them the names: whether one of them is meant cannot be known.`,
    hint:
      lost === 0
        ? 'Names are compared letter by letter: send the one that the sessions were written with.'
        : 'Names are compared letter by letter: send the one that the sessions were written with. Where their keys were lost, send the id that the session shows in the place of the name: runbooks/lost-key.md.',
  });
}

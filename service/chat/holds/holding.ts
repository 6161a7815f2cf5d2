import { recordChange } from '../../audit/events.ts';
import { FactoryError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Reader, Transaction } from '../../storage/transaction.ts';
import type { Deletion } from '../deletion/deletion.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import { subjectErased, type Subject } from '../messages/directory.ts';
import type { HoldRow } from './holds.ts';
import { gone, noSession } from '../refusals.ts';
import { countCovered, holdRows } from './store-holds.ts';
import { sessions, type SubjectRow } from '../store.ts';

/** Placing, listing and releasing holds. Which content a hold keeps is in `holds.ts`; that it is kept, in `deletion.ts`. */

export interface NewHold {
  reason: string;
  subjectId?: string | undefined;
  sessionId?: string | undefined;
  class?: string | undefined;
  /** Content that was written from then on. */
  from?: string | undefined;
  /** Content that was written until then. */
  to?: string | undefined;
}

export interface HoldView {
  id: string;
  reason: string;
  /** Null: of no subject in particular, or its name is erased or not for the caller. */
  subjectId: string | null;
  /** Id of the subject, which says nothing of its name. */
  subject: string | null;
  sessionId: string | null;
  class: string | null;
  from: string | null;
  to: string | null;
  placedBy: string;
  placedAt: string;
  releasedBy: string | null;
  releasedAt: string | null;
}

export interface Covered {
  sessions: number;
  messages: number;
  /** Of the messages. */
  bytes: number;
}

export interface Holding {
  /** Answers what it covers now as well. Errors: `not-found`, `gone`, `subject-erased`. */
  place(caller: Caller, input: NewHold): Promise<HoldView & { covers: Covered }>;
  /** Deletes nothing. A hold that was released before stays released. Errors: `not-found`. */
  release(caller: Caller, id: string): Promise<void>;
  /** Errors: `not-found`. */
  show(caller: Caller, id: string): Promise<HoldView>;
  /** What a hold would cover now; changes nothing. Errors: those of `place`. */
  covered(input: Omit<NewHold, 'reason'>): Promise<Covered>;
  /** Newest first. Errors: `cursor-unknown`. */
  list(
    caller: Caller,
    query: { released?: boolean | undefined; cursor?: string | undefined; limit?: number | undefined },
  ): Promise<{ holds: HoldView[]; nextCursor: string | null }>;
}

export const MANAGE = 'factory.governance.manage';
const LIST = 'holds';
const PAGE = 50;

export function createHolding(
  deps: ChatDependencies,
  deletion: Pick<Deletion, 'journal'>,
  released: (hold: HoldRow) => void,
): Holding {
  const { storage, audit, clock, cursors, directory, projectId } = deps;

  /** The subject of a name; one that nothing is about yet can be held as well. */
  async function subjectOf(tx: Transaction, name: string): Promise<Subject & Pick<SubjectRow, 'lookup'>> {
    const found = await directory.findSubject(tx, name);
    if (found && found.state !== 'erased') return found;
    const made = await directory.subject(tx, name);
    return { ...made, lookup: deps.keys.lookup(name) };
  }

  async function sessionOf(tx: Reader, id: string): Promise<number> {
    const row = await tx.get(sessions.byId, { project_id: projectId, id });
    if (!row) throw noSession(id);
    if (row.deleted_at !== null) throw gone('session', id);
    return row.number;
  }

  async function viewOf(reader: Reader, row: HoldRow, caller: Caller): Promise<HoldView> {
    const session =
      row.session === null ? null : await reader.get(sessions.byNumber, { number: row.session });
    const subject = row.subject === null ? null : await directory.subjectAt(reader, row.subject);
    const named = subject !== null && caller.permissions.has(MANAGE);
    return {
      ...{ id: row.id, reason: row.reason, class: row.class, from: row.from_at, to: row.to_at },
      subjectId: named ? await directory.shownName(reader, subject.number) : null,
      ...{ subject: subject?.id ?? null, sessionId: session?.id ?? null },
      ...{ placedBy: row.placed_by, placedAt: row.placed_at },
      ...{ releasedBy: row.released_by, releasedAt: row.released_at },
    };
  }

  function record(
    tx: Transaction,
    caller: Caller,
    what: { id: string; type: 'hold-placed' | 'hold-released'; at: string; payload: object },
  ): Promise<number> {
    return recordChange(tx, audit, {
      ...{ projectId, stream: 'governance', streamId: what.id, type: what.type, payload: what.payload },
      version: what.type === 'hold-placed' ? 1 : 2,
      actor: { kind: caller.kind, id: caller.id, personId: caller.personId, roles: caller.roles },
      ...{ at: what.at, action: `governance.${what.type}` },
    });
  }

  async function found(reader: Reader, id: string): Promise<HoldRow> {
    const row = await reader.get(holdRows.byId, { project_id: projectId, id });
    if (!row) throw noHold(id);
    return row;
  }

  return {
    async place(caller, input) {
      const id = newId();
      return storage.write(async (tx) => {
        const subject = input.subjectId === undefined ? null : await subjectOf(tx, input.subjectId);
        const session = input.sessionId === undefined ? null : await sessionOf(tx, input.sessionId);
        const [from, to] = [timeOf(input.from), timeOf(input.to)];
        const at = clock.iso();
        const reason = withoutName(input.reason, input.subjectId, subject?.id);
        const what = { class: input.class ?? null, from, to };
        const on = { session: input.sessionId ?? null, ...what };
        await tx.run(holdRows.insert, {
          ...{ project_id: projectId, id, subject: subject?.number ?? null, session },
          ...{ class: what.class, from_at: from, to_at: to, reason, placed_by: caller.id, placed_at: at },
        });
        await record(tx, caller, {
          ...{ id, type: 'hold-placed', at, payload: { subject: subject?.id ?? null, ...on } },
        });
        const view = await viewOf(tx, await found(tx, id), caller);
        await deletion.journal(tx, at, {
          ...{ kind: 'hold', hold: id, reason, placedBy: caller.id, ...on },
          subject: subject && { id: subject.id, lookup: subject.lookup },
        });
        const hold = { subject: subject?.number ?? null, session, class: what.class };
        const covers = await countCovered(tx, projectId, { ...hold, from_at: from, to_at: to });
        return { ...view, covers };
      });
    },

    async release(caller, id) {
      await storage.write(async (tx) => {
        const row = await found(tx, id);
        if (row.released_at !== null) return;
        const at = clock.iso();
        const by = { released_by: caller.id, released_at: at };
        await tx.run(holdRows.release, { project_id: projectId, id, ...by });
        await record(tx, caller, { id, type: 'hold-released', at, payload: {} });
        await deletion.journal(tx, at, { kind: 'release-hold', hold: id, releasedBy: caller.id });
        tx.afterCommit(() => released({ ...row, ...by }));
      });
    },

    show: async (caller, id) => viewOf(storage.read, await found(storage.read, id), caller),

    async covered(input) {
      const subject =
        input.subjectId === undefined ? null : await directory.findSubject(storage.read, input.subjectId);
      if (subject?.state === 'erased') throw subjectErased();
      const session = input.sessionId === undefined ? null : await sessionOf(storage.read, input.sessionId);
      // Nothing is about this subject yet: the hold is for what comes.
      if (subject === undefined) return { sessions: 0, messages: 0, bytes: 0 };
      const on = { subject: subject?.number ?? null, session, class: input.class ?? null };
      return countCovered(storage.read, projectId, {
        ...on,
        ...{ from_at: timeOf(input.from), to_at: timeOf(input.to) },
      });
    },

    async list(caller, { released: all = false, cursor, limit = PAGE }) {
      const before = cursor === undefined ? null : String(cursors.decode(LIST, cursor));
      const rows = await storage.read.query((db) => {
        let query = db.selectFrom('chat_holds').selectAll().where('project_id', '=', projectId);
        if (!all) query = query.where('released_at', 'is', null);
        if (before !== null) query = query.where('id', '<', before);
        return query.orderBy('id', 'desc').limit(limit + 1);
      });
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      return {
        holds: await Promise.all(page.map((row) => viewOf(storage.read, row, caller))),
        nextCursor: last ? cursors.encode(LIST, last.id) : null,
      };
    },
  };
}

/** As rows have their times, so that they can be compared as text. */
const timeOf = (text: string | undefined): string | null =>
  text === undefined ? null : new Date(text).toISOString();

/** A reason is kept for ever: the name that it is about is not to stay in it. */
export function withoutName(reason: string, name: string | undefined, id: string | undefined): string {
  return name === undefined || name.length < 3 || id === undefined
    ? reason
    : reason.replaceAll(name, `subject ${id}`);
}

function noHold(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'find hold', target },
    message: `There is no hold ${target}.`,
    hint: 'GET /api/governance/holds lists them.',
  });
}

import { recordChange } from '../audit/events.ts';
import { newId } from '../ids.ts';
import type { Reader } from '../storage/transaction.ts';
import { READ_ALL, SEE_ALL, USE } from './access.ts';
import { openTitle, sealTitle } from './content.ts';
import type { Caller, ChatDependencies } from './dependencies.ts';
import type { Finding } from './finding.ts';
import { permissionRefused } from './refusals.ts';
import { sessions, type SessionRow } from './store.ts';
import type { SessionView } from './types.ts';

/** Sessions: begun, listed, shown. */

export interface NewSession {
  title?: string | undefined;
  /** Policies go by it; absent: `general`. */
  class?: string | undefined;
  /** Whom it is about; absent: the one who begins it. */
  subjectId?: string | undefined;
  itemId?: string | undefined;
}

export interface SessionQuery {
  class?: string | undefined;
  itemId?: string | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

export interface SessionPage {
  sessions: SessionView[];
  nextCursor: string | null;
}

export const GENERAL = 'general';
const PAGE = 50;
const LIST = 'sessions';

export interface Sessions {
  /** Errors: `permission-missing`, `subject-erased`. */
  create(caller: Caller, input: NewSession): Promise<SessionView>;
  /** Newest first. Errors: `permission-missing`, `cursor-unknown`. */
  list(caller: Caller, query: SessionQuery): Promise<SessionPage>;
  /** What the caller may do with it, for faces that show buttons. Errors: `not-found`, `gone`. */
  may(caller: Caller, id: string): Promise<{ write: boolean; delete: boolean }>;
  /** Errors: `not-found`, `gone`. */
  show(caller: Caller, id: string): Promise<SessionView>;
}

export function createSessions(deps: ChatDependencies, find: Finding): Sessions {
  const { storage, audit, clock, cursors, directory, keys, projectId, changed } = deps;

  async function viewOf(reader: Reader, row: SessionRow, readable: boolean): Promise<SessionView> {
    const title =
      readable && row.title ? openTitle(keys.byId(row.key_id), row.id, row.row_version, row.title) : null;
    return {
      ...{ id: row.id, title, class: row.class, itemId: row.item_id, messages: row.messages },
      subjectId: readable ? await directory.nameOrNull(reader, row.subject) : null,
      author: await directory.authorAt(reader, row.foreign_author ?? row.author),
      ...{ lastSeq: row.last_seq, bytes: row.bytes, version: row.version },
      ...{ createdAt: row.created_at, updatedAt: row.updated_at },
    };
  }

  return {
    async create(caller, input) {
      if (!caller.permissions.has(USE)) throw permissionRefused(USE);
      const id = newId();
      const { class: kind = GENERAL, title, itemId = null } = input;
      const row = await storage.write(async (tx) => {
        const subject = await directory.subject(tx, input.subjectId ?? caller.personId);
        const author = await directory.author(tx, caller);
        const { id: key_id, key } = keys.current(id, subject.id);
        const created_at = clock.iso();
        await tx.get(sessions.insert, {
          ...{ project_id: projectId, id, subject: subject.number, class: kind, item_id: itemId, author },
          ...{
            person_id: caller.personId,
            key_id,
            row_version: 1,
            last_seq: 0,
            messages: 0,
            bytes: 0,
            version: 1,
          },
          ...{ created_at, updated_at: created_at },
          title: title === undefined ? null : sealTitle(key, id, 1, title),
        });
        await recordChange(tx, audit, {
          ...{ projectId, stream: 'session', streamId: id, version: 1, type: 'session-created' },
          payload: { class: kind, item: itemId, subject: subject.id },
          actor: { kind: caller.kind, id: caller.id, personId: caller.personId, roles: caller.roles },
          ...{ at: created_at, action: 'session.create' },
        });
        tx.afterCommit(() => changed(id));
        return (await tx.get(sessions.byId, { project_id: projectId, id }))!;
      });
      return viewOf(storage.read, row, true);
    },

    async list(caller, { class: kind, itemId, cursor, limit = PAGE }) {
      const { permissions } = caller;
      if (![USE, READ_ALL, SEE_ALL].some((one) => permissions.has(one))) throw permissionRefused(USE);
      const reach = await find.reach(caller);
      const before = cursor === undefined ? null : Number(cursors.decode(LIST, cursor));
      const rows = await storage.read.query((db) => {
        let query = db
          .selectFrom('chat_sessions')
          .selectAll()
          .where('project_id', '=', projectId)
          .where('deleted_at', 'is', null)
          .where('binned_at', 'is', null)
          .where((e) => reach.filter(e, 'see'));
        if (kind !== undefined) query = query.where('class', '=', kind);
        if (itemId !== undefined) query = query.where('item_id', '=', itemId);
        if (before !== null) query = query.where('number', '<', before);
        return query.orderBy('number', 'desc').limit(limit + 1);
      });
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      return {
        sessions: await Promise.all(page.map((row) => viewOf(storage.read, row, reach.can('read', row)))),
        nextCursor: last ? cursors.encode(LIST, last.number) : null,
      };
    },

    async may(caller, id) {
      const row = await find.session(storage.read, caller, id, 'see');
      const reach = await find.reach(caller);
      return { write: reach.can('write', row), delete: reach.can('delete', row) };
    },

    async show(caller, id) {
      const row = await find.session(storage.read, caller, id, 'see');
      return viewOf(storage.read, row, (await find.reach(caller)).can('read', row));
    },
  };
}

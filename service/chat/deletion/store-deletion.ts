import { param, statement } from '../../storage/statement.ts';
import { FILE } from '../quarantine/store-quarantine.ts';

/** The queries of deletion. What is gone keeps its place and loses everything else. */

type InSession = { session: number };
type Gone = { deleted_at: string; deleted_by: string };

export const removal = {
  /** What a hold looks at, and what a range is made of. */
  live: statement<InSession>()((db) =>
    db
      .selectFrom('chat_messages')
      .select(['seq', 'subject', 'created_at', 'bytes', 'binned_at'])
      .where('session', '=', param('session'))
      .where('deleted_at', 'is', null)
      .orderBy('seq'),
  ),
  /** The same of some places alone. */
  liveBetween: statement<InSession & { from: number; to: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .select(['seq', 'subject', 'created_at', 'bytes', 'binned_at'])
      .where('session', '=', param('session'))
      .where('seq', '>=', param('from'))
      .where('seq', '<=', param('to'))
      .where('deleted_at', 'is', null)
      .orderBy('seq'),
  ),
  outputs: statement<InSession>()((db) =>
    db
      .selectFrom('chat_messages')
      .select((e) => [
        ...(['seq', 'subject', 'created_at', 'binned_at', 'tool_binned_at'] as const),
        e.fn<number>('length', ['tool_output']).as('bytes'),
      ])
      .where('session', '=', param('session'))
      .where('tool_output', 'is not', null)
      .orderBy('seq'),
  ),
  /** Not sealed anew: the body stays as it is. */
  stripOutput: statement<InSession & { from: number; to: number }>()((db) =>
    db
      .updateTable('chat_messages')
      .set({ tool_output: null, tool_binned_at: null })
      .where('session', '=', param('session'))
      .where('seq', '>=', param('from'))
      .where('seq', '<=', param('to')),
  ),
  /** Content beside messages changed, or its title went. */
  touch: statement<{ number: number; updated_at: string }>()((db) =>
    db
      .updateTable('chat_sessions')
      .set((e) => ({ version: e('version', '+', 1), updated_at: param('updated_at') }))
      .where('number', '=', param('number')),
  ),
  title: statement<{ number: number; updated_at: string }>()((db) =>
    db
      .updateTable('chat_sessions')
      .set((e) => ({ title: null, version: e('version', '+', 1), updated_at: param('updated_at') }))
      .where('number', '=', param('number')),
  ),
  tombstone: statement<InSession & Gone & { from: number; to: number }>()((db) =>
    db
      .updateTable('chat_messages')
      .set((e) => ({
        deleted_at: param('deleted_at'),
        deleted_by: param('deleted_by'),
        binned_at: null,
        tool_binned_at: null,
        digest: null,
        findings: null,
        body: null,
        tool_output: null,
        bytes: 0,
        row_version: e('row_version', '+', 1),
      }))
      .where('session', '=', param('session'))
      .where('seq', '>=', param('from'))
      .where('seq', '<=', param('to'))
      .where('deleted_at', 'is', null),
  ),
  shrink: statement<{ number: number; messages: number; bytes: number; updated_at: string }>()((db) =>
    db
      .updateTable('chat_sessions')
      .set((e) => ({
        messages: e('messages', '-', param('messages')),
        bytes: e('bytes', '-', param('bytes')),
        version: e('version', '+', 1),
        updated_at: param('updated_at'),
      }))
      .where('number', '=', param('number')),
  ),
  closeSession: statement<Gone & { number: number }>()((db) =>
    db
      .updateTable('chat_sessions')
      .set((e) => ({
        deleted_at: param('deleted_at'),
        deleted_by: param('deleted_by'),
        updated_at: param('deleted_at'),
        binned_at: null,
        item_id: null,
        title: null,
        messages: 0,
        bytes: 0,
        version: e('version', '+', 1),
      }))
      .where('number', '=', param('number')),
  ),
  messages: statement<InSession>()((db) =>
    db.deleteFrom('chat_messages').where('session', '=', param('session')),
  ),
  attachments: statement<InSession>()((db) =>
    db.deleteFrom('chat_attachments').where('session', '=', param('session')),
  ),
  quarantine: statement<InSession>()((db) =>
    db.deleteFrom('chat_quarantine').where('session', '=', param('session')),
  ),
  grants: statement<InSession>()((db) =>
    db.deleteFrom('chat_grants').where('session', '=', param('session')),
  ),
};

export const holds = {
  inForce: statement<{ project_id: string }>()((db) =>
    db
      .selectFrom('chat_holds')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('released_at', 'is', null),
  ),
};

export const attachments = {
  /** Files of a session, or of some of its messages. */
  ofSession: statement<InSession>()((db) =>
    db
      .selectFrom('chat_attachments')
      .select(['number', 'id', 'message', 'subject', 'created_at', 'bytes', 'blob', 'binned_at'])
      .where('session', '=', param('session'))
      .orderBy('number'),
  ),
  remove: statement<{ number: number }>()((db) =>
    db.deleteFrom('chat_attachments').where('number', '=', param('number')),
  ),
  usersOf: statement<{ blob: string }>()((db) =>
    db.selectFrom('chat_attachments').select('number').where('blob', '=', param('blob')).limit(1),
  ),
};

export const quarantine = {
  ofSession: statement<InSession>()((db) =>
    db
      .selectFrom('chat_quarantine')
      .select(['id', 'subject', 'created_at', 'seq', 'key_id'])
      .where('session', '=', param('session'))
      .orderBy('id'),
  ),
  byId: statement<{ project_id: string; id: string }>()((db) =>
    db
      .selectFrom('chat_quarantine')
      .select('id')
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  /** Originals of messages that go. */
  removeBetween: statement<InSession & { from: number; to: number }>()((db) =>
    db
      .deleteFrom('chat_quarantine')
      .where('session', '=', param('session'))
      .where('seq', '>=', param('from'))
      .where('seq', '<=', param('to')),
  ),
  /** Originals of messages and files that a release deleted which knew of none. */
  removeLeft: statement()((db) =>
    db
      .deleteFrom('chat_quarantine')
      .where((e) =>
        e.or([
          e.exists(
            e
              .selectFrom('chat_messages as m')
              .select('m.seq')
              .whereRef('m.session', '=', 'chat_quarantine.session')
              .whereRef('m.seq', '=', 'chat_quarantine.seq')
              .where('m.deleted_at', 'is not', null),
          ),
          e.and([
            e('chat_quarantine.seq', '=', FILE),
            e.not(
              e.exists(
                e
                  .selectFrom('chat_attachments as a')
                  .select('a.number')
                  .whereRef('a.id', '=', 'chat_quarantine.id'),
              ),
            ),
          ]),
        ]),
      ),
  ),
  remove: statement<{ id: string }>()((db) => db.deleteFrom('chat_quarantine').where('id', '=', param('id'))),
};

/**
 * Every table with content of a session: what a hold looks at in it, and how all of it goes with its session. A test holds
 * it against the schema.
 */
export const SESSION_CONTENT = {
  chat_messages: { live: removal.live, remove: removal.messages },
  chat_attachments: { live: attachments.ofSession, remove: removal.attachments },
  chat_quarantine: { live: quarantine.ofSession, remove: removal.quarantine },
} as const;

export const journaled = {
  head: statement()((db) => db.selectFrom('chat_journal').select((e) => e.fn.max('seq').as('seq'))),
  insert: statement<{ seq: number; at: string; entry: string }>()((db) =>
    db
      .insertInto('chat_journal')
      .values({ seq: param('seq'), at: param<string>('at'), entry: param('entry') }),
  ),
  after: statement<{ after: number }>()((db) =>
    db.selectFrom('chat_journal').selectAll().where('seq', '>', param('after')).orderBy('seq'),
  ),
};

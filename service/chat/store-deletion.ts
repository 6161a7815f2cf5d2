import { param, statement } from '../storage/statement.ts';

/** The queries of deletion. What is gone keeps its place and loses everything else. */

type InSession = { session: number };
type Gone = { deleted_at: string; deleted_by: string };

export const removal = {
  /** What a hold looks at, and what a range is made of. */
  live: statement<InSession>()((db) =>
    db
      .selectFrom('chat_messages')
      .select(['seq', 'subject', 'created_at', 'bytes'])
      .where('session', '=', param('session'))
      .where('deleted_at', 'is', null)
      .orderBy('seq'),
  ),
  tombstone: statement<InSession & Gone & { from: number; to: number }>()((db) =>
    db
      .updateTable('chat_messages')
      .set((e) => ({
        deleted_at: param('deleted_at'),
        deleted_by: param('deleted_by'),
        binned_at: null,
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
      .select(['number', 'message', 'blob'])
      .where('session', '=', param('session')),
  ),
  remove: statement<{ number: number }>()((db) =>
    db.deleteFrom('chat_attachments').where('number', '=', param('number')),
  ),
  usersOf: statement<{ blob: string }>()((db) =>
    db.selectFrom('chat_attachments').select('number').where('blob', '=', param('blob')).limit(1),
  ),
};

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

import type { Insertable, Selectable } from 'kysely';
import { param, statement } from '../../storage/statement.ts';
import type { Tables } from '../../storage/tables.ts';

/** The queries of erasures, and the one selector of a subject's content: its access report and its erasure use no other. */

export type ErasureRow = Selectable<Tables['chat_erasures']>;
type Scoped<T> = T & { project_id: string };
type OfSubject = { subject: number };

export const erasures = {
  insert: statement<Insertable<Tables['chat_erasures']>>()((db) =>
    db.insertInto('chat_erasures').values({
      project_id: param('project_id'),
      id: param('id'),
      subject: param('subject'),
      state: param('state'),
      requested_by: param('requested_by'),
      requested_at: param('requested_at'),
      reason: param('reason'),
      document: param('document'),
    }),
  ),
  byId: statement<Scoped<{ id: string }>>()((db) =>
    db
      .selectFrom('chat_erasures')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  ofSubject: statement<Scoped<OfSubject>>()((db) =>
    db
      .selectFrom('chat_erasures')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('subject', '=', param('subject'))
      .orderBy('id', 'desc')
      .limit(1),
  ),
  unfinished: statement<Scoped<object>>()((db) =>
    db
      .selectFrom('chat_erasures')
      .select(['id', 'state'])
      .where('project_id', '=', param('project_id'))
      .where('state', '!=', 'done')
      .orderBy('id'),
  ),
  update: statement<
    Scoped<{
      id: string;
      state: string;
      finished_at: string | null;
      document: string;
      certificate: string | null;
    }>
  >()((db) =>
    db
      .updateTable('chat_erasures')
      .set({
        state: param('state'),
        finished_at: param('finished_at'),
        document: param('document'),
        certificate: param('certificate'),
      })
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
};

export const ofSubject = {
  /** With what is sealed of them. */
  attachments: statement<{ session: number; subject: number }>()((db) =>
    db
      .selectFrom('chat_attachments')
      .selectAll()
      .where('session', '=', param('session'))
      .where('subject', '=', param('subject'))
      .orderBy('number'),
  ),
  /** Sessions in which anything is about a subject, by their numbers. */
  sessions: statement<OfSubject & { after: number; limit: number }>()((db) =>
    db
      .selectFrom(
        db
          .selectFrom('chat_sessions')
          .select('number as session')
          .where('subject', '=', param('subject'))
          .where('deleted_at', 'is', null)
          .union(
            db
              .selectFrom('chat_messages')
              .select('session')
              .where('subject', '=', param('subject'))
              .where('deleted_at', 'is', null),
          )
          .union(db.selectFrom('chat_attachments').select('session').where('subject', '=', param('subject')))
          .union(db.selectFrom('chat_quarantine').select('session').where('subject', '=', param('subject')))
          .as('found'),
      )
      .select('session')
      .where('session', '>', param('after'))
      .orderBy('session')
      .limit(param('limit')),
  ),
  messages: statement<OfSubject & { session: number; after: number; limit: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .selectAll()
      .where('session', '=', param('session'))
      .where('seq', '>', param('after'))
      .where('subject', '=', param('subject'))
      .where('deleted_at', 'is', null)
      .orderBy('seq')
      .limit(param('limit')),
  ),
  /** Where the next so many messages of a subject in a session end. */
  end: statement<OfSubject & { session: number; after: number; skip: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .select('seq')
      .where('session', '=', param('session'))
      .where('seq', '>', param('after'))
      .where('subject', '=', param('subject'))
      .where('deleted_at', 'is', null)
      .orderBy('seq')
      .limit(1)
      .offset(param('skip')),
  ),
  /** How much of a session is about whom. */
  shares: statement<{ session: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .select((e) => ['subject', e.fn.countAll<number>().as('messages')])
      .where('session', '=', param('session'))
      .where('deleted_at', 'is', null)
      .groupBy('subject'),
  ),
};

/** `seq` of the newest leaf: of the change that was recorded last in the same transaction. */
export const lastLeaf = statement()((db) =>
  db.selectFrom('audit_entries').select((e) => e.fn.max('seq').as('seq')),
);

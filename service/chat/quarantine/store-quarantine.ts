import type { Insertable } from 'kysely';
import { param, statement } from '../../storage/statement.ts';
import type { Tables } from '../../storage/tables.ts';
import type { Reader } from '../../storage/transaction.ts';

/** The queries of what waits in quarantine. What lies in the bin, or in a session that is gone, waits no more. */

/** Stands where a message has its `seq`, a title 0: the original is that of the file of the same id. */
export const FILE = -1;

type Scoped<T> = T & { project_id: string };

export const originals = {
  insert: statement<Insertable<Tables['chat_quarantine']>>()((db) =>
    db.insertInto('chat_quarantine').values({
      project_id: param('project_id'),
      id: param('id'),
      session: param('session'),
      subject: param('subject'),
      author: param('author'),
      key_id: param('key_id'),
      row_version: param('row_version'),
      state: param('state'),
      approved_by: null,
      created_at: param('created_at'),
      updated_at: param('updated_at'),
      findings: param('findings'),
      body: param('body'),
      seq: param('seq'),
    }),
  ),
  /** That of a message. */
  at: statement<{ session: number; seq: number }>()((db) =>
    db
      .selectFrom('chat_quarantine')
      .select('id')
      .where('session', '=', param('session'))
      .where('seq', '=', param('seq')),
  ),
  ofTitle: statement<{ session: number }>()((db) =>
    db
      .selectFrom('chat_quarantine')
      .select(['id', 'seq', 'key_id', 'body'])
      .where('session', '=', param('session'))
      .where('seq', '=', 0),
  ),
  ofFile: statement<{ session: number; id: string }>()((db) =>
    db
      .selectFrom('chat_quarantine')
      .select(['id', 'seq', 'key_id', 'body'])
      .where('session', '=', param('session'))
      .where('id', '=', param('id'))
      .where('seq', '=', FILE),
  ),
  move: statement<{ session: number; id: string; subject: number; key_id: number; body: Buffer }>()((db) =>
    db
      .updateTable('chat_quarantine')
      .set({
        subject: param<number>('subject'),
        key_id: param<number>('key_id'),
        body: param<Buffer>('body'),
      })
      .where('session', '=', param('session'))
      .where('id', '=', param('id'))
      .where('seq', '=', FILE),
  ),
  /** Nothing where somebody else was first. */
  approve: statement<Scoped<{ id: string; approved_by: string; reason: string; updated_at: string }>>()(
    (db) =>
      db
        .updateTable('chat_quarantine')
        .set({
          state: 'approved',
          approved_by: param<string>('approved_by'),
          reason: param<string>('reason'),
          updated_at: param<string>('updated_at'),
        })
        .where('project_id', '=', param('project_id'))
        .where('id', '=', param('id'))
        .where('state', '=', 'waiting'),
  ),
};

export interface Waiting {
  /** One alone. */
  id?: string;
  /** Those before this id. */
  before?: string | null;
  limit: number;
}

/** With their sessions, messages and files, the newest first. `message`: that of a file, too, once one names it. */
export function waitingIn(reader: Reader, project: string, { id, before = null, limit }: Waiting) {
  return reader.query((db) => {
    let query = db
      .selectFrom('chat_quarantine as q')
      .innerJoin('chat_sessions as s', 's.number', 'q.session')
      .leftJoin('chat_attachments as a', (join) => join.onRef('a.id', '=', 'q.id').on('q.seq', '=', FILE))
      .leftJoin('chat_messages as m', (join) =>
        join
          .onRef('m.session', '=', 'q.session')
          .on((e) => e('m.seq', '=', e.fn.coalesce('a.message', 'q.seq'))),
      )
      .selectAll('q')
      .select(['s.id as session_id', 's.class', 'm.role', 'm.seq as message', 'a.number as file'])
      .where('q.project_id', '=', project)
      .where('s.deleted_at', 'is', null)
      .where('s.binned_at', 'is', null)
      .where((e) => e.or([e('q.seq', '<>', FILE), e('a.id', 'is not', null)]))
      .where('a.binned_at', 'is', null)
      .where('m.binned_at', 'is', null)
      .where('m.deleted_at', 'is', null);
    if (id !== undefined) query = query.where('q.id', '=', id);
    if (before !== null) query = query.where('q.id', '<', before);
    return query.orderBy('q.id', 'desc').limit(limit);
  });
}

export type WaitingRow = Awaited<ReturnType<typeof waitingIn>>[number];

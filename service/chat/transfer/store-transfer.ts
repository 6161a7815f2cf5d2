import type { Insertable } from 'kysely';
import { param, statement } from '../../storage/statement.ts';
import type { Tables } from '../../storage/tables.ts';

/** The queries of exports and imports. */

export const places = {
  /** `bytes` stands before the content in its row, so that is not read. */
  sizes: statement<{ session: number; after: number; last: number; limit: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .select(['seq', 'bytes'])
      .where('session', '=', param('session'))
      .where('seq', '>', param('after'))
      .where('seq', '<=', param('last'))
      .orderBy('seq')
      .limit(param('limit')),
  ),
  /** Numbers of the keys that content of a session is sealed with. */
  keys: statement<{ session: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .select('key_id')
      .where('session', '=', param('session'))
      .where('body', 'is not', null)
      .union(
        db
          .selectFrom('chat_attachments')
          .select('key_id')
          .where('session', '=', param('session'))
          .where('message', 'is not', null),
      ),
  ),
  /** With what is gone. */
  between: statement<{ session: number; from: number; to: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .selectAll()
      .where('session', '=', param('session'))
      .where('seq', '>=', param('from'))
      .where('seq', '<=', param('to'))
      .orderBy('seq'),
  ),
};

/** A session that is being imported: gone for everybody until all of it is there. */
export const IMPORTING = 'import';

export const stage = {
  begin: statement<{
    id: string;
    project_id: string;
    subject: number;
    author: number;
    person_id: string;
    deleted_at: string;
  }>()((db) =>
    db
      .insertInto('chat_sessions')
      .values({
        ...{
          project_id: param('project_id'),
          id: param('id'),
          subject: param('subject'),
          class: 'importing',
        },
        ...{ author: param('author'), person_id: param('person_id'), key_id: 0, row_version: 1, last_seq: 0 },
        ...{ messages: 0, bytes: 0, version: 1, created_at: param<string>('deleted_at') },
        ...{
          updated_at: param<string>('deleted_at'),
          deleted_at: param('deleted_at'),
          deleted_by: IMPORTING,
        },
      })
      .returning('number'),
  ),
  tombstone: statement<
    Pick<
      Insertable<Tables['chat_messages']>,
      'session' | 'seq' | 'author' | 'role' | 'created_at' | 'deleted_at' | 'deleted_by'
    >
  >()((db) =>
    db.insertInto('chat_messages').values({
      ...{ session: param('session'), seq: param('seq'), author: param('author'), role: param('role') },
      ...{ key_id: 0, row_version: 1, bytes: 0, created_at: param('created_at') },
      ...{ deleted_at: param('deleted_at'), deleted_by: param('deleted_by') },
    }),
  ),
  finish: statement<
    Pick<
      Insertable<Tables['chat_sessions']>,
      | (
          | 'id'
          | 'class'
          | 'item_id'
          | 'foreign_author'
          | 'key_id'
          | 'last_seq'
          | 'messages'
          | 'bytes'
          | 'version'
        )
      | ('created_at' | 'updated_at' | 'title')
    > & { number: number }
  >()((db) =>
    db
      .updateTable('chat_sessions')
      .set({
        ...{ id: param<string>('id'), class: param<string>('class'), item_id: param<string>('item_id') },
        ...{ foreign_author: param<number>('foreign_author'), key_id: param<number>('key_id') },
        ...{ last_seq: param<number>('last_seq'), messages: param<number>('messages') },
        ...{ bytes: param<number>('bytes'), version: param<number>('version') },
        ...{ created_at: param<string>('created_at'), updated_at: param<string>('updated_at') },
        ...{ title: param<Buffer>('title'), deleted_at: null, deleted_by: null },
      })
      .where('number', '=', param('number'))
      .where('deleted_by', '=', IMPORTING),
  ),
  left: statement<{ project_id: string }>()((db) =>
    db
      .selectFrom('chat_sessions')
      .select(['number', 'id'])
      .where('project_id', '=', param('project_id'))
      .where('deleted_by', '=', IMPORTING),
  ),
  blobs: statement<{ session: number }>()((db) =>
    db.selectFrom('chat_attachments').select('blob').distinct().where('session', '=', param('session')),
  ),
  clear: {
    chat_messages: statement<{ session: number }>()((db) =>
      db.deleteFrom('chat_messages').where('session', '=', param('session')),
    ),
    chat_attachments: statement<{ session: number }>()((db) =>
      db.deleteFrom('chat_attachments').where('session', '=', param('session')),
    ),
    chat_quarantine: statement<{ session: number }>()((db) =>
      db.deleteFrom('chat_quarantine').where('session', '=', param('session')),
    ),
  },
  remove: statement<{ number: number }>()((db) =>
    db.deleteFrom('chat_sessions').where('number', '=', param('number')).where('deleted_by', '=', IMPORTING),
  ),
};

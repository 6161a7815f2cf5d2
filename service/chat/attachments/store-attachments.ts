import type { Insertable, Selectable } from 'kysely';
import { param, statement } from '../../storage/statement.ts';
import type { Tables } from '../../storage/tables.ts';

/** The queries of attachments. `message` is the `seq` of the message that names it. */

export type AttachmentRow = Selectable<Tables['chat_attachments']>;

export const attachments = {
  byId: statement<{ session: number; id: string }>()((db) =>
    db
      .selectFrom('chat_attachments')
      .selectAll()
      .where('id', '=', param('id'))
      .where('session', '=', param('session')),
  ),
  /** Of any session. */
  taken: statement<{ id: string }>()((db) =>
    db.selectFrom('chat_attachments').select('number').where('id', '=', param('id')),
  ),
  /** Of messages, in their order. */
  between: statement<{ session: number; from: number; to: number }>()((db) =>
    db
      .selectFrom('chat_attachments')
      .selectAll()
      .where('session', '=', param('session'))
      .where('message', '>=', param('from'))
      .where('message', '<=', param('to'))
      .where('binned_at', 'is', null)
      .orderBy('message')
      .orderBy('number'),
  ),
  /** Who has the same file already. */
  byBlob: statement<{ blob: string }>()((db) =>
    db
      .selectFrom('chat_attachments as a')
      .innerJoin('chat_sessions as s', 's.number', 'a.session')
      .select(['a.id', 'a.key_id', 'a.row_version', 'a.about', 's.id as session_id'])
      .where('a.blob', '=', param('blob'))
      .orderBy('a.number', 'desc')
      .limit(1),
  ),
  insert: statement<Insertable<Tables['chat_attachments']>>()((db) =>
    db.insertInto('chat_attachments').values({
      session: param('session'),
      message: param('message'),
      id: param('id'),
      subject: param('subject'),
      author: param('author'),
      key_id: param('key_id'),
      row_version: param('row_version'),
      bytes: param('bytes'),
      blob: param('blob'),
      created_at: param('created_at'),
      about: param('about'),
    }),
  ),
  replace: statement<{ number: number; key_id: number; row_version: number; about: Buffer }>()((db) =>
    db
      .updateTable('chat_attachments')
      .set({
        key_id: param<number>('key_id'),
        row_version: param<number>('row_version'),
        about: param<Buffer>('about'),
      })
      .where('number', '=', param('number')),
  ),
  /** Nothing changes where a message names it already. */
  bind: statement<{
    number: number;
    message: number;
    subject: number;
    key_id: number;
    row_version: number;
    about: Buffer;
  }>()((db) =>
    db
      .updateTable('chat_attachments')
      .set({
        message: param<number>('message'),
        subject: param<number>('subject'),
        key_id: param<number>('key_id'),
        row_version: param<number>('row_version'),
        about: param<Buffer>('about'),
      })
      .where('number', '=', param('number'))
      .where('message', 'is', null),
  ),
  highest: statement()((db) =>
    db.selectFrom('chat_attachments').select((e) => e.fn.max('number').as('number')),
  ),
  /** Sessions with files that no message named for long. */
  unusedBefore: statement<{ before: string; old: number; after: number; limit: number }>()((db) =>
    db
      .selectFrom('chat_attachments as a')
      .innerJoin('chat_sessions as s', 's.number', 'a.session')
      .select('s.number')
      .distinct()
      .where('a.message', 'is', null)
      .where('a.created_at', '<', param('before'))
      .where('a.number', '<=', param('old'))
      .where('s.deleted_at', 'is', null)
      .where('s.number', '>', param('after'))
      .orderBy('s.number')
      .limit(param('limit')),
  ),
};

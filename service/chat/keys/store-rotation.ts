import { param, statement } from '../../storage/statement.ts';

/** The queries of sealing content anew: what was sealed with keys up to a number, in the order of rows. */

interface Page {
  upTo: number;
  after: number;
  limit: number;
}
interface Resealed {
  number: number;
  key_id: number;
  row_version: number;
}

export const sealedBefore = {
  messages: statement<Page>()((db) =>
    db
      .selectFrom('chat_messages as m')
      .innerJoin('chat_sessions as s', 's.number', 'm.session')
      .select(['m.number', 'm.seq', 'm.key_id', 'm.row_version', 'm.body', 'm.tool_output'])
      .select('s.id as session')
      .where('m.number', '>', param('after'))
      .where('m.key_id', '<=', param('upTo'))
      .where('m.body', 'is not', null)
      .orderBy('m.number')
      .limit(param('limit')),
  ),
  titles: statement<Page>()((db) =>
    db
      .selectFrom('chat_sessions')
      .select(['number', 'id as session', 'key_id', 'row_version', 'title'])
      .where('number', '>', param('after'))
      .where('key_id', '<=', param('upTo'))
      .where('title', 'is not', null)
      .orderBy('number')
      .limit(param('limit')),
  ),
  attachments: statement<Page>()((db) =>
    db
      .selectFrom('chat_attachments as a')
      .innerJoin('chat_sessions as s', 's.number', 'a.session')
      .select(['a.number', 'a.id', 'a.key_id', 'a.row_version', 'a.about', 's.id as session'])
      .where('a.number', '>', param('after'))
      .where('a.key_id', '<=', param('upTo'))
      .where('a.about', 'is not', null)
      .orderBy('a.number')
      .limit(param('limit')),
  ),
};

export const sealedAgain = {
  message: statement<Resealed & { body: Buffer; tool_output: Buffer | null }>()((db) =>
    db
      .updateTable('chat_messages')
      .set({
        key_id: param<number>('key_id'),
        row_version: param<number>('row_version'),
        body: param('body'),
        tool_output: param('tool_output'),
      })
      .where('number', '=', param('number')),
  ),
  title: statement<Resealed & { title: Buffer }>()((db) =>
    db
      .updateTable('chat_sessions')
      .set({
        key_id: param<number>('key_id'),
        row_version: param<number>('row_version'),
        title: param('title'),
      })
      .where('number', '=', param('number')),
  ),
  attachment: statement<Resealed & { about: Buffer }>()((db) =>
    db
      .updateTable('chat_attachments')
      .set({
        key_id: param<number>('key_id'),
        row_version: param<number>('row_version'),
        about: param('about'),
      })
      .where('number', '=', param('number')),
  ),
};

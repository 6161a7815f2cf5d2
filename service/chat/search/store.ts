import { param, statement } from '../../storage/statement.ts';
import type { MessageRow } from '../store.ts';

/** What the search asks of the database. */

/** A message with what the index has to know of its session. */
export type SearchedRow = MessageRow & {
  session_id: string;
  person_id: string;
  session_author: number;
  class: string;
};

export const searched = {
  head: statement()((db) =>
    db.selectFrom('audit_entries').select(['seq', 'leaf']).orderBy('seq', 'desc').limit(1),
  ),
  /** Messages that can be read now. */
  live: statement<{ session: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .select(['number', 'seq'])
      .where('session', '=', param('session'))
      .where('deleted_at', 'is', null)
      .where('binned_at', 'is', null)
      .orderBy('number'),
  ),
  /** Of these places, what is there. */
  at: statement<{ session: number; from: number; to: number; limit: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .selectAll()
      .where('session', '=', param('session'))
      .where('seq', '>=', param('from'))
      .where('seq', '<=', param('to'))
      .where('deleted_at', 'is', null)
      .where('binned_at', 'is', null)
      .orderBy('seq')
      .limit(param('limit')),
  ),
  /** Attachments of these messages. */
  files: statement<{ session: number }>()((db) =>
    db
      .selectFrom('chat_attachments as a')
      .innerJoin('chat_messages as m', (on) =>
        on.onRef('m.session', '=', 'a.session').onRef('m.seq', '=', 'a.message'),
      )
      .select('a.number')
      .where('a.session', '=', param('session'))
      .where('a.deleted_at', 'is', null)
      .where('a.binned_at', 'is', null)
      .where('m.deleted_at', 'is', null)
      .where('m.binned_at', 'is', null),
  ),
  /** What an event says. */
  event: statement<{ seq: number }>()((db) =>
    db.selectFrom('events').select('payload').where('seq', '=', param('seq')),
  ),
  titled: statement<{ after: number; limit: number }>()((db) =>
    db
      .selectFrom('chat_sessions')
      .selectAll()
      .where('number', '>', param('after'))
      .where('title', 'is not', null)
      .where('deleted_at', 'is', null)
      .where('binned_at', 'is', null)
      .orderBy('number')
      .limit(param('limit')),
  ),
  /** Messages of all sessions, to build an index of. */
  after: statement<{ after: number; limit: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .innerJoin('chat_sessions', 'chat_sessions.number', 'chat_messages.session')
      .selectAll('chat_messages')
      .select([
        'chat_sessions.id as session_id',
        'chat_sessions.person_id',
        'chat_sessions.author as session_author',
        'chat_sessions.class',
      ])
      .where('chat_messages.number', '>', param('after'))
      .where('chat_messages.deleted_at', 'is', null)
      .where('chat_messages.binned_at', 'is', null)
      .where('chat_sessions.deleted_at', 'is', null)
      .where('chat_sessions.binned_at', 'is', null)
      .orderBy('chat_messages.number')
      .limit(param('limit')),
  ),
  count: statement()((db) =>
    db
      .selectFrom('chat_sessions')
      .select((e) => e.fn.sum<number>('messages').as('count'))
      .where('deleted_at', 'is', null)
      .where('binned_at', 'is', null),
  ),
};

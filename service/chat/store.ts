import { param, statement } from '../storage/statement.ts';
import type { Insertable, Selectable } from 'kysely';
import type { Tables } from '../storage/tables.ts';
import type { Reader } from '../storage/transaction.ts';

/** The queries of sessions, messages, authors and subjects. */

export type SessionRow = Selectable<Tables['chat_sessions']>;
export type MessageRow = Selectable<Tables['chat_messages']>;
export type SubjectRow = Selectable<Tables['chat_subjects']>;
export type AuthorRow = Selectable<Tables['chat_authors']>;

type Scoped<T> = T & { project_id: string };
type New<T extends keyof Tables> = Insertable<Tables[T]>;

export const authors = {
  find: statement<Scoped<{ kind: string; id: string }>>()((db) =>
    db
      .selectFrom('chat_authors')
      .select('number')
      .where('project_id', '=', param('project_id'))
      .where('kind', '=', param('kind'))
      .where('id', '=', param('id')),
  ),
  insert: statement<New<'chat_authors'>>()((db) =>
    db
      .insertInto('chat_authors')
      .values({
        project_id: param('project_id'),
        kind: param('kind'),
        id: param('id'),
        person_id: param('person_id'),
      })
      .returning('number'),
  ),
  byNumber: statement<{ number: number }>()((db) =>
    db.selectFrom('chat_authors').selectAll().where('number', '=', param('number')),
  ),
};

export const subjects = {
  byLookup: statement<Scoped<{ lookup: string }>>()((db) =>
    db
      .selectFrom('chat_subjects')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('lookup', '=', param('lookup')),
  ),
  byNumber: statement<{ number: number }>()((db) =>
    db.selectFrom('chat_subjects').selectAll().where('number', '=', param('number')),
  ),
  byId: statement<{ id: string }>()((db) =>
    db.selectFrom('chat_subjects').selectAll().where('id', '=', param('id')),
  ),
  insert: statement<New<'chat_subjects'>>()((db) =>
    db
      .insertInto('chat_subjects')
      .values({
        project_id: param('project_id'),
        id: param('id'),
        lookup: param('lookup'),
        state: param('state'),
        created_at: param('created_at'),
        name: param<Buffer | null>('name'),
      })
      .returning('number'),
  ),
  name: statement<{ number: number; name: Buffer | null }>()((db) =>
    db
      .updateTable('chat_subjects')
      .set({ name: param<Buffer | null>('name') })
      .where('number', '=', param('number')),
  ),
  state: statement<{ number: number; state: string; erased_at: string | null }>()((db) =>
    db
      .updateTable('chat_subjects')
      .set({ state: param('state'), erased_at: param('erased_at') })
      .where('number', '=', param('number')),
  ),
};

export const sessions = {
  byId: statement<Scoped<{ id: string }>>()((db) =>
    db
      .selectFrom('chat_sessions')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  byNumber: statement<{ number: number }>()((db) =>
    db.selectFrom('chat_sessions').selectAll().where('number', '=', param('number')),
  ),
  insert: statement<New<'chat_sessions'>>()((db) =>
    db
      .insertInto('chat_sessions')
      .values({
        project_id: param('project_id'),
        id: param('id'),
        subject: param('subject'),
        class: param('class'),
        item_id: param('item_id'),
        author: param('author'),
        person_id: param('person_id'),
        key_id: param('key_id'),
        row_version: param('row_version'),
        last_seq: param('last_seq'),
        messages: param('messages'),
        bytes: param('bytes'),
        version: param('version'),
        created_at: param('created_at'),
        updated_at: param('updated_at'),
        title: param('title'),
      })
      .returning('number'),
  ),
  /** A session that is known only by its end. */
  insertGone: statement<
    Scoped<{ id: string; subject: number; author: number; deleted_at: string; deleted_by: string }>
  >()((db) =>
    db.insertInto('chat_sessions').values({
      ...{ project_id: param('project_id'), id: param('id'), subject: param('subject'), class: 'deleted' },
      ...{
        author: param('author'),
        person_id: 'system',
        key_id: 0,
        row_version: 1,
        last_seq: 0,
        messages: 0,
      },
      ...{
        bytes: 0,
        version: 1,
        created_at: param<string>('deleted_at'),
        updated_at: param<string>('deleted_at'),
      },
      ...{ deleted_at: param<string>('deleted_at'), deleted_by: param<string>('deleted_by') },
    }),
  ),
  /** Takes the next places, for so many messages of so many bytes together; nothing where the session is not there any more. */
  grow: statement<{ number: number; count: number; bytes: number; updated_at: string }>()((db) =>
    db
      .updateTable('chat_sessions')
      .set((e) => ({
        last_seq: e('last_seq', '+', param('count')),
        messages: e('messages', '+', param('count')),
        bytes: e('bytes', '+', param('bytes')),
        updated_at: param('updated_at'),
      }))
      .where('number', '=', param('number'))
      .where('deleted_at', 'is', null)
      .where('binned_at', 'is', null)
      .returning(['last_seq', 'messages', 'bytes']),
  ),
  /** Another title, sealed for the next version of the row. */
  retitle: statement<{ number: number; key_id: number; row_version: number; title: Buffer }>()((db) =>
    db
      .updateTable('chat_sessions')
      .set({
        key_id: param<number>('key_id'),
        row_version: param<number>('row_version'),
        title: param<Buffer>('title'),
      })
      .where('number', '=', param('number')),
  ),
};

export const messages = {
  byKey: statement<{ session: number; idempotency: string }>()((db) =>
    db
      .selectFrom('chat_messages')
      .select(['seq', 'digest', 'findings', 'created_at', 'deleted_at'])
      .where('session', '=', param('session'))
      .where('idempotency', '=', param('idempotency')),
  ),
  bySeq: statement<{ session: number; seq: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .selectAll()
      .where('session', '=', param('session'))
      .where('seq', '=', param('seq')),
  ),
  insert: statement<New<'chat_messages'>>()((db) =>
    db.insertInto('chat_messages').values({
      session: param('session'),
      seq: param('seq'),
      subject: param('subject'),
      author: param('author'),
      role: param('role'),
      key_id: param('key_id'),
      row_version: param('row_version'),
      bytes: param('bytes'),
      created_at: param('created_at'),
      idempotency: param('idempotency'),
      digest: param('digest'),
      findings: param('findings'),
      body: param('body'),
      tool_output: param('tool_output'),
    }),
  ),
  /** What its findings say after a decision. */
  decide: statement<{ session: number; seq: number; findings: string }>()((db) =>
    db
      .updateTable('chat_messages')
      .set({ findings: param<string>('findings') })
      .where('session', '=', param('session'))
      .where('seq', '=', param('seq')),
  ),
  /** Other content in the same place, sealed for the next version of the row. */
  replace: statement<
    { session: number; seq: number; key_id: number; row_version: number } & {
      body: Buffer;
      tool_output: Buffer | null;
    }
  >()((db) =>
    db
      .updateTable('chat_messages')
      .set({
        key_id: param<number>('key_id'),
        row_version: param<number>('row_version'),
        body: param<Buffer>('body'),
        tool_output: param<Buffer>('tool_output'),
      })
      .where('session', '=', param('session'))
      .where('seq', '=', param('seq')),
  ),
  after: statement<{ session: number; after: number; limit: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .selectAll()
      .where('session', '=', param('session'))
      .where('seq', '>', param('after'))
      .where('deleted_at', 'is', null)
      .where('binned_at', 'is', null)
      .orderBy('seq')
      .limit(param('limit')),
  ),
  before: statement<{ session: number; before: number; limit: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .selectAll()
      .where('session', '=', param('session'))
      .where('seq', '<', param('before'))
      .where('deleted_at', 'is', null)
      .where('binned_at', 'is', null)
      .orderBy('seq', 'desc')
      .limit(param('limit')),
  ),
  /** With what is gone, for exports. */
  allAfter: statement<{ session: number; after: number; limit: number }>()((db) =>
    db
      .selectFrom('chat_messages')
      .selectAll()
      .where('session', '=', param('session'))
      .where('seq', '>', param('after'))
      .orderBy('seq')
      .limit(param('limit')),
  ),
};

const anySubject = statement()((db) => db.selectFrom('chat_subjects').select('number').limit(1));

/** Whether something was sealed already, so that its keys must be there. */
export async function hasSealedContent(reader: Reader): Promise<boolean> {
  return (await reader.get(anySubject, {})) !== undefined;
}

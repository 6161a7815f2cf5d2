import { param, statement } from '../../storage/statement.ts';
import type { Reader } from '../../storage/transaction.ts';

/** What a lost keyring takes along, and subjects whose names come back with it. */

/** A session with what of it was sealed. */
export interface SealedSession {
  id: string;
  class: string;
  messages: number;
}

export const sealedSessions = statement<{ project_id: string }>()((db) =>
  db
    .selectFrom('chat_sessions')
    .select(['id', 'class', 'messages'])
    .where('project_id', '=', param('project_id'))
    .where('deleted_at', 'is', null)
    .orderBy('number'),
);

const messagesLeft = statement()((db) =>
  db
    .selectFrom('chat_messages')
    .select((e) => [e.fn.countAll<number>().as('count'), e.fn.max('key_id').as('last')])
    .where('body', 'is not', null),
);
const titlesLeft = statement()((db) =>
  db
    .selectFrom('chat_sessions')
    .select((e) => [e.fn.count<number>('title').as('count'), e.fn.max('key_id').as('last')]),
);
const filesLeft = statement()((db) =>
  db
    .selectFrom('chat_attachments')
    .select((e) => [e.fn.countAll<number>().as('count'), e.fn.max('key_id').as('last')]),
);
const waitingLeft = statement()((db) =>
  db
    .selectFrom('chat_quarantine')
    .select((e) => [e.fn.countAll<number>().as('count'), e.fn.max('key_id').as('last')]),
);
const namesLeft = statement()((db) =>
  db.selectFrom('chat_subjects').select((e) => e.fn.count<number>('name').as('count')),
);

export interface SealedCounts {
  messages: number;
  titles: number;
  attachments: number;
  quarantined: number;
  subjects: number;
}

/** How much is sealed, and the highest number of a key that something is sealed with. */
export async function sealedCounts(reader: Reader): Promise<{ counts: SealedCounts; upTo: number }> {
  const [messages, titles, files, waiting, names] = [
    await reader.get(messagesLeft, {}),
    await reader.get(titlesLeft, {}),
    await reader.get(filesLeft, {}),
    await reader.get(waitingLeft, {}),
    await reader.get(namesLeft, {}),
  ];
  return {
    counts: {
      messages: Number(messages?.count ?? 0),
      titles: Number(titles?.count ?? 0),
      attachments: Number(files?.count ?? 0),
      quarantined: Number(waiting?.count ?? 0),
      subjects: Number(names?.count ?? 0),
    },
    upTo: Math.max(...[messages, titles, files, waiting].map((one) => Number(one?.last ?? 0))),
  };
}

export const namedSubjects = statement<{ project_id: string }>()((db) =>
  db
    .selectFrom('chat_subjects')
    .select(['number', 'id', 'lookup', 'name', 'state'])
    .where('project_id', '=', param('project_id'))
    .where('name', 'is not', null)
    .orderBy('number'),
);

export const findAgain = statement<{ number: number; lookup: string; name: Buffer }>()((db) =>
  db
    .updateTable('chat_subjects')
    .set({ lookup: param<string>('lookup'), name: param<Buffer>('name') })
    .where('number', '=', param('number')),
);

import type { Insertable } from 'kysely';
import { param, statement } from '../../storage/statement.ts';
import type { Tables } from '../../storage/tables.ts';
import type { Reader } from '../../storage/transaction.ts';
import type { Hold } from './holds.ts';

/** The queries of holds that are placed, listed and released; those that deletion asks are in `store-deletion.ts`. */

type Scoped<T> = T & { project_id: string };

export const holdRows = {
  insert: statement<Insertable<Tables['chat_holds']>>()((db) =>
    db.insertInto('chat_holds').values({
      project_id: param('project_id'),
      id: param('id'),
      subject: param('subject'),
      session: param('session'),
      class: param('class'),
      from_at: param('from_at'),
      to_at: param('to_at'),
      reason: param('reason'),
      placed_by: param('placed_by'),
      placed_at: param('placed_at'),
    }),
  ),
  byId: statement<Scoped<{ id: string }>>()((db) =>
    db
      .selectFrom('chat_holds')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  release: statement<Scoped<{ id: string; released_by: string; released_at: string }>>()((db) =>
    db
      .updateTable('chat_holds')
      .set({ released_by: param('released_by'), released_at: param('released_at') })
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id'))
      .where('released_at', 'is', null),
  ),
};

/** What is there of that which a hold covers; the same rule as `covers` in `holds.ts`, for counting in one query. */
export async function countCovered(
  reader: Reader,
  projectId: string,
  hold: Hold,
): Promise<{ sessions: number; messages: number; bytes: number }> {
  const [row] = await reader.query((db) => {
    let query = db
      .selectFrom('chat_messages as m')
      .innerJoin('chat_sessions as s', 's.number', 'm.session')
      .where('s.project_id', '=', projectId)
      .where('m.deleted_at', 'is', null);
    if (hold.subject !== null) query = query.where('m.subject', '=', hold.subject);
    if (hold.session !== null) query = query.where('m.session', '=', hold.session);
    if (hold.class !== null) query = query.where('s.class', '=', hold.class);
    if (hold.from_at !== null) query = query.where('m.created_at', '>=', hold.from_at);
    if (hold.to_at !== null) query = query.where('m.created_at', '<=', hold.to_at);
    return query.select((e) => [
      e.fn.count<number>('m.session').distinct().as('sessions'),
      e.fn.countAll<number>().as('messages'),
      e.fn.sum<number | null>('m.bytes').as('bytes'),
    ]);
  });
  // Postgres gives sums of large numbers as text.
  const number = (value: unknown): number => Number(value ?? 0);
  return {
    ...{ sessions: number(row?.sessions), messages: number(row?.messages), bytes: number(row?.bytes) },
  };
}

import type { Insertable } from 'kysely';
import { param, statement } from '../storage/statement.ts';
import type { Tables } from '../storage/tables.ts';

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

import type { Insertable, Selectable } from 'kysely';
import { param, statement } from '../../storage/statement.ts';
import type { Tables } from '../../storage/tables.ts';

/** The queries of grants. */

export type GrantRow = Selectable<Tables['chat_grants']>;
type Scoped<T> = T & { project_id: string };

export const grantRows = {
  inForce: statement<Scoped<{ person: string; team: string; now: string }>>()((db) =>
    db
      .selectFrom('chat_grants')
      .select(['session', 'kind'])
      .where('project_id', '=', param('project_id'))
      .where((e) => e.or([e('grantee', '=', param('person')), e('grantee', '=', param('team'))]))
      .where('state', '=', 'active')
      .where('starts_at', '<=', param('now'))
      .where('expires_at', '>', param('now')),
  ),
  insert: statement<Insertable<Tables['chat_grants']>>()((db) =>
    db.insertInto('chat_grants').values({
      project_id: param('project_id'),
      id: param('id'),
      session: param('session'),
      kind: param('kind'),
      grantee: param('grantee'),
      state: param('state'),
      requested_by: param('requested_by'),
      decided_by: param('decided_by'),
      starts_at: param('starts_at'),
      expires_at: param('expires_at'),
      reason: param('reason'),
      version: param('version'),
      created_at: param('created_at'),
      updated_at: param('updated_at'),
    }),
  ),
  byId: statement<Scoped<{ id: string }>>()((db) =>
    db
      .selectFrom('chat_grants')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  move: statement<
    Scoped<{ id: string; state: string; decided_by: string; starts_at: string; updated_at: string }>
  >()((db) =>
    db
      .updateTable('chat_grants')
      .set((e) => ({
        state: param('state'),
        decided_by: param('decided_by'),
        starts_at: param('starts_at'),
        updated_at: param('updated_at'),
        version: e('version', '+', 1),
      }))
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
};

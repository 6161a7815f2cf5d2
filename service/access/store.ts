import { opaqueText, param, statement } from '../storage/statement.ts';
import type { Tables } from '../storage/tables.ts';

/** The queries of people, tokens, links and sessions. */

type Scoped<T> = T & { project_id: string };

export const people = {
  all: statement<Scoped<object>>()((db) =>
    db
      .selectFrom('people')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .orderBy('created_at')
      .orderBy('id'),
  ),
  byId: statement<Scoped<{ id: string }>>()((db) =>
    db
      .selectFrom('people')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  insert: statement<Tables['people']>()((db) =>
    db.insertInto('people').values({
      project_id: param('project_id'),
      id: param('id'),
      name: param('name'),
      roles: param('roles'),
      status: param('status'),
      version: param('version'),
      created_at: param('created_at'),
      updated_at: param('updated_at'),
    }),
  ),
  /** Compare-and-set on the version. */
  update: statement<
    Scoped<{ id: string; status: string; roles: string; version: number; next: number; updated_at: string }>
  >()((db) =>
    db
      .updateTable('people')
      .set({
        status: param('status'),
        roles: param('roles'),
        version: param('next'),
        updated_at: param('updated_at'),
      })
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id'))
      .where('version', '=', param('version')),
  ),
};

export const tokens = {
  all: statement<Scoped<object>>()((db) =>
    db
      .selectFrom('tokens')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .orderBy('created_at')
      .orderBy('id'),
  ),
  /** With their last use. */
  listed: statement<Scoped<object>>()((db) =>
    db
      .selectFrom('tokens')
      .leftJoin('token_uses', (join) =>
        join
          .onRef('token_uses.token_id', '=', 'tokens.id')
          .onRef('token_uses.project_id', '=', 'tokens.project_id'),
      )
      .selectAll('tokens')
      .select('token_uses.used_at')
      .where('tokens.project_id', '=', param('project_id'))
      .orderBy('tokens.created_at')
      .orderBy('tokens.id'),
  ),
  byId: statement<Scoped<{ id: string }>>()((db) =>
    db
      .selectFrom('tokens')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  /** With the person it belongs to: one look-up authenticates. */
  byHash: statement<{ hash: string }>()((db) =>
    db
      .selectFrom('tokens')
      .innerJoin('people', (join) =>
        join.onRef('people.id', '=', 'tokens.person_id').onRef('people.project_id', '=', 'tokens.project_id'),
      )
      .select([
        'tokens.id',
        'tokens.name',
        'tokens.roles',
        'tokens.expires_at',
        'tokens.revoked_at',
        'tokens.person_id',
        'tokens.project_id',
        'people.status',
        'people.roles as person_roles',
      ])
      .where('tokens.hash', '=', opaqueText('hash')),
  ),
  insert: statement<Tables['tokens']>()((db) =>
    db.insertInto('tokens').values({
      project_id: param('project_id'),
      id: param('id'),
      name: param('name'),
      person_id: param('person_id'),
      roles: param('roles'),
      hash: param('hash'),
      expires_at: param('expires_at'),
      revoked_at: param('revoked_at'),
      version: param('version'),
      created_at: param('created_at'),
      updated_at: param('updated_at'),
    }),
  ),
  revoke: statement<Scoped<{ id: string; version: number; next: number; at: string }>>()((db) =>
    db
      .updateTable('tokens')
      .set({ revoked_at: param('at'), updated_at: param('at'), version: param('next') })
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id'))
      .where('version', '=', param('version'))
      .where('revoked_at', 'is', null),
  ),
};

export const tokenUses = {
  put: statement<Tables['token_uses']>()((db) =>
    db
      .insertInto('token_uses')
      .values({
        project_id: param('project_id'),
        token_id: param('token_id'),
        used_at: param('used_at'),
      })
      .onConflict((conflict) =>
        conflict
          .columns(['project_id', 'token_id'])
          .doUpdateSet((row) => ({ used_at: row.ref('excluded.used_at') })),
      ),
  ),
};

export const links = {
  insert: statement<Tables['login_links']>()((db) =>
    db.insertInto('login_links').values({
      hash: param('hash'),
      project_id: param('project_id'),
      person_id: param('person_id'),
      expires_at: param('expires_at'),
      used_at: param('used_at'),
      created_at: param('created_at'),
    }),
  ),
  byHash: statement<{ hash: string }>()((db) =>
    db.selectFrom('login_links').selectAll().where('hash', '=', param('hash')),
  ),
  /** One winner: a link signs in once. */
  use: statement<{ hash: string; at: string }>()((db) =>
    db
      .updateTable('login_links')
      .set({ used_at: param('at') })
      .where('hash', '=', param('hash'))
      .where('used_at', 'is', null),
  ),
  deleteExpired: statement<{ before: string }>()((db) =>
    db.deleteFrom('login_links').where('expires_at', '<', param('before')),
  ),
  deleteOfPerson: statement<Scoped<{ person_id: string }>>()((db) =>
    db
      .deleteFrom('login_links')
      .where('project_id', '=', param('project_id'))
      .where('person_id', '=', param('person_id')),
  ),
  /** Used ones stay known until they expire, so that a second use is told from a wrong link. */
  deleteUnused: statement<Scoped<{ person_id: string }>>()((db) =>
    db
      .deleteFrom('login_links')
      .where('project_id', '=', param('project_id'))
      .where('person_id', '=', param('person_id'))
      .where('used_at', 'is', null),
  ),
};

export const sessions = {
  insert: statement<Tables['sessions']>()((db) =>
    db.insertInto('sessions').values({
      hash: param('hash'),
      project_id: param('project_id'),
      person_id: param('person_id'),
      family: param('family'),
      csrf: param('csrf'),
      created_at: param('created_at'),
      issued_at: param('issued_at'),
      seen_at: param('seen_at'),
      expires_at: param('expires_at'),
      replaced_at: param('replaced_at'),
    }),
  ),
  byHash: statement<{ hash: string }>()((db) =>
    db
      .selectFrom('sessions')
      .innerJoin('people', (join) =>
        join
          .onRef('people.id', '=', 'sessions.person_id')
          .onRef('people.project_id', '=', 'sessions.project_id'),
      )
      .selectAll('sessions')
      .select(['people.name', 'people.roles', 'people.status'])
      .where('sessions.hash', '=', opaqueText('hash')),
  ),
  ofFamily: statement<{ family: string }>()((db) =>
    db
      .selectFrom('sessions')
      .innerJoin('people', (join) =>
        join
          .onRef('people.id', '=', 'sessions.person_id')
          .onRef('people.project_id', '=', 'sessions.project_id'),
      )
      .select(['sessions.expires_at', 'people.status'])
      .where('sessions.family', '=', param('family')),
  ),
  touch: statement<{ hash: string; at: string }>()((db) =>
    db
      .updateTable('sessions')
      .set({ seen_at: param('at') })
      .where('hash', '=', param('hash')),
  ),
  replace: statement<{ hash: string; at: string }>()((db) =>
    db
      .updateTable('sessions')
      .set({ replaced_at: param('at') })
      .where('hash', '=', param('hash'))
      .where('replaced_at', 'is', null),
  ),
  lastSeen: statement<Scoped<object>>()((db) =>
    db
      .selectFrom('sessions')
      .select((e) => ['person_id', e.fn.max('seen_at').as('seen_at')])
      .where('project_id', '=', param('project_id'))
      .groupBy('person_id'),
  ),
  deleteFamily: statement<{ family: string }>()((db) =>
    db.deleteFrom('sessions').where('family', '=', param('family')),
  ),
  deleteOfPerson: statement<Scoped<{ person_id: string }>>()((db) =>
    db
      .deleteFrom('sessions')
      .where('project_id', '=', param('project_id'))
      .where('person_id', '=', param('person_id')),
  ),
  deleteExpired: statement<{ before: string }>()((db) =>
    db.deleteFrom('sessions').where('expires_at', '<', param('before')),
  ),
};

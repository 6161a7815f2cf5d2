import { AbilityBuilder, createMongoAbility, subject as tagged } from '@casl/ability';
import type { MongoAbility } from '@casl/ability';
import { expressionBuilder, sql, type Expression, type SqlBool } from 'kysely';
import type { Principal } from '../access/principal.ts';
import { isAgent } from '../access/roles.ts';
import type { Tables } from '../storage/tables.ts';
import type { SessionRow } from './store.ts';

/**
 * Who may do what with which session. Default-deny: a session is its author's person's, and an agent's token has its own
 * alone; further readers have a grant. A single session is checked by `Reach.can`, a list by `Reach.filter`; both are made
 * from the same facts, and a property test holds them together.
 */

/** What somebody may do with a session. `see`: that it is there, its class, author, times and sizes, and no content. */
export type SessionAct = 'see' | 'read' | 'write' | 'delete';

/** A grant that is in force for the one who asks. `session` null: break-glass, every session. */
export interface GrantInForce {
  session: number | null;
}

/** Facts about the one who asks. */
export interface Asker {
  principal: Pick<Principal, 'roles' | 'personId' | 'permissions'>;
  /** Number of the author row; null: they never wrote. */
  author: number | null;
  grants: readonly GrantInForce[];
  /** Owners read what is not theirs by break-glass only. */
  breakGlass: boolean;
}

export const USE = 'factory.session.use';
export const READ_ALL = 'factory.session.read-all';
export const SEE_ALL = 'factory.session.metadata';

type Facts = Pick<SessionRow, 'number' | 'person_id' | 'author'>;

/** Whose content somebody may read: everyone's, or what is their own and what they were granted. */
export type Scope =
  'all' | { own: { author: number } | { person_id: string } | null; granted: readonly number[] };

export interface Reach {
  /** Whether every session, also one that comes later, can be read. */
  canReadAll: boolean;
  can(act: SessionAct, session: Facts): boolean;
  /** What a list shows to them, of whatever it is that has its session in it. */
  filter(act: 'see' | 'read'): Expression<SqlBool>;
  /** The same for what is no list of rows, such as the search index. */
  scope: Scope;
}

export function reachOf(asker: Asker): Reach {
  const ability = abilityOf(asker);
  const { permissions } = asker.principal;
  const byGrant = permissions.has(USE) && grantedTo(asker) === 'all';
  return {
    canReadAll: byGrant || (permissions.has(READ_ALL) && !asker.breakGlass),
    can: (act, { number, person_id, author }) =>
      ability.can(act, tagged('Session', { number, person_id, author })),
    filter: (act) => filterOf(asker, act),
    scope: scopeOf(asker),
  };
}

/** An agent's token reaches what it wrote itself; a person what they and their tokens wrote. */
function ownOf({ principal, author }: Asker): { author: number | null } | { person_id: string } {
  return isAgent(principal.roles) ? { author } : { person_id: principal.personId };
}

function abilityOf(asker: Asker): MongoAbility {
  const { can, build } = new AbilityBuilder<MongoAbility>(createMongoAbility);
  const { permissions } = asker.principal;
  if (permissions.has(SEE_ALL)) can('see', 'Session');
  if (permissions.has(READ_ALL) && !asker.breakGlass) can(['see', 'read', 'write', 'delete'], 'Session');
  if (permissions.has(USE)) {
    const own = ownOf(asker);
    // A condition on null would match nothing, and rows have no such author.
    if (!('author' in own) || own.author !== null)
      can(['see', 'read', 'write', 'delete'], 'Session', own as Record<string, unknown>);
    const granted = grantedTo(asker);
    if (granted === 'all') can(['see', 'read'], 'Session');
    else if (granted.length > 0) can(['see', 'read'], 'Session', { number: { $in: granted } });
  }
  return build();
}

function grantedTo({ grants }: Asker): 'all' | number[] {
  const numbers: number[] = [];
  for (const { session } of grants) {
    if (session === null) return 'all';
    numbers.push(session);
  }
  return numbers;
}

/** Of `read`, as `abilityOf` has it. */
function scopeOf(asker: Asker): Scope {
  const { permissions } = asker.principal;
  if (permissions.has(READ_ALL) && !asker.breakGlass) return 'all';
  if (!permissions.has(USE)) return { own: null, granted: [] };
  const granted = grantedTo(asker);
  if (granted === 'all') return 'all';
  const own = ownOf(asker);
  if ('person_id' in own) return { own, granted };
  return { own: own.author === null ? null : { author: own.author }, granted };
}

/** The same as `abilityOf`, as a condition on rows. */
function filterOf(asker: Asker, act: 'see' | 'read'): Expression<SqlBool> {
  const e = expressionBuilder<Tables, 'chat_sessions'>();
  const scope = scopeOf(asker);
  if (scope === 'all' || (act === 'see' && asker.principal.permissions.has(SEE_ALL)))
    return sql<SqlBool>`1 = 1`;
  const { own, granted } = scope;
  const ways: Expression<SqlBool>[] = [];
  if (own !== null && 'person_id' in own) ways.push(e('chat_sessions.person_id', '=', own.person_id));
  else if (own !== null) ways.push(e('chat_sessions.author', '=', own.author));
  if (granted.length > 0) ways.push(e('chat_sessions.number', 'in', granted));
  return ways.length === 0 ? sql<SqlBool>`1 = 0` : e.or(ways);
}

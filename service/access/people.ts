import { newId } from '../ids.ts';
import { FactoryError } from '../errors.ts';
import { recordChange, SYSTEM, type ChangeActor } from '../audit/events.ts';
import type { Storage, Transaction } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';
import type { AccessDependencies } from './dependencies.ts';
import { createActivePeople } from './active-people.ts';
import { checkName, checkRoles } from './checks.ts';
import { createLinks, isOwner, noPerson, type OneTimeLink } from './links.ts';
import { links as linkQueries, people, sessions, tokens } from './store.ts';

export type { OneTimeLink } from './links.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const INVITATION_MS = 7 * DAY_MS;
/** Of a link for somebody who has signed in before. */
const RETURN_MS = DAY_MS;

export interface PersonDocument {
  id: string;
  name: string;
  roles: string[];
  status: 'invited' | 'active' | 'removed';
  createdAt: string;
  lastSeenAt: string | null;
  tokens: TokenDocument[];
}

export interface TokenDocument {
  id: string;
  name: string;
  roles: string[];
  createdAt: string;
  /** To the minute; null: never. */
  lastUsedAt: string | null;
  expiresAt: string | null;
  revokedAt: string | null;
}

/** The members of a project and the one-time links that sign them in. */
export function createPeople(dependencies: AccessDependencies) {
  const { storage, audit, clock, projectId } = dependencies;
  const project_id = projectId;
  const links = createLinks(dependencies);
  const present = createActivePeople(storage, projectId);
  /** The row of a person as it is now, with its event and its leaf. */
  async function record(
    tx: Transaction,
    row: Tables['people'],
    type: string,
    payload: Record<string, unknown>,
    actor: ChangeActor,
  ): Promise<void> {
    const { id, version, updated_at: at } = row;
    present.forget(tx);
    await recordChange(tx, audit, {
      ...{ projectId, stream: 'person', streamId: id, version, type, payload, actor, at },
      action: `person.${type}`,
    });
  }

  async function add(
    tx: Transaction,
    actor: ChangeActor,
    name: string,
    roles: string[],
    status: string,
  ): Promise<string> {
    const id = newId();
    const at = clock.iso();
    const row = { id, name, roles: roles.join(' '), status, version: 1, created_at: at, updated_at: at };
    await tx.run(people.insert, { project_id, ...row });
    const type = status === 'invited' ? 'invited' : 'added';
    await record(tx, { project_id, ...row }, type, { name, roles, status }, actor);
    return id;
  }

  async function setStatus(
    tx: Transaction,
    row: Tables['people'],
    status: 'active' | 'removed',
    actor: ChangeActor,
  ): Promise<void> {
    const changed = await update(tx, { ...row, status });
    await record(tx, changed, status === 'active' ? 'joined' : 'removed', { status }, actor);
  }

  async function update(tx: Transaction, row: Tables['people']): Promise<Tables['people']> {
    const { id, status, roles, version } = row;
    const changed = { ...row, version: version + 1, updated_at: clock.iso() };
    const { version: next, updated_at } = changed;
    await tx.run(people.update, { project_id, id, status, roles, version, next, updated_at });
    return changed;
  }

  /** Who is not removed. Errors: `not-found`. */
  async function presentPerson(tx: Transaction, id: string, op: string): Promise<Tables['people']> {
    const row = await tx.get(people.byId, { project_id, id });
    if (!row || row.status === 'removed') throw noPerson(id, op);
    return row;
  }

  /** Errors: `last-owner` where nobody else could manage people. */
  async function assertOtherOwner(tx: Transaction, row: Tables['people'], op: string): Promise<void> {
    const others = (await tx.all(people.all, { project_id })).filter(({ id }) => id !== row.id);
    if (isOwner(row) && !others.some((other) => other.status === 'active' && isOwner(other)))
      throw lastOwner(row.id, op);
  }

  return {
    list: () => listPeople(storage, projectId),

    /** Adds a person who joins by the one-time link. Errors: `bad-input`. */
    invite(actor: ChangeActor, input: { name: string; role: string }): Promise<OneTimeLink> {
      const name = checkName(input.name, 'invite person');
      const roles = checkRoles([input.role], 'invite person');
      return storage.write(async (tx) =>
        links.make(tx, await add(tx, actor, name, roles, 'invited'), INVITATION_MS),
      );
    },

    /**
     * A new one-time link for somebody who is there already; older ones that nobody used end. `signOut` ends their
     * sign-ins too, for a link that somebody else has used. Errors: `not-found`.
     */
    link(actor: ChangeActor, id: string, { signOut = false } = {}): Promise<OneTimeLink> {
      return storage.write(async (tx) => {
        const row = await presentPerson(tx, id, 'make link');
        await tx.run(linkQueries.deleteUnused, { project_id, person_id: id });
        if (signOut) await tx.run(sessions.deleteOfPerson, { project_id, person_id: id });
        const link = await links.make(tx, id, row.status === 'invited' ? INVITATION_MS : RETURN_MS);
        await links.record(tx, actor, id, 'person.login-link');
        if (signOut) await links.record(tx, actor, id, 'session.signed-out-everywhere');
        return link;
      });
    },

    /**
     * Gives a person another role. It counts from their next request on, by cookie and by token: a token can do no more
     * than its person. Errors: `bad-input`, `not-found`, `last-owner`.
     */
    async setRole(actor: ChangeActor, id: string, role: string): Promise<void> {
      const op = 'change role';
      const roles = checkRoles([role], op);
      return storage.write(async (tx) => {
        const row = await presentPerson(tx, id, op);
        if (row.roles === roles.join(' ')) return;
        if (!roles.includes('owner')) await assertOtherOwner(tx, row, op);
        const changed = await update(tx, { ...row, roles: roles.join(' ') });
        await record(tx, changed, 'role-changed', { roles }, actor);
      });
    },

    /**
     * Removes a person: their sessions, links and tokens end with the same commit. Sessions and tokens stay known, so
     * that a later try by one is told in the log by whom it was. Errors: `not-found`, `last-owner`.
     */
    remove(actor: ChangeActor, id: string): Promise<void> {
      return storage.write(async (tx) => {
        const row = await presentPerson(tx, id, 'remove person');
        await assertOtherOwner(tx, row, 'remove person');
        await setStatus(tx, row, 'removed', actor);
        await tx.run(linkQueries.deleteOfPerson, { project_id, person_id: id });
      });
    },

    /** The first owner, made on the first start; their id. */
    ensureOwner(): Promise<string> {
      return storage.write(async (tx) => {
        const owner = (await tx.all(people.all, { project_id })).find(
          (row) => row.status !== 'removed' && isOwner(row),
        );
        return owner?.id ?? add(tx, SYSTEM, 'Owner', ['owner'], 'active');
      });
    },

    loginLink: links.loginLink,

    /** Marks an invited person as joined, by themselves unless another actor is named. */
    async join(tx: Transaction, row: Tables['people'], by?: ChangeActor): Promise<void> {
      const self: ChangeActor = { kind: 'person', id: row.id, personId: row.id, roles: row.roles.split(' ') };
      if (row.status === 'invited') await setStatus(tx, row, 'active', by ?? self);
    },

    active: present.read,
  };
}

/** The people of the project with their tokens, oldest first; removed ones too. */
async function listPeople(storage: Storage, projectId: string): Promise<PersonDocument[]> {
  const project_id = projectId;
  const [rows, tokenRows, seen] = await Promise.all([
    storage.read.all(people.all, { project_id }),
    storage.read.all(tokens.listed, { project_id }),
    storage.read.all(sessions.lastSeen, { project_id }),
  ]);
  const lastSeen = new Map(seen.map((row) => [row.person_id, row.seen_at]));
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    roles: row.roles.split(' '),
    status: row.status as PersonDocument['status'],
    createdAt: row.created_at,
    lastSeenAt: lastSeen.get(row.id) ?? null,
    tokens: tokenRows.filter((token) => token.person_id === row.id).map(tokenDocument),
  }));
}

export type People = ReturnType<typeof createPeople>;

export function tokenDocument(row: Tables['tokens'] & { used_at: string | null }): TokenDocument {
  return {
    id: row.id,
    name: row.name,
    roles: row.roles.split(' '),
    createdAt: row.created_at,
    lastUsedAt: row.used_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  };
}

function lastOwner(id: string, op: string): FactoryError {
  return new FactoryError({
    code: 'last-owner',
    op,
    target: id,
    message: 'This is the only owner; without one nobody could manage people.',
    hint: 'Invite another owner first: `npx factory people invite --name NAME --role owner`.',
  });
}

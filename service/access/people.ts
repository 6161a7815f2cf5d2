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

const INVITATION_MS = 7 * 24 * 60 * 60 * 1000;

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
  async function add(
    tx: Transaction,
    actor: ChangeActor,
    name: string,
    roles: string[],
    status: string,
  ): Promise<string> {
    const id = newId();
    const at = clock.iso();
    const row = {
      project_id,
      id,
      name,
      roles: roles.join(' '),
      status,
      version: 1,
      created_at: at,
      updated_at: at,
    };
    await tx.run(people.insert, row);
    present.forget(tx);
    await recordChange(
      tx,
      audit,
      personChange(row, status === 'invited' ? 'invited' : 'added', actor, { name, roles, status }),
    );
    return id;
  }

  function personChange(
    row: Tables['people'],
    type: string,
    actor: ChangeActor,
    payload: Record<string, unknown>,
  ): Parameters<typeof recordChange>[2] {
    const { id, version, updated_at: at } = row;
    return {
      projectId,
      stream: 'person',
      streamId: id,
      version,
      type,
      payload,
      actor,
      at,
      action: `person.${type}`,
    };
  }

  async function setStatus(
    tx: Transaction,
    row: Tables['people'],
    status: 'active' | 'removed',
    actor: ChangeActor,
  ) {
    const next = row.version + 1;
    const updated_at = clock.iso();
    present.forget(tx);
    await tx.run(people.setStatus, {
      project_id,
      id: row.id,
      status,
      version: row.version,
      next,
      updated_at,
    });
    const type = status === 'active' ? 'joined' : 'removed';
    await recordChange(
      tx,
      audit,
      personChange({ ...row, version: next, updated_at }, type, actor, { status }),
    );
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
     * Removes a person: their sessions, links and tokens end with the same commit. Sessions and tokens stay known, so
     * that a later try by one is told in the log by whom it was. Errors: `not-found`, `last-owner`.
     */
    remove(actor: ChangeActor, id: string): Promise<void> {
      return storage.write(async (tx) => {
        const row = await tx.get(people.byId, { project_id, id });
        if (!row || row.status === 'removed') throw noPerson(id, 'remove person');
        const others = (await tx.all(people.all, { project_id })).filter((other) => other.id !== id);
        if (isOwner(row) && !others.some((other) => other.status === 'active' && isOwner(other)))
          throw lastOwner(id);
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

function lastOwner(id: string): FactoryError {
  return new FactoryError({
    code: 'last-owner',
    op: 'remove person',
    target: id,
    message: 'This is the only owner; without one nobody could manage people.',
    hint: 'Invite another owner first: `npx factory people invite --name NAME --role owner`.',
  });
}

import { v7 as uuid } from 'uuid';
import type { Clock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { recordChange, SYSTEM, type ChangeActor } from '../audit/events.ts';
import type { AuditLog } from '../audit/log.ts';
import type { Reader, Storage, Transaction } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';
import { isRole, ROLES } from './roles.ts';
import { hashSecret, newSecret } from './secrets.ts';
import { links, people, sessions, tokens } from './store.ts';

const LOGIN_LINK_MS = 60 * 60 * 1000;
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
  expiresAt: string | null;
  revokedAt: string | null;
}

export interface OneTimeLink {
  id: string;
  url: string;
  expiresAt: string;
}

interface ActivePerson {
  id: string;
  name: string;
  roles: string[];
}

/** Every action asks who is there; the table hardly ever changes. */
const ACTIVE_CACHE_MS = 1000;

export interface AccessDependencies {
  storage: Storage;
  audit: AuditLog;
  clock: Clock;
  projectId: string;
  /** Known once the server listens, so it is asked for late. */
  baseUrl: () => string;
}

/** The members of a project and the one-time links that sign them in. */
export function createPeople({ storage, audit, clock, projectId, baseUrl }: AccessDependencies) {
  const project_id = projectId;
  let known: { active: ActivePerson[]; readAt: number } | null = null;

  /** Before the commit for what follows in the same batch, after it for what was read meanwhile. */
  function forgetActive(tx: Transaction): void {
    known = null;
    tx.afterCommit(() => (known = null));
  }

  async function makeLink(tx: Transaction, personId: string, lifetimeMs: number): Promise<OneTimeLink> {
    const secret = newSecret();
    const expiresAt = new Date(clock.now() + lifetimeMs).toISOString();
    await tx.run(links.deleteExpired, { before: clock.iso() });
    await tx.run(links.insert, {
      hash: hashSecret(secret),
      project_id,
      person_id: personId,
      expires_at: expiresAt,
      used_at: null,
      created_at: clock.iso(),
    });
    return { id: personId, url: `${baseUrl()}/login?link=${secret}`, expiresAt };
  }

  async function add(
    tx: Transaction,
    actor: ChangeActor,
    name: string,
    roles: string[],
    status: string,
  ): Promise<string> {
    const id = uuid();
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
    forgetActive(tx);
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
    forgetActive(tx);
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
    /** The people of the project with their tokens, oldest first; removed ones too. */
    async list(): Promise<PersonDocument[]> {
      const [rows, tokenRows, seen] = await Promise.all([
        storage.read.all(people.all, { project_id }),
        storage.read.all(tokens.all, { project_id }),
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
    },

    /** Adds a person who joins by the one-time link. Errors: `bad-input`. */
    invite(actor: ChangeActor, input: { name: string; role: string }): Promise<OneTimeLink> {
      const name = checkName(input.name, 'invite person');
      const roles = checkRoles([input.role], 'invite person');
      return storage.write(async (tx) =>
        makeLink(tx, await add(tx, actor, name, roles, 'invited'), INVITATION_MS),
      );
    },

    /** Removes a person: their sessions, links and tokens end with the same commit. Errors: `not-found`, `last-owner`. */
    remove(actor: ChangeActor, id: string): Promise<void> {
      return storage.write(async (tx) => {
        const row = await tx.get(people.byId, { project_id, id });
        if (!row || row.status === 'removed') throw noPerson(id, 'remove person');
        const others = (await tx.all(people.all, { project_id })).filter((other) => other.id !== id);
        if (isOwner(row) && !others.some((other) => other.status === 'active' && isOwner(other)))
          throw lastOwner(id);
        await setStatus(tx, row, 'removed', actor);
        await tx.run(sessions.deleteOfPerson, { project_id, person_id: id });
        await tx.run(links.deleteOfPerson, { project_id, person_id: id });
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

    /** A new one-time link for the first owner, or for `personId`. Errors: `not-found`. */
    loginLink(personId?: string): Promise<OneTimeLink> {
      return storage.write(async (tx) => {
        const rows = (await tx.all(people.all, { project_id })).filter((row) => row.status !== 'removed');
        const row = rows.find((one) => (personId ? one.id === personId : isOwner(one)));
        if (!row) throw noPerson(personId ?? 'an owner', 'make login link');
        const link = await makeLink(tx, row.id, LOGIN_LINK_MS);
        await audit.append(tx, {
          project: projectId,
          actor: { kind: 'system', id: 'system' },
          action: 'person.login-link',
          object: { kind: 'person', id: row.id },
          outcome: 'applied',
        });
        return link;
      });
    },

    /** Marks an invited person as joined; the caller has just spent their link. */
    async join(tx: Transaction, row: Tables['people']): Promise<void> {
      const actor: ChangeActor = {
        kind: 'person',
        id: row.id,
        personId: row.id,
        roles: row.roles.split(' '),
      };
      if (row.status === 'invited') await setStatus(tx, row, 'active', actor);
    },

    /** Active people as rules see them; what another process changed counts within a second. */
    async active(reader: Reader = storage.read): Promise<ActivePerson[]> {
      if (known && performance.now() - known.readAt < ACTIVE_CACHE_MS) return known.active;
      const rows = await reader.all(people.all, { project_id });
      const active = rows
        .filter((row) => row.status === 'active')
        .map(({ id, name, roles }) => ({ id, name, roles: roles.split(' ') }));
      known = { active, readAt: performance.now() };
      return active;
    },
  };
}

export type People = ReturnType<typeof createPeople>;

export function tokenDocument(row: Tables['tokens']): TokenDocument {
  return {
    id: row.id,
    name: row.name,
    roles: row.roles.split(' '),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  };
}

function isOwner(row: { roles: string }): boolean {
  return row.roles.split(' ').includes('owner');
}

/** Names are shown in lists and kept as given: one line, 1 to 200 characters. */
export function checkName(name: string, op: string): string {
  const trimmed = name.trim();
   
  if (
    trimmed.length >= 1 &&
    trimmed.length <= 200 &&
    !/[\u0000-\u001f\u007f]/.test(trimmed) &&
    trimmed.isWellFormed()
  ) {
    return trimmed;
  }
  throw badInput(op, 'name', 'A name is one line of 1 to 200 characters.');
}

export function checkRoles(roles: string[], op: string): string[] {
  const unknown = roles.filter((role) => !isRole(role));
  if (roles.length > 0 && unknown.length === 0) return [...new Set(roles)];
  const named = unknown.length > 0 ? `${unknown.join(', ')} is no role` : 'No role was given';
  throw badInput(op, 'role', `${named}; roles are ${ROLES.join(', ')}.`);
}

export function badInput(op: string, path: string, message: string): FactoryError {
  return new FactoryError({
    code: 'bad-input',
    op,
    target: path,
    message,
    hint: `Correct ${path} and send it again.`,
    details: { problems: [{ path, message }] },
  });
}

function noPerson(id: string, op: string): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op,
    target: id,
    message: `There is no person ${id}.`,
    hint: 'List the people with `npx factory people list`.',
  });
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

import { SYSTEM, type ChangeActor } from '../audit/events.ts';
import { FactoryError } from '../errors.ts';
import type { Transaction } from '../storage/transaction.ts';
import type { AccessDependencies } from './dependencies.ts';
import { hashSecret, newSecret } from './secrets.ts';
import { links, people } from './store.ts';

const LOGIN_LINK_MS = 60 * 60 * 1000;

export interface OneTimeLink {
  /** The person whom it signs in. */
  id: string;
  url: string;
  expiresAt: string;
}

/** One-time links: the only way in for people. The database holds hashes. */
export function createLinks({ storage, audit, clock, projectId, baseUrl }: AccessDependencies) {
  const project_id = projectId;

  async function make(tx: Transaction, personId: string, lifetimeMs: number): Promise<OneTimeLink> {
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

  /** A leaf without an event: links and sign-ins come and go and change nothing of the person. */
  async function record(
    tx: Transaction,
    actor: ChangeActor,
    personId: string,
    action: string,
  ): Promise<void> {
    await audit.append(tx, {
      project: projectId,
      actor: { kind: actor.kind, id: actor.id },
      action,
      object: { kind: 'person', id: personId },
      outcome: 'applied',
    });
  }

  return {
    make,
    record,

    /** A new one-time link for the first owner, or for `personId`. Errors: `not-found`. */
    loginLink(personId?: string): Promise<OneTimeLink> {
      return storage.write(async (tx) => {
        const rows = (await tx.all(people.all, { project_id })).filter((row) => row.status !== 'removed');
        const row = rows.find((one) => (personId ? one.id === personId : isOwner(one)));
        if (!row) throw noPerson(personId ?? 'an owner', 'make login link');
        const link = await make(tx, row.id, LOGIN_LINK_MS);
        await record(tx, SYSTEM, row.id, 'person.login-link');
        return link;
      });
    },
  };
}

export function isOwner(row: { roles: string }): boolean {
  return row.roles.split(' ').includes('owner');
}

export function noPerson(id: string, op: string): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op,
    target: id,
    message: `There is no person ${id}.`,
    hint: 'List the people with `npx factory people list`.',
  });
}

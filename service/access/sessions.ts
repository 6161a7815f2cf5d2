import { createHmac, timingSafeEqual } from 'node:crypto';
import { newId } from '../ids.ts';
import type { Principal } from '../work-items/types.ts';
import type { AccessDependencies } from './dependencies.ts';
import type { People } from './people.ts';
import { permissionsOf } from './roles.ts';
import { hashSecret, newSecret } from './secrets.ts';
import { links, people as peopleQueries, sessions } from './store.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Absolute end of a sign-in, and its end without use. */
const LIFETIME = 30 * DAY;
const IDLE = 7 * DAY;
/** The cookie's secret changes this often; the old one lives on shortly for requests under way. */
const ROTATE_AFTER = 12 * 60 * MINUTE;
const GRACE = MINUTE;
/** `seen_at` is written at most this often. */
const TOUCH_EVERY = MINUTE;

export interface SignedIn {
  principal: Principal;
  csrf: string;
  family: string;
  /** Set when the cookie has to be renewed with this secret. */
  renewed: string | null;
}

export interface SessionRefusal {
  refused: 'person-removed';
  personId: string;
}

export type LinkRefusal = 'link-unknown' | 'link-used' | 'link-expired' | 'person-removed';

/** Sign-ins of people by cookie. The database holds hashes only. */
export function createSessions(dependencies: AccessDependencies & { people: People }) {
  const { storage, audit, clock, projectId, people } = dependencies;
  const project_id = projectId;

  const newRow = (personId: string, family: string, createdAt: string) => {
    const secret = newSecret();
    const at = clock.iso();
    const row = {
      hash: hashSecret(secret),
      project_id,
      person_id: personId,
      family,
      csrf: newSecret(),
      created_at: createdAt,
      issued_at: at,
      seen_at: at,
      expires_at: new Date(Date.parse(createdAt) + LIFETIME).toISOString(),
      replaced_at: null,
    };
    return { secret, row };
  };

  const leaf = (action: string, personId: string) => ({
    project: projectId,
    actor: { kind: 'person' as const, id: personId },
    action,
    object: { kind: 'person' as const, id: personId },
    outcome: 'applied' as const,
  });

  return {
    /** Spends a one-time link: the new cookie's secret, or why not. */
    signInWithLink(
      link: string,
    ): Promise<{ secret: string } | { refused: LinkRefusal; personId: string | null }> {
      return storage.write(async (tx) => {
        const hash = hashSecret(link);
        const found = await tx.get(links.byHash, { hash });
        if (!found) return { refused: 'link-unknown', personId: null };
        const person = await tx.get(peopleQueries.byId, { project_id, id: found.person_id });
        const personId = found.person_id;
        if (!person || person.status === 'removed') return { refused: 'person-removed', personId };
        if (found.used_at) return { refused: 'link-used', personId };
        if (found.expires_at <= clock.iso()) return { refused: 'link-expired', personId };
        await tx.run(links.use, { hash, at: clock.iso() });
        await people.join(tx, person);
        const { secret, row } = newRow(person.id, newId(), clock.iso());
        await tx.run(sessions.deleteExpired, { before: clock.iso() });
        await tx.run(sessions.insert, row);
        await audit.append(tx, leaf('session.signed-in', person.id));
        return { secret };
      });
    },

    /** Whose cookie it is; null when it is unknown or over; refused when its person was removed. */
    async authenticate(secret: string): Promise<SignedIn | SessionRefusal | null> {
      const hash = hashSecret(secret);
      const row = await storage.read.get(sessions.byHash, { hash });
      const now = clock.now();
      if (row?.status === 'removed') return { refused: 'person-removed', personId: row.person_id };
      if (row?.status !== 'active') return null;
      if (Date.parse(row.expires_at) <= now || Date.parse(row.seen_at) + IDLE <= now) return null;
      if (row.replaced_at && Date.parse(row.replaced_at) + GRACE <= now) return null;
      const roles = row.roles.split(' ');
      const principal: Principal = {
        kind: 'person',
        id: row.person_id,
        name: row.name,
        personId: row.person_id,
        roles,
        permissions: permissionsOf(roles),
      };
      const signedIn = { principal, csrf: row.csrf, family: row.family, renewed: null };
      if (!row.replaced_at && Date.parse(row.issued_at) + ROTATE_AFTER <= now) {
        const next = newRow(row.person_id, row.family, row.created_at);
        // Forms that are open keep working: the token stays for the family.
        next.row.csrf = row.csrf;
        const won = await storage.write(async (tx) => {
          const { changes } = await tx.run(sessions.replace, { hash, at: clock.iso() });
          if (changes === 1) await tx.run(sessions.insert, next.row);
          return changes === 1;
        });
        return { ...signedIn, renewed: won ? next.secret : null };
      }
      if (Date.parse(row.seen_at) + TOUCH_EVERY <= now) {
        await storage.write((tx) => tx.run(sessions.touch, { hash, at: clock.iso() }));
      }
      return signedIn;
    },

    /** Whether a sign-in still stands, for requests that last; renews nothing. */
    async isOpen(family: string): Promise<boolean> {
      const rows = await storage.read.all(sessions.ofFamily, { family });
      return rows.some((row) => row.status === 'active' && Date.parse(row.expires_at) > clock.now());
    },

    signOut(signedIn: SignedIn): Promise<void> {
      return storage.write(async (tx) => {
        await tx.run(sessions.deleteFamily, { family: signedIn.family });
        await audit.append(tx, leaf('session.signed-out', signedIn.principal.personId));
      });
    },

    signOutEverywhere(personId: string): Promise<void> {
      return storage.write(async (tx) => {
        await tx.run(sessions.deleteOfPerson, { project_id, person_id: personId });
        await audit.append(tx, leaf('session.signed-out-everywhere', personId));
      });
    },
  };
}

export type Sessions = ReturnType<typeof createSessions>;

/** The token that forms of a session carry; masked by the session's own secret value, compared in constant time. */
export function csrfMatches(expected: string, given: unknown): boolean {
  if (typeof given !== 'string') return false;
  const digest = (text: string) => createHmac('sha256', 'csrf').update(text).digest();
  return timingSafeEqual(digest(expected), digest(given));
}

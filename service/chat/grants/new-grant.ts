import { isAgent } from '../../access/roles.ts';
import { FactoryError } from '../../errors.ts';
import type { Reader } from '../../storage/transaction.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import type { Finding } from '../messages/finding.ts';
import { BREAK_GLASS, TEAM } from './grants.ts';
import { MANAGE } from '../holds/holding.ts';
import type { Policies } from '../policies.ts';
import { noSession, permissionRefused } from '../refusals.ts';
import type { GrantRow } from './store-grants.ts';
import { sessions } from '../store.ts';

/** What is asked for when somebody is let in, and whether it can be given. */

export interface NewGrant {
  kind?: 'session' | 'break-glass' | undefined;
  /** Of break-glass absent: every session. */
  sessionId?: string | undefined;
  /** Id of a person, or `team`. Of break-glass: who asks. */
  grantee?: string | undefined;
  expiresAt: string;
  reason: string;
}

/** What the rest of the service knows of people. */
export interface PeopleFacts {
  isMember(personId: string): Promise<boolean>;
  /** How a second person's part is played. */
  secondPerson(): Promise<{ preset: 'solo' | 'team'; waitSeconds: number }>;
}

export interface GrantingDependencies extends ChatDependencies {
  finding: Finding;
  policies: Policies;
  people: PeopleFacts;
}

const LONGEST_MS = 365 * 86_400_000;
const LONGEST_BREAK_GLASS_MS = 86_400_000;

/** How break-glass goes here now. */
export type BreakGlassTerms = { on: boolean } & Awaited<ReturnType<PeopleFacts['secondPerson']>>;

type Fresh = Pick<GrantRow, 'session' | 'kind' | 'grantee' | 'state' | 'starts_at' | 'expires_at'>;

export function newGrants({ clock, projectId, finding, policies, people }: GrantingDependencies) {
  /** When it ends, as rows have their times. */
  function endOf(expiresAt: string, from: number, most: number): string {
    const end = Date.parse(expiresAt);
    if (end <= from) throw refused('expiresAt', 'Must be after it begins.');
    if (end > from + most)
      throw refused('expiresAt', `Must be within ${most / 3_600_000} hours of its beginning.`);
    return new Date(end).toISOString();
  }

  async function ofSession(tx: Reader, caller: Caller, input: NewGrant): Promise<Fresh> {
    if (input.sessionId === undefined) throw refused('sessionId', 'Must name the session.');
    const row = await finding.session(tx, caller, input.sessionId, 'write');
    const { grantee } = input;
    if (grantee === undefined) throw refused('grantee', 'Must be the id of a person, or `team`.');
    if (grantee !== TEAM && !(await people.isMember(grantee)))
      throw refused('grantee', 'Must be the id of somebody who belongs to the project, or `team`.');
    const times = { starts_at: clock.iso(), expires_at: endOf(input.expiresAt, clock.now(), LONGEST_MS) };
    return { session: row.number, kind: 'session', grantee, state: 'active', ...times };
  }

  async function breakGlass(tx: Reader, caller: Caller, input: NewGrant): Promise<Fresh> {
    if (!caller.permissions.has(MANAGE)) throw permissionRefused(MANAGE);
    if (!(await policies.general()).breakGlass) throw breakGlassOff();
    if (input.grantee !== undefined && input.grantee !== caller.personId)
      throw refused('grantee', 'Must be left out: break-glass is for whoever asks.');
    const { sessionId } = input;
    const session =
      sessionId === undefined ? null : await tx.get(sessions.byId, { project_id: projectId, id: sessionId });
    if (session === undefined) throw noSession(sessionId ?? '');
    const { preset, waitSeconds } = await people.secondPerson();
    const from = preset === 'solo' ? clock.now() + waitSeconds * 1000 : clock.now();
    const starts_at = new Date(from).toISOString();
    const expires_at = endOf(input.expiresAt, from, LONGEST_BREAK_GLASS_MS);
    const state = preset === 'solo' ? 'active' : 'requested';
    const grantee = caller.personId;
    return { session: session?.number ?? null, kind: BREAK_GLASS, grantee, state, starts_at, expires_at };
  }

  return {
    async terms(): Promise<BreakGlassTerms> {
      return { on: (await policies.general()).breakGlass, ...(await people.secondPerson()) };
    },
    /** Errors: `not-found`, `gone`, `permission-missing`, `input-refused`, `break-glass-off`. */
    async of(reader: Reader, caller: Caller, input: NewGrant): Promise<Fresh> {
      if (isAgent(caller.roles)) throw permissionRefused(MANAGE);
      const kind = input.kind ?? (input.sessionId === undefined ? BREAK_GLASS : 'session');
      return (kind === BREAK_GLASS ? breakGlass : ofSession)(reader, caller, input);
    },
  };
}

function refused(path: string, message: string): FactoryError {
  return new FactoryError({
    ...{ code: 'input-refused', op: 'let somebody in', target: path },
    message: `The request is not right: ${path}: ${message}`,
    hint: 'Correct the named field.',
    details: { problems: [{ path, message }] },
  });
}

function breakGlassOff(): FactoryError {
  return new FactoryError({
    ...{ code: 'break-glass-off', op: 'ask for break-glass' },
    message: 'The policy lets owners read every session: there is no glass to break.',
    hint: 'Read the session, or switch `general.breakGlass` on: PUT /api/governance/policies.',
  });
}

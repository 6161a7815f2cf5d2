import { isAgent } from '../../access/roles.ts';
import { recordChange } from '../../audit/events.ts';
import { FactoryError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Reader, Transaction } from '../../storage/transaction.ts';
import type { Caller } from '../dependencies.ts';
import { TEAM } from './grants.ts';
import { MANAGE } from '../holds/holding.ts';
import { newGrants } from './new-grant.ts';
import type { BreakGlassTerms, GrantingDependencies, NewGrant } from './new-grant.ts';
import { grantRows, type GrantRow } from './store-grants.ts';
import { sessions } from '../store.ts';

/**
 * Letting somebody read a session that is not theirs: its owner lets a person or the team in, until a time. Break-glass is for
 * owners of the installation where the policy hides sessions of others from them: with a reason, and another owner's consent
 * or, in the solo preset, after a waiting time.
 */

export interface GrantView {
  id: string;
  kind: 'session' | 'break-glass';
  sessionId: string | null;
  grantee: string;
  /** `requested`: waits for a second person. */
  state: 'requested' | 'active' | 'refused' | 'revoked' | 'expired';
  requestedBy: string;
  decidedBy: string | null;
  startsAt: string;
  expiresAt: string;
  /** Refused, revoked or expired. */
  endedAt: string | null;
  reason: string;
  createdAt: string;
}

export type GrantPlan = Pick<
  GrantView,
  'kind' | 'sessionId' | 'grantee' | 'state' | 'startsAt' | 'expiresAt'
>;

export interface Granting {
  /** Errors: `not-found`, `gone`, `permission-missing`, `input-refused`, `break-glass-off`. */
  make(caller: Caller, input: NewGrant): Promise<GrantView>;
  /** What would be made; changes nothing. Errors: those of `make`. */
  plan(caller: Caller, input: NewGrant): Promise<GrantPlan>;
  /** How break-glass goes here now. */
  terms(): Promise<BreakGlassTerms>;
  /** By another owner than the one who asked. Errors: `not-found`, `second-person-needed`, `grant-decided`. */
  decide(caller: Caller, id: string, verdict: 'approve' | 'refuse'): Promise<GrantView>;
  /** By whoever it concerns. Errors: `not-found`. */
  revoke(caller: Caller, id: string): Promise<void>;
  /** Errors: `not-found`. */
  show(caller: Caller, id: string): Promise<GrantView>;
  /** Those of a session to its owner; without one, those that concern the caller. Errors: `not-found`, `cursor-unknown`. */
  list(caller: Caller, query: GrantQuery): Promise<{ grants: GrantView[]; nextCursor: string | null }>;
}

export interface GrantQuery {
  sessionId?: string | undefined;
  /** Those in force, or that wait for somebody or something. */
  open?: boolean | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

const READ = 'factory.governance.read';
const LIST = 'grants';
const PAGE = 50;
const OPEN = ['active', 'requested'];
export function createGranting(deps: GrantingDependencies): Granting {
  const { storage, audit, clock, cursors, projectId, finding } = deps;

  async function viewOf(reader: Reader, row: GrantRow): Promise<GrantView> {
    const session =
      row.session === null ? null : await reader.get(sessions.byNumber, { number: row.session });
    const isOpen = OPEN.includes(row.state);
    const expired = isOpen && row.expires_at <= clock.iso();
    const ended = isOpen ? null : row.updated_at;
    return {
      ...{ id: row.id, kind: row.kind as GrantView['kind'], sessionId: session?.id ?? null },
      ...{ grantee: row.grantee, state: expired ? 'expired' : (row.state as GrantView['state']) },
      ...{ requestedBy: row.requested_by, decidedBy: row.decided_by, startsAt: row.starts_at },
      ...{ expiresAt: row.expires_at, endedAt: expired ? row.expires_at : ended },
      ...{ reason: row.reason, createdAt: row.created_at },
    };
  }

  async function record(tx: Transaction, caller: Caller, row: GrantRow, type: string): Promise<void> {
    const { kind, id, personId, roles } = caller;
    await recordChange(tx, audit, {
      ...{ projectId, stream: 'governance', streamId: row.id, version: row.version, type },
      payload: { kind: row.kind, session: row.session, grantee: row.grantee, until: row.expires_at },
      ...{ actor: { kind, id, personId, roles }, at: clock.iso(), action: `governance.${type}` },
    });
  }

  const fresh = newGrants(deps);

  async function found(reader: Reader, id: string): Promise<GrantRow> {
    const row = await reader.get(grantRows.byId, { project_id: projectId, id });
    if (!row) throw noGrant(id);
    return row;
  }

  async function ownsSession(reader: Reader, caller: Caller, number: number | null): Promise<boolean> {
    const row = number === null ? undefined : await reader.get(sessions.byNumber, { number });
    return row !== undefined && !isAgent(caller.roles) && (await finding.reach(caller)).can('write', row);
  }

  /** Whom it concerns: who asked, who was let in, whose session it is, and who governs. */
  async function concerned(reader: Reader, caller: Caller, id: string, governs: string): Promise<GrantRow> {
    const row = await found(reader, id);
    const party = [row.requested_by, row.grantee].includes(caller.personId) && !isAgent(caller.roles);
    if (party || caller.permissions.has(governs) || (await ownsSession(reader, caller, row.session)))
      return row;
    throw noGrant(id);
  }

  async function move(tx: Transaction, caller: Caller, row: GrantRow, state: string, type: string) {
    const starts_at = state === 'active' ? clock.iso() : row.starts_at;
    const by = { decided_by: caller.personId, starts_at, updated_at: clock.iso() };
    await tx.run(grantRows.move, { project_id: projectId, id: row.id, state, ...by });
    const after = await found(tx, row.id);
    await record(tx, caller, after, type);
    return after;
  }

  return {
    terms: fresh.terms,

    async plan(caller, input) {
      const { kind, grantee, state, starts_at, expires_at } = await fresh.of(storage.read, caller, input);
      return {
        ...{ kind: kind as GrantView['kind'], sessionId: input.sessionId ?? null, grantee },
        ...{ state: state as GrantView['state'], startsAt: starts_at, expiresAt: expires_at },
      };
    },

    make: (caller, input) =>
      storage.write(async (tx) => {
        const row = await fresh.of(tx, caller, input);
        const [id, at] = [newId(), clock.iso()];
        await tx.run(grantRows.insert, {
          ...{ project_id: projectId, id, ...row, requested_by: caller.personId, decided_by: null },
          ...{ reason: input.reason, version: 1, created_at: at, updated_at: at },
        });
        const made = await found(tx, id);
        await record(tx, caller, made, made.state === 'requested' ? 'grant-requested' : 'grant-made');
        return viewOf(tx, made);
      }),

    decide: (caller, id, verdict) =>
      storage.write(async (tx) => {
        const row = await found(tx, id);
        if (row.state !== 'requested' || row.expires_at <= clock.iso()) throw decided(id);
        if (row.requested_by === caller.personId && verdict === 'approve') throw secondNeeded(id);
        const [state, type] =
          verdict === 'approve' ? ['active', 'grant-approved'] : ['refused', 'grant-refused'];
        return viewOf(tx, await move(tx, caller, row, state, type));
      }),

    async revoke(caller, id) {
      await storage.write(async (tx) => {
        const row = await concerned(tx, caller, id, MANAGE);
        if (OPEN.includes(row.state)) await move(tx, caller, row, 'revoked', 'grant-revoked');
      });
    },

    show: async (caller, id) => viewOf(storage.read, await concerned(storage.read, caller, id, READ)),

    async list(caller, { sessionId, open = false, cursor, limit = PAGE }) {
      const row =
        sessionId === undefined ? null : await finding.session(storage.read, caller, sessionId, 'see');
      const all =
        caller.permissions.has(READ) ||
        (row !== null && (await ownsSession(storage.read, caller, row.number)));
      const before = cursor === undefined ? null : String(cursors.decode(LIST, cursor));
      const rows = await storage.read.query((db) => {
        let query = db.selectFrom('chat_grants').selectAll().where('project_id', '=', projectId);
        // Break-glass into every session is into this one, too.
        if (row) query = query.where((e) => e.or([e('session', '=', row.number), e('session', 'is', null)]));
        if (open) query = query.where('state', 'in', OPEN).where('expires_at', '>', clock.iso());
        if (!all)
          query = query.where((e) =>
            e.or([e('grantee', 'in', [caller.personId, TEAM]), e('requested_by', '=', caller.personId)]),
          );
        if (before !== null) query = query.where('id', '<', before);
        return query.orderBy('id', 'desc').limit(limit + 1);
      });
      const last = rows.length > limit ? rows[limit - 1] : undefined;
      return {
        grants: await Promise.all(rows.slice(0, limit).map((one) => viewOf(storage.read, one))),
        nextCursor: last ? cursors.encode(LIST, last.id) : null,
      };
    },
  };
}

function noGrant(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'find grant', target },
    message: `There is no grant ${target}, or it does not concern you.`,
    hint: 'GET /api/governance/grants lists those that do.',
  });
}

function decided(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'grant-decided', op: 'decide on grant', target },
    message: `The grant ${target} does not wait for a decision.`,
    hint: 'Look at its state: GET /api/governance/grants.',
  });
}

function secondNeeded(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'second-person-needed', op: 'approve grant', target },
    message: 'Who asked for break-glass cannot approve it.',
    hint: 'Ask another owner.',
  });
}

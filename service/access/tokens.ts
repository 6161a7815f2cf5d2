import { newId } from '../ids.ts';
import { FactoryError } from '../errors.ts';
import { recordChange, type ChangeActor } from '../audit/events.ts';
import type { Logger } from '../logger.ts';
import type { Principal } from '../work-items/types.ts';
import { badInput, checkName, checkRoles } from './checks.ts';
import type { AccessDependencies } from './dependencies.ts';
import { tokenDocument, type People, type TokenDocument } from './people.ts';
import { effectiveRoles, mayIssue, permissionsOf } from './roles.ts';
import { hashSecret, newSecret } from './secrets.ts';
import { people as peopleQueries, tokens } from './store.ts';
import { createTokenUses } from './token-uses.ts';

/** Marks our tokens, so that secret scanners can know them. */
const PREFIX = 'bf_';

export interface NewToken {
  id: string;
  name: string;
  roles: string[];
  personId: string;
  expiresAt: string | null;
  /** Shown once; only its hash is stored. */
  token: string;
}

/** API tokens: they belong to a person and end with them. */
export function createTokens({
  storage,
  audit,
  clock,
  projectId,
  people,
  logger,
}: AccessDependencies & { people: People; logger: Logger }) {
  const project_id = projectId;
  const uses = createTokenUses({ storage, clock, projectId, logger });
  return {
    async list(): Promise<(TokenDocument & { personId: string })[]> {
      const rows = await storage.read.all(tokens.listed, { project_id });
      return rows.map((row) => ({ ...tokenDocument(row), personId: row.person_id }));
    },

    /** `expires`: a duration such as `30d`, or null. Errors: `bad-input`, `not-found`. */
    create(
      actor: ChangeActor,
      input: { name: string; roles: string[]; personId: string; expires: string | null },
    ): Promise<NewToken> {
      const op = 'create token';
      const name = checkName(input.name, op);
      const roles = checkRoles(input.roles, op);
      const lifetime = input.expires === null ? null : parseDuration(input.expires, op);
      return storage.write(async (tx) => {
        const person = await tx.get(peopleQueries.byId, { project_id, id: input.personId });
        if (!person || person.status === 'removed') throw notFound('person', input.personId, op);
        const own = person.roles.split(' ');
        const refused = roles.filter((role) => !mayIssue(own, [role]));
        if (refused.length > 0) {
          throw badInput(
            op,
            'role',
            `${person.name} is ${own.join(', ')}: no token of theirs can have the role ${refused.join(', ')}.`,
          );
        }
        const id = newId();
        const token = `${PREFIX}${newSecret()}`;
        const at = clock.iso();
        const expiresAt = lifetime === null ? null : new Date(clock.now() + lifetime).toISOString();
        const row = {
          project_id,
          id,
          name,
          person_id: person.id,
          roles: roles.join(' '),
          hash: hashSecret(token),
          expires_at: expiresAt,
          revoked_at: null,
          version: 1,
          created_at: at,
          updated_at: at,
        };
        // Whoever acts by a token is there, whether or not they ever follow their invitation.
        await people.join(tx, person, actor);
        await tx.run(tokens.insert, row);
        const payload = { name, roles, personId: person.id, hash: row.hash, expiresAt };
        await recordChange(tx, audit, {
          ...{ projectId, stream: 'token', streamId: id, version: 1, type: 'created', payload, actor, at },
          action: 'token.created',
        });
        return { id, name, roles, personId: person.id, expiresAt, token };
      });
    },

    /** Errors: `not-found` (also when it is revoked already). */
    revoke(actor: ChangeActor, id: string): Promise<void> {
      return storage.write(async (tx) => {
        const row = await tx.get(tokens.byId, { project_id, id });
        if (!row || row.revoked_at) throw notFound('token', id, 'revoke token');
        const at = clock.iso();
        const next = row.version + 1;
        await tx.run(tokens.revoke, { project_id, id, version: row.version, next, at });
        await recordChange(tx, audit, {
          ...{
            projectId,
            stream: 'token',
            streamId: id,
            version: next,
            type: 'revoked',
            payload: {},
            actor,
            at,
          },
          action: 'token.revoked',
        });
      });
    },

    /** Whose token it is, which then counts as used, or why it is refused. */
    async authenticate(
      token: string,
    ): Promise<{ principal: Principal } | { refused: string; tokenId: string | null }> {
      const row = await storage.read.get(tokens.byHash, { hash: hashSecret(token) });
      if (!row) return { refused: 'token-unknown', tokenId: null };
      if (row.revoked_at) return { refused: 'token-revoked', tokenId: row.id };
      if (row.expires_at && row.expires_at <= clock.iso())
        return { refused: 'token-expired', tokenId: row.id };
      if (row.status !== 'active' && row.status !== 'invited')
        return { refused: 'person-removed', tokenId: row.id };
      uses.note(row.id);
      const roles = effectiveRoles(row.person_roles.split(' '), row.roles.split(' '));
      return {
        principal: {
          kind: 'token',
          id: row.id,
          name: row.name,
          personId: row.person_id,
          roles,
          permissions: permissionsOf(roles),
        },
      };
    },
  };
}

export type Tokens = ReturnType<typeof createTokens>;

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `90m`, `12h`, `30d`, `4w` in ms; at most 9999 of a unit, so that dates keep four-digit years. */
export function parseDuration(text: string, op: string): number {
  const match = /^(\d{1,4})([mhdw])$/.exec(text);
  const amount = Number(match?.[1] ?? 0) * (UNITS[match?.[2] ?? ''] ?? 0);
  if (amount > 0) return amount;
  throw badInput(op, 'expires', `${text} is no duration; write 90m, 12h, 30d or 4w.`);
}

function notFound(kind: 'person' | 'token', id: string, op: string): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op,
    target: id,
    message: `There is no ${kind} ${id}.`,
    hint: `List them with \`npx factory ${kind === 'person' ? 'people' : 'token'} list\`.`,
  });
}

import type { Config } from '../service/config.ts';
import type { PersonDocument } from '../service/access/people.ts';
import { SYSTEM } from '../service/audit/events.ts';
import { FactoryError } from '../service/errors.ts';
import { withAccess, withOwner } from './lib/data.ts';
import { table } from './lib/layout.ts';
import { addressText, localAddress } from './lib/settings.ts';
import type { Run } from './lib/verb.ts';

export const create: Run = (context, given) =>
  withOwner(context, async ({ people, tokens }, config) => {
    const owner = findOwner(await people.list(), given.text('owner'));
    const made = await tokens.create(SYSTEM, {
      name: given.text('name') ?? '',
      roles: given.list('role'),
      personId: owner.id,
      expires: given.text('expires') ?? null,
    });
    const until = made.expiresAt === null ? '' : ` until ${made.expiresAt}`;
    context.say(`${made.name} acts for ${owner.name}${until}. The token is shown this once.`);
    context.say(`Set FACTORY_TOKEN to it, and ${whereText(config)}`);
    return { json: { ...made, owner: { id: owner.id, name: owner.name } }, text: made.token };
  });

export const list: Run = (context) =>
  withAccess(context, async ({ people, tokens }) => {
    const [found, members] = await Promise.all([tokens.list(), people.list()]);
    const names = new Map(members.map(({ id, name }) => [id, name]));
    const now = new Date().toISOString();
    const rows = found.map(({ id, roles, personId, lastUsedAt, expiresAt, revokedAt, name }) => {
      const ended =
        revokedAt !== null ? 'revoked' : expiresAt !== null && expiresAt <= now ? 'expired' : 'live';
      const owner = names.get(personId) ?? personId;
      return [id, ended, roles.join(','), owner, lastUsedAt ?? 'never', expiresAt ?? 'never', name];
    });
    return {
      json: { tokens: found },
      text: table(['ID', 'STATUS', 'ROLES', 'OWNER', 'LAST USED', 'EXPIRES', 'NAME'], rows),
    };
  });

export const revoke: Run = (context, given) =>
  withAccess(context, async ({ tokens }) => {
    const [id = ''] = given.arguments;
    await tokens.revoke(SYSTEM, id);
    return { json: { id, revoked: true }, text: `Revoked ${id}.` };
  });

/** What tells a client where the service is. Clients on this machine find a socket by themselves. */
function whereText(config: Config): string {
  const address = localAddress(config);
  const url = config.client.url ?? config.baseUrl ?? (address && addressText(address));
  if (url === null) return 'FACTORY_URL to the address that `serve` printed.';
  return url.startsWith('unix:')
    ? `FACTORY_SOCKET to ${url.slice('unix:'.length)}.`
    : `FACTORY_URL to ${url}.`;
}

/** By id, or by exact name; the first owner where none is named. Errors: `not-found`, `name-ambiguous`. */
export function findOwner(people: readonly PersonDocument[], wanted: string | undefined): PersonDocument {
  const present = people.filter(({ status }) => status !== 'removed');
  const found = present.filter((person) =>
    wanted === undefined ? person.roles.includes('owner') : person.id === wanted || person.name === wanted,
  );
  const [first, second] = found;
  if (first && (second === undefined || wanted === undefined)) return first;
  throw new FactoryError({
    code: first ? 'name-ambiguous' : 'not-found',
    op: 'find owner of token',
    target: wanted,
    message: first
      ? `${found.length} people are called ${wanted}: ${found.map(({ id }) => id).join(', ')}.`
      : `There is no person ${wanted ?? 'with the role owner'}.`,
    hint: 'Give the id that `npx factory people list` shows.',
  });
}

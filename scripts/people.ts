import { SYSTEM } from '../service/audit/events.ts';
import { sayAddress, withAccess, withOwner } from './lib/data.ts';
import { table } from './lib/layout.ts';
import type { Run } from './lib/verb.ts';

export const invite: Run = (context, given) =>
  withOwner(context, async ({ people }, config) => {
    const link = await people.invite(SYSTEM, {
      name: given.text('name') ?? '',
      role: given.text('role') ?? '',
    });
    sayAddress(context, config);
    context.say(`Send this link to them; it signs them in, once, until ${link.expiresAt}.`);
    return { json: link, text: link.url };
  });

export const list: Run = (context) =>
  withAccess(context, async ({ people }) => {
    const found = await people.list();
    const rows = found.map(({ id, name, roles, status, lastSeenAt, tokens }) => {
      const live = tokens.filter(({ revokedAt }) => revokedAt === null).length;
      return [id, status, roles.join(','), String(live), lastSeenAt ?? 'never', name];
    });
    return {
      json: { people: found },
      text: table(['ID', 'STATUS', 'ROLES', 'TOKENS', 'LAST SEEN', 'NAME'], rows),
    };
  });

export const remove: Run = (context, given) =>
  withAccess(context, async ({ people }) => {
    const [id = ''] = given.arguments;
    await people.remove(SYSTEM, id);
    return {
      json: { id, removed: true },
      text: `Removed ${id}: their sessions, links and tokens have ended.`,
    };
  });

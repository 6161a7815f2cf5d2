import { SYSTEM } from '../service/audit/events.ts';
import { isSameName } from '../service/access/checks.ts';
import { sayAddress, withAccess, withOwner } from './lib/data.ts';
import { table } from './lib/layout.ts';
import type { Run } from './lib/verb.ts';

export const invite: Run = (context, given) =>
  withOwner(context, async ({ people }, config) => {
    const named = given.text('name') ?? '';
    // Two people may have one name; most often it is somebody who has lost their link.
    const namesakes = (await people.list()).filter(
      ({ name, status }) => status !== 'removed' && isSameName(name, named),
    );
    const link = await people.invite(SYSTEM, {
      name: named,
      role: given.text('role') ?? '',
    });
    sayAddress(context, config);
    context.say(`Send this link to them; it signs them in, once, until ${link.expiresAt}.`);
    for (const { id, name, status } of namesakes)
      context.say(
        `There was a ${name} already (${status}). To let that one in again instead: people remove ${link.id}, then people link ${id}`,
      );
    return { json: link, text: link.url };
  });

export const link: Run = (context, given) =>
  withAccess(context, async ({ people }, config) => {
    const [id = ''] = given.arguments;
    const made = await people.link(SYSTEM, id, { signOut: given.flag('signOut') });
    sayAddress(context, config);
    context.say(`Send this link to them; it signs them in, once, until ${made.expiresAt}.`);
    return { json: made, text: made.url };
  });

export const role: Run = (context, given) =>
  withAccess(context, async ({ people }) => {
    const [id = ''] = given.arguments;
    await people.setRole(SYSTEM, id, given.text('role') ?? '');
    const person = (await people.list()).find((one) => one.id === id);
    const roles = person?.roles ?? [];
    return {
      json: { id, roles },
      text: `${person?.name ?? id} is ${roles.join(', ')} from now on; their tokens can do no more.`,
    };
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

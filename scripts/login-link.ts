import { sayAddress, withOwner } from './lib/data.ts';
import type { Run } from './lib/verb.ts';

export const loginLink: Run = (context) =>
  withOwner(context, async ({ people }, config) => {
    const { url, expiresAt } = await people.loginLink();
    sayAddress(context, config);
    context.say(`It signs the first owner in, once, until ${expiresAt}.`);
    return { json: { url, expiresAt }, text: url };
  });

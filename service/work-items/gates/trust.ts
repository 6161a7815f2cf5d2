import type { GatePack, GateResult, Trust } from '../types.ts';
import { byAction, byUrl } from './result.ts';
import { either } from './words.ts';

/** Whose results a pack counts, in words. */

/** How people call a producer by its trust. */
export const PRODUCERS: Readonly<Record<Trust, string>> = {
  forge: 'a forge',
  ci: 'a pipeline',
  person: 'a person',
  agent: 'an agent',
};

/** What evidence names where no head commit is known yet. */
export const ANY_COMMIT = 'a commit of this round of work';

/** How to submit so that it counts: where people do not, with a token of a role that does. */
export function submission({ validationTrust: trust }: Pick<GatePack, 'validationTrust'>): {
  how: string;
  unblock: GateResult['unblock'];
} {
  const submit = byAction('submit-evidence');
  const roles = (['ci', 'agent'] as const).filter((role) => trust?.includes(role));
  if (!trust || trust.includes('person') || roles.length === 0) return { how: '', unblock: [submit] };
  const create = `npx factory token create --name NAME --role ${roles[0]}`;
  const how = ` with a token of role ${either(roles)} (\`${create}\`)`;
  return { how, unblock: [submit, byUrl('/people', 'factory.token.manage')] };
}

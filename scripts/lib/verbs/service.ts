import { ACTION_IDENTITIES, LANES } from '../../../service/work-items/types.ts';
import type { Verb } from '../verb.ts';

const ITEM = { name: 'id', description: 'the item by its id or key, e.g. wi-BF-106 or BF-106' };
const CALLS = 'Calls FACTORY_URL (default: the configured address or socket) with FACTORY_TOKEN.';

/** Verbs that call a running service. */
export const SERVICE_VERBS: Verb[] = [
  {
    path: 'health',
    summary: 'Ask a running service how it is',
    details: 'Exit 0 ok, 3 degraded, 1 failing or not reachable. Needs no token.',
    load: async () => (await import('../../health.ts')).health,
  },
  {
    path: 'items list',
    summary: 'List work items',
    details: CALLS,
    options: [
      { flags: '--lane <lane>', description: 'of one lane', choices: LANES },
      { flags: '--query <text>', description: 'whose id or title holds this' },
      { flags: '--limit <count>', description: 'at most so many' },
      { flags: '--cursor <cursor>', description: 'go on where a list ended' },
    ],
    load: async () => (await import('../../items.ts')).list,
  },
  {
    path: 'items show',
    summary: 'Show a work item as its page does',
    details: CALLS,
    arguments: [ITEM],
    load: async () => (await import('../../items.ts')).show,
  },
  {
    path: 'items actions',
    summary: 'List the actions of a work item, each with the reason why it is or is not available',
    details: CALLS,
    arguments: [ITEM],
    options: [{ flags: '--all', description: 'those of other lanes, too' }],
    load: async () => (await import('../../items.ts')).actions,
  },
  {
    path: 'items act',
    summary: 'Run an action of a work item, or plan it',
    details:
      `${CALLS}\nExit 4 if a rule refuses it; the way out of each blocker is printed. Without --input, an action that\nneeds one says which fields it takes.\n\n` +
      'For example:  npx factory items act wi-BF-106 submit-evidence \\\n' +
      '                --input \'{"kind":"criterion","criterion":1,"result":"passed"}\'',
    arguments: [ITEM, { name: 'identity', description: 'the action', choices: ACTION_IDENTITIES }],
    options: [
      { flags: '--dry-run', description: 'plan only: nothing but the decision is written' },
      { flags: '--input <json>', description: 'what the action takes: JSON, or @FILE' },
      { flags: '--decision <id>', description: 'apply this plan, and only if its facts still hold' },
      { flags: '--if-match <version>', description: 'the version that you saw (default: the one of now)' },
      { flags: '--idempotency-key <key>', description: 'of a request that is repeated (default: a new one)' },
    ],
    load: async () => (await import('../../items.ts')).act,
  },
];

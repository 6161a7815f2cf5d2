import { ROLES } from '../../service/access/roles.ts';
import { ACTION_IDENTITIES, LANES } from '../../service/work-items/types.ts';
import { SHELLS } from './verb.ts';
import type { Verb } from './verb.ts';

/** One line a group of verbs. */
export const GROUPS: Record<string, string> = {
  people: 'The members of the project',
  token: 'API tokens; only their hash is stored',
  items: 'Work items of a running service',
  audit: 'The audit log',
  queue: 'The work-items folder that the database follows',
};

const ITEM = { name: 'id', description: 'the item by its id or key, e.g. wi-BF-106 or BF-106' };
const CALLS = 'Calls FACTORY_URL (default: the configured address or socket) with FACTORY_TOKEN.';

const WITHOUT_SERVICE: Verb[] = [
  {
    path: 'serve',
    summary: 'Run the control plane until SIGTERM or Ctrl-C',
    details:
      'The configuration comes from FACTORY_* variables and .env; .env.example explains each.\n' +
      'With --json one line {"listening","loginLink"} is printed when the service is ready; logs go to stderr.',
    load: async () => (await import('../serve.ts')).serve,
  },
  {
    path: 'init',
    summary: 'Make a work-items folder with a policy and a first item; touches nothing that exists',
    load: async () => (await import('../init.ts')).init,
  },
  {
    path: 'validate',
    summary: 'Check the work items and their policy: every problem at once, with file and line',
    details: 'Exit 1 if a file does not count; warnings alone exit 0.',
    load: async () => (await import('../validate.ts')).validate,
  },
  {
    path: 'queue adopt',
    summary: 'Say that the configured work-items folder is the queue that the database was filled from',
    details:
      'A start on another folder than before is refused, because two queues would be mixed for good. This is for the same\n' +
      'queue at another place while the old place is still there; the record of it stands in the audit log.',
    load: async () => (await import('../queue.ts')).adopt,
  },
  {
    path: 'login-link',
    summary: 'A new one-time link that signs the first owner in; it holds for an hour',
    load: async () => (await import('../login-link.ts')).loginLink,
  },
  {
    path: 'people invite',
    summary: 'Add a person, who joins by a one-time link that holds for a week',
    options: [
      { flags: '--name <name>', description: 'how the person is shown', required: true },
      { flags: '--role <role>', description: 'what the person may do', required: true, choices: ROLES },
    ],
    load: async () => (await import('../people.ts')).invite,
  },
  {
    path: 'people list',
    summary: 'List the people and their tokens, removed ones too',
    load: async () => (await import('../people.ts')).list,
  },
  {
    path: 'people remove',
    summary: 'Remove a person: sessions, links and tokens end at once',
    arguments: [{ name: 'id', description: 'as `people list` shows it' }],
    load: async () => (await import('../people.ts')).remove,
  },
  {
    path: 'token create',
    summary: 'Make an API token; it is shown once',
    options: [
      { flags: '--name <name>', description: 'what it is for', required: true },
      {
        flags: '--role <roles>',
        description: 'one role or several, apart by commas',
        required: true,
        list: 'comma',
        choices: ROLES,
      },
      { flags: '--owner <person>', description: 'id or exact name of its person (default: the first owner)' },
      { flags: '--expires <duration>', description: 'e.g. 90m, 12h, 30d, 4w (default: never)' },
    ],
    load: async () => (await import('../token.ts')).create,
  },
  {
    path: 'token list',
    summary: 'List the tokens, revoked ones too',
    load: async () => (await import('../token.ts')).list,
  },
  {
    path: 'token revoke',
    summary: 'End a token at once',
    arguments: [{ name: 'id', description: 'as `token list` shows it' }],
    load: async () => (await import('../token.ts')).revoke,
  },
  {
    path: 'verify-audit',
    summary: 'Read the whole audit log again and everything it commits to',
    details: 'Exit 1 if anything was changed, 0 if nothing was up to the newest checkpoint that is known.',
    options: [
      {
        flags: '--checkpoint <file>',
        description: 'a checkpoint that was kept elsewhere; may be given several times',
        list: 'repeat',
      },
      {
        flags: '--vkey <key>',
        description: "the log's public key, or a file with it (default: the keyring's)",
      },
    ],
    load: async () => (await import('../verify-audit.ts')).verifyAudit,
  },
  {
    path: 'audit export',
    summary: 'Write the audit log, one leaf a line, for `node scripts/verify-log.mjs`',
    options: [{ flags: '--output <file>', description: 'a new file (default: stdout); needed with --json' }],
    load: async () => (await import('../audit.ts')).exportLog,
  },
  {
    path: 'doctor',
    summary:
      'Probe configuration, disk, database, keys, audit log, queue, clock and address; changes nothing',
    details: 'Exit 0 all is well, 3 warnings, 1 something does not work.',
    load: async () => (await import('../doctor.ts')).doctor,
  },
  {
    path: 'completion',
    summary: 'Print a completion script for a shell',
    details: 'For example:  source <(npx factory completion bash); alias factory="npx factory"',
    arguments: [{ name: 'shell', description: SHELLS.join(', '), choices: SHELLS }],
    load: async () => (await import('../completion.ts')).completion,
  },
];

const OF_A_SERVICE: Verb[] = [
  {
    path: 'health',
    summary: 'Ask a running service how it is',
    details: 'Exit 0 ok, 3 degraded, 1 failing or not reachable. Needs no token.',
    load: async () => (await import('../health.ts')).health,
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
    load: async () => (await import('../items.ts')).list,
  },
  {
    path: 'items show',
    summary: 'Show a work item as its page does',
    details: CALLS,
    arguments: [ITEM],
    load: async () => (await import('../items.ts')).show,
  },
  {
    path: 'items actions',
    summary: 'List the actions of a work item, each with the reason why it is or is not available',
    details: CALLS,
    arguments: [ITEM],
    options: [{ flags: '--all', description: 'those of other lanes, too' }],
    load: async () => (await import('../items.ts')).actions,
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
    load: async () => (await import('../items.ts')).act,
  },
];

/** Every verb, in the order of the help. */
export const VERBS: readonly Verb[] = [...WITHOUT_SERVICE, ...OF_A_SERVICE];

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
  backups: 'What lies in the destinations',
};

const ITEM = { name: 'id', description: 'the item by its id or key, e.g. wi-BF-106 or BF-106' };
const CALLS = 'Calls FACTORY_URL (default: the configured address or socket) with FACTORY_TOKEN.';

const FROM = { flags: '--from <url>', description: 'this destination alone (default: the configured ones)' };
const NAMED = { flags: '--name <name>', description: "of another application's database" };

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
    details: 'For anybody else: people link ID',
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
    path: 'people link',
    summary: 'Make a new one-time link for somebody who is there already',
    details:
      'It holds for a day; for somebody who never signed in, a week. Older links that nobody used end.',
    arguments: [{ name: 'id', description: 'as `people list` shows it' }],
    options: [{ flags: '--sign-out', description: 'end their sign-ins, too: somebody else may have one' }],
    load: async () => (await import('../people.ts')).link,
  },
  {
    path: 'people role',
    summary: 'Give a person another role; it counts at once, for their tokens too',
    arguments: [{ name: 'id', description: 'as `people list` shows it' }],
    options: [
      { flags: '--role <role>', description: 'what the person may do', required: true, choices: ROLES },
    ],
    load: async () => (await import('../people.ts')).role,
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
    path: 'backup',
    summary: 'Copy the database, encrypt the copy and send it to every destination',
    details:
      'A full backup if the last one is older than a day, else a differential of what changed; nothing where nothing\n' +
      'changed. Exit 3 if a destination failed, 1 if all did. A second run waits up to a minute for the first.',
    options: [
      { flags: '--full', description: 'a full backup, whatever there is' },
      { flags: '--db <file>', description: "another application's SQLite database" },
      {
        flags: '--name <name>',
        description: 'how that one is called in the destinations (default: as its file)',
      },
    ],
    load: async () => (await import('../backup.ts')).backup,
  },
  {
    path: 'backups list',
    summary: 'List the backups in every destination, and what lies there and cannot be used',
    options: [FROM, NAMED],
    load: async () => (await import('../backups.ts')).list,
  },
  {
    path: 'backups verify',
    summary: 'Fetch backups again and compare every byte with their signed manifests; needs no key',
    details: 'The newest one in each destination, unless an id or --all says. Exit 3 if one is damaged.',
    arguments: [{ name: 'id', description: 'this one, as `backups list` shows it', optional: true }],
    options: [{ flags: '--all', description: 'every one' }, FROM, NAMED],
    load: async () => (await import('../backups.ts')).verify,
  },
  {
    path: 'backups prune',
    summary: 'Plan which backups may go; nothing is deleted unless a plan is applied',
    details:
      'Full backups go after FACTORY_BACKUP_RETENTION_DAYS, differentials after 48 hours; never the newest verified one,\n' +
      'nor one of the last three verified full ones, nor anything while the newest backup is late or a clock is wrong.',
    options: [{ flags: '--apply <digest>', description: 'carry out exactly this plan' }, FROM, NAMED],
    load: async () => (await import('../backups.ts')).prune,
  },
  {
    path: 'restore',
    summary: 'Write the database of a backup to a new file, checked against what was taken',
    details: 'The newest backup, unless --at or --backup says. Nothing that exists is replaced.',
    options: [
      FROM,
      { flags: '--to <path>', description: 'the new file' },
      {
        flags: '--at <time>',
        description: 'the last backup of that time or before, e.g. 2026-05-01T12:00:00Z',
      },
      { flags: '--backup <id>', description: 'this one, as `backups list` shows it' },
      {
        flags: '--identity <file>',
        description: 'the age key that opens it (default: the configured one, or that of the keyring)',
      },
      { flags: '--plan', description: 'tell what would be done, and do nothing' },
      NAMED,
    ],
    load: async () => (await import('../restore.ts')).restore,
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

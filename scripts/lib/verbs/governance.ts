import type { Verb, VerbOption } from '../verb.ts';

const CALLS = 'Calls FACTORY_URL (default: the configured address or socket) with FACTORY_TOKEN.';
const PAGE: VerbOption[] = [
  { flags: '--limit <count>', description: 'at most so many' },
  { flags: '--cursor <cursor>', description: 'go on where a list ended' },
];
const SESSION = '--session <id>';

/** What people who answer for conversations do. */
export const GOVERNANCE_VERBS: Verb[] = [
  {
    path: 'governance policies',
    summary: 'Show the policies of conversations, who changed what of them, or replace them',
    details: `${CALLS}\n--history lists each change, the newest first: who, when, from what to what.\n--set takes what this verb prints with --json: change it and give it back. It is refused if they were changed\nmeanwhile; nothing is deleted by it. breakGlass false: it stays in force for a day, or until another owner sets the same.`,
    options: [
      {
        flags: '--set <file>',
        description: 'JSON with `general`, `classes` and the `version` that was read',
      },
      { flags: '--take-back', description: 'break-glass that was to go off stays on' },
      { flags: '--history', description: 'lists every version with what it changed' },
      ...PAGE,
    ],
    load: async () => (await import('../../governance.ts')).policies,
  },
  {
    path: 'governance holds',
    summary: 'List holds, place one, or release one',
    details: `${CALLS}\nWith --reason one is placed, on what matches all that is given. A release deletes nothing.`,
    options: [
      { flags: '--reason <text>', description: 'places a hold, for this reason' },
      { flags: '--subject <name>', description: 'on content about a subject' },
      { flags: SESSION, description: 'on content of a session' },
      { flags: '--class <class>', description: 'on content of sessions of a class' },
      { flags: '--from <time>', description: 'on content that was written from then on' },
      { flags: '--to <time>', description: 'on content that was written until then' },
      { flags: '--release <id>', description: 'releases a hold' },
      { flags: '--released', description: 'lists released ones, too' },
      ...PAGE,
    ],
    load: async () => (await import('../../governance.ts')).holds,
  },
  {
    path: 'governance erasures',
    summary: 'List erasures, show one with its certificate, plan one, or have a subject erased',
    details: `${CALLS}\nWith --subject and --reason a subject is erased, for ever. Exit 3 while holds keep something of it.\n--plan with --subject counts what would go and what holds would keep, and changes nothing.`,
    arguments: [{ name: 'id', description: 'shows this one', optional: true }],
    options: [
      { flags: '--subject <name>', description: 'whom to erase' },
      { flags: '--plan', description: 'counts what goes, and erases nothing' },
      { flags: '--reason <text>', description: 'why; it is kept for ever' },
      ...PAGE,
    ],
    load: async () => (await import('../../governance.ts')).erasures,
  },
  {
    path: 'governance keys',
    summary: 'Show the last rotation of the keys of conversations, or begin one',
    details: `${CALLS}\nWhat comes is sealed with new keys at once, what is there in the background. Older keys stay for older backups.`,
    options: [{ flags: '--rotate', description: 'begins one; while one runs, shows that one' }],
    load: async () => (await import('../../governance.ts')).keys,
  },
  {
    path: 'governance report',
    summary: 'Everything that is there about a subject, a JSON document a line',
    details: CALLS,
    arguments: [{ name: 'subject', description: 'the name that its sessions were written with' }],
    options: [{ flags: '--to <file>', description: 'into a new file (default: stdout)' }],
    load: async () => (await import('../../governance.ts')).report,
  },
  {
    path: 'governance retention',
    summary: 'Plan what expires, apply a plan by its digest, or take it back',
    details:
      `${CALLS}\nWithout anything, plans are listed. A plan deletes nothing; --apply carries out exactly the plan, and is refused\n` +
      'with exit 4 if something else expires by now. What expires goes to the bin first; a later plan purges it.\n' +
      'Where the policy of a class gives no bin (binDays 0), the first plan purges it at once, and nothing takes that back.',
    arguments: [{ name: 'id', description: 'of a plan: shows it', optional: true }],
    options: [
      { flags: '--plan', description: 'makes a plan' },
      { flags: '--apply <digest>', description: 'carries the plan out' },
      { flags: '--undo', description: 'takes back what the plan put into the bin' },
      ...PAGE,
    ],
    load: async () => (await import('../../governance.ts')).retention,
  },
  {
    path: 'governance grants',
    summary: 'List grants, let somebody read a session, break the glass, or decide on that',
    details: `${CALLS}\nWith --until and --reason one is made: of a --session to somebody, or --break-glass for yourself.`,
    options: [
      { flags: SESSION, description: 'of a session' },
      { flags: '--to <person>', description: 'a person by id, or by a name that one person has; or team' },
      { flags: '--break-glass', description: 'to every session, or to --session' },
      { flags: '--until <time>', description: 'when it ends: a time, or after so long, such as 2h' },
      { flags: '--reason <text>', description: 'why' },
      { flags: '--approve <id>', description: 'approves break-glass that another owner asked for' },
      { flags: '--refuse <id>', description: 'refuses it' },
      { flags: '--revoke <id>', description: 'ends a grant' },
      { flags: '--open', description: 'lists those alone that are in force or wait' },
      ...PAGE,
    ],
    load: async () => (await import('../../governance.ts')).grants,
  },
  {
    path: 'governance quarantine',
    summary: 'List what is held back until people decide, show it, let it in, or remove it',
    details:
      `${CALLS}\nlist (also without a word), show ID, release ID, reject ID. A release takes two people: the first asks, with\n` +
      'exit 3 as long as it waits; the second lets it in. A rejection removes the original for good.',
    arguments: [
      { name: 'act', description: 'list, show, release or reject', optional: true },
      { name: 'id', description: 'of what waits', optional: true },
    ],
    options: [
      { flags: '--reason <text>', description: 'why it is let in or removed; it is kept for ever' },
      { flags: '--original', description: 'with show: the content, too; that is recorded' },
      {
        flags: '--output <file>',
        description: 'with show --original: the content of a file, into a new file',
      },
      ...PAGE,
    ],
    load: async () => (await import('../../quarantine.ts')).quarantine,
  },
];

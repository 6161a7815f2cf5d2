import { ROLES } from '../../../service/access/roles.ts';
import type { Verb } from '../verb.ts';

/** People and tokens. */
export const PEOPLE_VERBS: Verb[] = [
  {
    path: 'login-link',
    summary: 'A new one-time link that signs the first owner in; it holds for an hour',
    details: 'For anybody else: people link ID',
    load: async () => (await import('../../login-link.ts')).loginLink,
  },
  {
    path: 'people invite',
    summary: 'Add a person, who joins by a one-time link that holds for a week',
    options: [
      { flags: '--name <name>', description: 'how the person is shown', required: true },
      { flags: '--role <role>', description: 'what the person may do', required: true, choices: ROLES },
    ],
    load: async () => (await import('../../people.ts')).invite,
  },
  {
    path: 'people link',
    summary: 'Make a new one-time link for somebody who is there already',
    details:
      'It holds for a day; for somebody who never signed in, a week. Older links that nobody used end.',
    arguments: [{ name: 'id', description: 'as `people list` shows it' }],
    options: [{ flags: '--sign-out', description: 'end their sign-ins, too: somebody else may have one' }],
    load: async () => (await import('../../people.ts')).link,
  },
  {
    path: 'people role',
    summary: 'Give a person another role; it counts at once, for their tokens too',
    arguments: [{ name: 'id', description: 'as `people list` shows it' }],
    options: [
      { flags: '--role <role>', description: 'what the person may do', required: true, choices: ROLES },
    ],
    load: async () => (await import('../../people.ts')).role,
  },
  {
    path: 'people list',
    summary: 'List the people and their tokens, removed ones too',
    load: async () => (await import('../../people.ts')).list,
  },
  {
    path: 'people remove',
    summary: 'Remove a person: sessions, links and tokens end at once',
    arguments: [{ name: 'id', description: 'as `people list` shows it' }],
    load: async () => (await import('../../people.ts')).remove,
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
    load: async () => (await import('../../token.ts')).create,
  },
  {
    path: 'token list',
    summary: 'List the tokens, revoked ones too',
    load: async () => (await import('../../token.ts')).list,
  },
  {
    path: 'token revoke',
    summary: 'End a token at once',
    arguments: [{ name: 'id', description: 'as `token list` shows it' }],
    load: async () => (await import('../../token.ts')).revoke,
  },
];

import type { Verb } from '../verb.ts';
import { APPLY, atTime, CREDENTIALS, FROM, IDENTITY, NAMED, TRUST } from './options.ts';

/** The keys of backups: docs/keys.md says which of them is where. */
export const KEYS_VERBS: Verb[] = [
  {
    path: 'keys show',
    summary: 'Who can read backups, where their private halves lie, and which of them was proven',
    details:
      'Also the public half of the key that signs backups: it belongs into the recovery kit, beside the private key.',
    load: async () => (await import('../../keys.ts')).show,
  },
  {
    path: 'keys new',
    summary: 'Make a recovery or drill key on this machine, and print its public half',
    details:
      'The recovery key belongs on your own machine, the drill key where drills are held; none on a production host that\n' +
      'makes backups. FACTORY_BACKUP_RECIPIENTS takes the public halves. Files are as age-keygen makes them.',
    options: [{ flags: '--out <file>', description: 'the new file', required: true }],
    load: async () => (await import('../../keys.ts')).create,
  },
  {
    path: 'keys prove',
    summary: 'Show that your copy of a recovery key opens what is encrypted for it',
    details:
      'Between two machines, so that the key stays where it is:\n\n' +
      '  host   npx factory keys prove --challenge > canary.txt\n' +
      '  yours  npx factory keys prove --identity COPY --canary canary.txt\n' +
      '  host   npx factory keys prove --proof TEXT\n\n' +
      'In one step where the copy can be read here: npx factory keys prove --identity COPY\n\n' +
      'The key in the keyring of this installation is the original and proves nothing: exit 4. The drill key that a\n' +
      'first installation keeps there needs no proof.',
    options: [
      { flags: '--challenge', description: 'print a canary for each recipient' },
      {
        ...IDENTITY,
        description:
          'your copy of the private key; - reads it from standard input, so that it never lies on this disk',
      },
      { flags: '--canary <file>', description: 'open this one, and print the proof' },
      { flags: '--proof <text>', description: 'keep this proof; may come again', list: 'repeat' },
    ],
    load: async () => (await import('../../keys.ts')).prove,
  },
  {
    path: 'keys lost',
    summary: 'Plan to go on without keys that are lost for good; nothing changes unless a plan is applied',
    details:
      'For an installation whose keyring is gone with every copy of it. It says what nobody can read any more, session by\n' +
      'session; with --apply there are new keys, and the service starts. runbooks/lost-key.md has the whole way. Where the\n' +
      'keys are there, it refuses: exit 4.',
    options: [APPLY],
    load: async () => (await import('../../keys-lost.ts')).lost,
  },
  {
    path: 'keys found',
    summary: 'Plan to take the keys of a lost keyring in again; nothing changes unless a plan is applied',
    details: 'Beside the keys of now, which stay. What was deleted or erased meanwhile does not come back.',
    options: [
      {
        flags: '--from <folder>',
        description: 'with chat-root.key and chat-keys.db of before',
        required: true,
      },
      APPLY,
    ],
    load: async () => (await import('../../keys-lost.ts')).found,
  },
  {
    path: 'keys rotate',
    summary: 'Plan other recipients for the backups to come; nothing changes unless a plan is applied',
    details:
      'With --recipient those, else two new keys in the keyring; where FACTORY_BACKUP_RECIPIENTS names them, and in\n' +
      'production, it says what to set. Backups that are there stay readable with the old keys; no key is deleted.',
    options: [
      { flags: '--recipient <age1>', description: 'a public half; comes at least twice', list: 'repeat' },
      APPLY,
    ],
    load: async () => (await import('../../keys-change.ts')).rotate,
  },
  {
    path: 'keys rewrap',
    summary: 'Plan new key objects, for the recipients of now, of the backups that are there',
    details:
      'Needs a key that opens them; their data is not sent again. Older key objects are deleted where this key may;\n' +
      'where it may not, exit 3: then the old key opens them until they are pruned or their lock ends.',
    options: [APPLY, IDENTITY, CREDENTIALS, FROM, NAMED],
    load: async () => (await import('../../keys-change.ts')).rewrap,
  },
  {
    path: 'keys restore',
    summary: 'Put the keyring back from its copy in a destination, into a folder that is empty',
    details:
      'Each `npx factory backup` keeps an encrypted copy of the keyring there, apart from the database. Recovery and drill\n' +
      'keys are not in it. The newest copy that opens, unless --at says; exit 3 if a newer one had to be passed over.',
    options: [
      { ...FROM, description: 'the destination (default: the configured one)' },
      IDENTITY,
      atTime('the last copy that was stored'),
      TRUST,
    ],
    load: async () => (await import('../../keys-restore.ts')).restoreKeyring,
  },
];

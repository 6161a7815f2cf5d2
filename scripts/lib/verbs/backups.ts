import type { Verb } from '../verb.ts';
import { APPLY, atTime, CREDENTIALS, FROM, IDENTITY, NAMED, TRUST } from './options.ts';

/** Backups and what is done with them. */
export const BACKUP_VERBS: Verb[] = [
  {
    path: 'backup',
    summary: 'Copy the database, encrypt the copy and send it to every destination',
    details:
      'A full backup if the last one is older than a day, else a differential of what changed; nothing where nothing\n' +
      'changed. Exit 3 if a destination failed, 1 if all did; one that lost what was stored there gets nothing before --emptied. A second run waits up to a minute for the first.',
    options: [
      { flags: '--full', description: 'a full backup, whatever there is' },
      {
        flags: '--emptied <destination>',
        description: 'it was emptied on purpose, or is new at an old address: begin anew there',
      },
      { flags: '--db <file>', description: "another application's SQLite database" },
      {
        flags: '--name <name>',
        description: 'how that one is called in the destinations (default: as its file)',
      },
    ],
    load: async () => (await import('../../backup.ts')).backup,
  },
  {
    path: 'backups list',
    summary: 'List the backups in every destination, and what lies there and cannot be used',
    options: [FROM, NAMED],
    load: async () => (await import('../../backups.ts')).list,
  },
  {
    path: 'backups verify',
    summary: 'Fetch backups again and compare every byte with their signed manifests; needs no key',
    details: 'The newest one in each destination, unless an id or --all says. Exit 3 if one is damaged.',
    arguments: [{ name: 'id', description: 'this one, as `backups list` shows it', optional: true }],
    options: [{ flags: '--all', description: 'every one' }, CREDENTIALS, FROM, NAMED, TRUST],
    load: async () => (await import('../../backups.ts')).verify,
  },
  {
    path: 'backups prune',
    summary: 'Plan which backups may go; nothing is deleted unless a plan is applied',
    details:
      'Full backups go after FACTORY_BACKUP_RETENTION_DAYS, differentials after 48 hours; never the newest verified one,\n' +
      'nor one of the last three verified full ones, nor anything while the newest backup is late or a clock is wrong. Objects of interrupted runs go after a day. In\n' +
      'production buckets are pruned with keys that do not lie on the host: --credentials. An older copy of the keyring goes\n' +
      'only for a newer one that this machine sent, or that opens with --identity.',
    options: [APPLY, CREDENTIALS, FROM, IDENTITY, NAMED, TRUST],
    load: async () => (await import('../../prune.ts')).prune,
  },
  {
    path: 'restore',
    summary: 'Write the database of a backup to a new file, or in the place of the one that is there',
    details:
      'The newest backup of all destinations, unless --at or --backup says, checked against what was taken. --to replaces nothing that exists.\n' +
      'Exit 3 if a later one had to be passed over, because it does not restore, or a destination could not give it; in place the older one is taken only\n' +
      'where --backup names it, as a plan does. --in-place needs the application stopped and --confirm HOST/NAME; --plan shows the whole command.\n' +
      'The database of before is kept, and --undo puts it back. Afterwards queue writes and jobs stay paused until --accept.',
    options: [
      FROM,
      { flags: '--to <path>', description: 'the new file; of Postgres: postgres://user@host/new-database' },
      { flags: '--in-place', description: 'the database of this installation is replaced' },
      { flags: '--confirm <host/file>', description: 'of --in-place and --undo: which one is replaced' },
      { flags: '--undo', description: 'back to the database that the last --in-place replaced' },
      {
        flags: '--accept [digest]',
        description: 'after a restore: show what drifted, or accept what was shown',
      },
      { flags: '--new-log-key', description: 'the keyring is lost: go on with new keys of the audit log' },
      atTime('the last backup that was begun'),
      { flags: '--backup <id>', description: 'this one, as `backups list` shows it' },
      IDENTITY,
      TRUST,
      {
        flags: '--hidden',
        description: 'also backups that were deleted, where the destination keeps versions',
      },
      {
        flags: '--plan',
        description:
          'read what would be restored, tell what would be done and what stands in the way, and do nothing',
      },
      NAMED,
    ],
    load: async () => (await import('../../restore.ts')).restore,
  },
];

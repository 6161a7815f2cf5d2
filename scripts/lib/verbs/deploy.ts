import { ENVIRONMENTS } from '../host/names.ts';
import type { Verb, VerbOption } from '../verb.ts';

const WHERE: VerbOption[] = [
  {
    flags: '--env <environment>',
    description: 'which one',
    required: true,
    choices: ENVIRONMENTS,
    once: true,
  },
  { flags: '--host <user@address>', description: 'by SSH to this host', once: true },
  { flags: '--known-hosts <file>', description: 'the host keys that are accepted (default: those of ssh)' },
  { flags: '--identity <file>', description: 'the SSH key (default: those of ssh)' },
  { flags: '--port <port>', description: 'of SSH (default: 22)' },
  { flags: '--local', description: 'this machine is the host' },
  { flags: '--root <folder>', description: 'of --local: the layout below this folder (default: /)' },
  {
    flags: '--slots <kind>',
    description: 'of --local: who runs releases (default: systemd)',
    choices: ['systemd', 'processes'],
  },
  {
    flags: '--watch <seconds>',
    description: 'how long the release is watched after the switch (default: 20)',
  },
  {
    flags: '--steal <reason>',
    description: 'take the lock from whoever deploys; who lost it switches nothing',
  },
  {
    flags: '--by <name>',
    description: 'who deploys, for the lock and the history (default: you@this machine)',
  },
];

/** Releases, and how they come to a host. */
export const DEPLOY_VERBS: Verb[] = [
  {
    path: 'release',
    summary: 'Build an archive of this clone that runs by itself: the product, its packages and its own Node',
    details:
      'The same commit with the same packages gives the same bytes, wherever it is built; the name holds the digest.\n' +
      'Only committed files go into it, and nothing that development alone needs.',
    options: [
      {
        flags: '--out <folder>',
        description: 'where the archive goes (default: .tools/releases of the clone)',
      },
      { flags: '--dirty', description: 'also with changes that are not committed; the name says so' },
    ],
    load: async () => (await import('../../release.ts')).release,
  },
  {
    path: 'migrate',
    summary: "Bring the database to this release's schema, after a copy of it",
    details:
      'A start does the same without a copy. Of Postgres a full backup is made instead of a copy.\n' +
      'Answers {from, to, minReader, minReaderAfter, bytes, snapshot}; the numbers are schemas.',
    options: [
      { flags: '--plan', description: 'say what would be done, and change nothing' },
      { flags: '--copy <file>', description: 'first copy the database of before to this file' },
    ],
    load: async () => (await import('../../migrate.ts')).migrate,
  },
  {
    path: 'deploy',
    summary: 'Put a release in place on a host without a lost request, or leave everything as it was',
    details:
      'Sends what the host lacks, migrates the database after a copy, starts the release beside the one that is live, asks it,\n' +
      'switches, watches, and goes back by itself where it turns bad. The same call again goes on where one was cut off.\n' +
      'Answers the record of the run with its steps and times; a failed one has it as `deploy` of its error. Exit 4 where\n' +
      'somebody else deploys, or there would be no way back.',
    options: [
      ...WHERE,
      {
        flags: '--release <file>',
        description: 'the archive (default: built from this clone); - reads standard input',
      },
      {
        flags: '--plan',
        description: 'say what would be sent and what stands in the way, and change nothing',
      },
      {
        flags: '--no-way-back <reason>',
        description: 'also a migration after which the release before cannot read the database',
      },
    ],
    load: async () => (await import('../../deploy.ts')).deploy,
  },
  {
    path: 'rollback',
    summary: 'Go back to the release before, by the same gates, switch and watch',
    details:
      'Refused, exit 4, where that release cannot read the database any more: a newer one, or a restore, helps then.',
    options: [
      ...WHERE,
      { flags: '--to <release>', description: 'one that is on the host (default: the one before)' },
    ],
    load: async () => (await import('../../deploy.ts')).rollback,
  },
];

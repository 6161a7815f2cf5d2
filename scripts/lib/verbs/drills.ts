import type { Verb } from '../verb.ts';
import { FROM, IDENTITY, NAMED, TRUST } from './options.ts';

const MAX_AGE = (standard: string) => ({
  flags: '--max-age <duration>',
  description: `how much may be lost, e.g. 90s, 15m, 26h, 3d (default: ${standard})`,
});

/** Proofs that backups are any good, here and from elsewhere. */
export const DRILL_VERBS: Verb[] = [
  {
    path: 'drill',
    summary: 'Restore the newest backup from a destination, and start the application on it',
    details:
      'Works in a folder of its own and touches no running service. Exit 0 pass, 1 fail, 3 inconclusive: it could not be\n' +
      'fetched or read, which says nothing of the backup. Once a week four backups that are wrong on purpose have to fail.\n\n' +
      'For another application:\n' +
      "  npx factory drill --name app --boot './app --db {db} --port {port}' --check http://127.0.0.1:{port}/health",
    options: [
      { ...FROM, description: 'this destination (default: the first configured one)' },
      { flags: '--next', description: 'from the configured destination whose last drill is longest ago' },
      IDENTITY,
      TRUST,
      {
        flags: '--server <url>',
        description:
          'of a Postgres backup: where its copy is made and dropped (default: the configured server)',
      },
      MAX_AGE('twice the interval of backups where a SQLite database is at hand, else 26h'),
      { flags: '--timeout <duration>', description: 'end it, inconclusive, after this time (default: 4h)' },
      { flags: '--canary', description: 'try the backups that are wrong on purpose now' },
      {
        flags: '--report',
        description: 'report it to FACTORY_URL, which is done anyway where FACTORY_TOKEN is set, too',
      },
      NAMED,
      { flags: '--boot <command>', description: 'starts that application; it gets {db}, {dir} and {port}' },
      { flags: '--check <url>', description: 'has to answer with 2xx; may come again', list: 'repeat' },
      { flags: '--file <name>', description: 'what the restored file is called (default: <name>.db)' },
    ],
    load: async () => (await import('../../drill.ts')).drill,
  },
  {
    path: 'observe',
    summary: 'Look at a destination from anywhere, and judge on its own whether there is a good backup',
    details:
      'Needs no database and no private key, and believes nothing but what lies there: run it on another machine, by a\n' +
      'timer, for the day on which the backup job only says that all is well. Exit 0 ok, 3 degraded, 1 failing.',
    options: [
      { ...FROM, description: 'the destination', required: true },
      NAMED,
      MAX_AGE('26h'),
      TRUST,
      { flags: '--verify', description: 'read every byte of the newest backup, too' },
    ],
    load: async () => (await import('../../observe.ts')).observe,
  },
];

import type { Verb, VerbOption } from '../verb.ts';

const TO: VerbOption = {
  flags: '--to <url>',
  description: 'the new database, postgres://user@host/name; empty, or that of this port',
  required: true,
  once: true,
};

/** From SQLite to Postgres. */
export const PORT_VERBS: Verb[] = [
  {
    path: 'port check',
    summary: 'Say whether all rows can go to Postgres, and what the new database holds; changes nothing',
    details: 'Also beside a running service. Exit 1 if rows cannot go as they are; they are named.',
    options: [TO],
    load: async () => (await import('../../port.ts')).check,
  },
  {
    path: 'port copy',
    summary: 'Copy the whole database to Postgres, with the service stopped; goes on where it was stopped',
    details:
      'The old database is only read. The service does not start on the new one before `port verify` found no difference.\n' +
      'Exit 1 if rows could not go; they are named and stay where they are. Exit 4 while a service runs.',
    options: [TO, { flags: '--again', description: 'throw away what this port copied, and begin again' }],
    load: async () => (await import('../../port.ts')).copy,
  },
  {
    path: 'port verify',
    summary: 'Compare every row, sequence, constraint and the audit log of both databases',
    details: 'Exit 1 on any difference; without one the new database is free to be used.',
    options: [TO],
    load: async () => (await import('../../port.ts')).verify,
  },
];

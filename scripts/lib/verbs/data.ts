import { SHELLS } from '../verb.ts';
import type { Verb } from '../verb.ts';

/** The service itself and its queue folder. */
export const START_VERBS: Verb[] = [
  {
    path: 'serve',
    summary: 'Run the control plane until SIGTERM or Ctrl-C',
    details:
      'The configuration comes from FACTORY_* variables and .env; .env.example explains each.\n' +
      'With --json one line {"listening","loginLink"} is printed when the service is ready; logs go to stderr.',
    load: async () => (await import('../../serve.ts')).serve,
  },
  {
    path: 'init',
    summary: 'Make a work-items folder with a policy and a first item; touches nothing that exists',
    load: async () => (await import('../../init.ts')).init,
  },
  {
    path: 'validate',
    summary: 'Check the work items and their policy: every problem at once, with file and line',
    details: 'Exit 1 if a file does not count; warnings alone exit 0.',
    load: async () => (await import('../../validate.ts')).validate,
  },
  {
    path: 'queue adopt',
    summary: 'Say that the configured work-items folder is the queue that the database was filled from',
    details:
      'A start on another folder than before is refused, because two queues would be mixed for good. This is for the same\n' +
      'queue at another place while the old place is still there; the record of it stands in the audit log.',
    load: async () => (await import('../../queue.ts')).adopt,
  },
];

/** The audit log. */
export const AUDIT_VERBS: Verb[] = [
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
    load: async () => (await import('../../verify-audit.ts')).verifyAudit,
  },
  {
    path: 'audit export',
    summary: 'Write the audit log, one leaf a line, for `node scripts/verify-log.mjs`',
    options: [{ flags: '--output <file>', description: 'a new file (default: stdout); needed with --json' }],
    load: async () => (await import('../../audit.ts')).exportLog,
  },
];

/** Beside the work. */
export const TOOL_VERBS: Verb[] = [
  {
    path: 'doctor',
    summary:
      'Probe configuration, disk, database, keys, audit log, queue, clock, address and where backups go',
    details:
      'Writes a probe object to each destination of backups and removes it, and keeps what it found in\n' +
      '<data>/backup/destinations.json; changes nothing else. Exit 0 all is well, 3 warnings, 1 something does not work.',
    load: async () => (await import('../../doctor.ts')).doctor,
  },
  {
    path: 'completion',
    summary: 'Print a completion script for a shell',
    details: 'For example:  source <(npx factory completion bash); alias factory="npx factory"',
    arguments: [{ name: 'shell', description: SHELLS.join(', '), choices: SHELLS }],
    load: async () => (await import('../../completion.ts')).completion,
  },
];

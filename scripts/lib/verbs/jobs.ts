import { JOB_NAMES } from '../../../service/jobs/types.ts';
import type { Verb } from '../verb.ts';

/** Jobs: the same that the service runs at their times. */
export const JOBS_VERBS: Verb[] = [
  {
    path: 'jobs list',
    summary: 'List the jobs: when each is next, what runs, and how the last run ended',
    load: async () => (await import('../../jobs.ts')).list,
  },
  {
    path: 'jobs run',
    summary: 'Run a job now, as the service does at its times; needs no running service',
    details:
      'One run of a job at a time: exit 4 while another one is at it. The run is recorded. Exit 3 if some of it worked, 1 if\n' +
      'nothing did. For timers of the system, beside FACTORY_JOBS=off.',
    arguments: [{ name: 'name', description: 'the job', choices: JOB_NAMES }],
    options: [
      {
        flags: '--claim <run>',
        description: 'go on with this run, which was claimed for it: how the service starts jobs',
      },
    ],
    load: async () => (await import('../../jobs.ts')).run,
  },
];

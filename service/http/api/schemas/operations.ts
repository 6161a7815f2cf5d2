import { z } from 'zod';
import { JOB_NAMES, RUN_OUTCOMES } from '../../../jobs/types.ts';
import type { BackupStatus, DrillStatus, JobPlan, JobRun, JobSummary } from '../../../jobs/types.ts';
import type { PublicBackups, PublicDrills } from '../../../jobs/public-status.ts';
import { BACKUP_STATES, DRILL_OUTCOMES } from '../../../jobs/types.ts';
import { deployRecord } from '../../../jobs/deploy-history.ts';
import { drillRecord } from './drills.ts';
import { count, filter, madeId, named, nextCursor, time } from './fields.ts';

/** Backups, drills, jobs and their runs. */

const seconds = z.number().min(0);
const maybeSeconds = seconds.nullable();
const state = z.enum(BACKUP_STATES);
const how = z.enum(['ciphertext', 'restored']);
const outcome = z.enum(DRILL_OUTCOMES);

export const jobName = z.enum(JOB_NAMES);

const budget = {
  status: state,
  detail: z.string().describe('One sentence, for people.'),
  budgetSeconds: seconds.describe('Older than this is late.'),
  ageSeconds: maybeSeconds.describe('Null: there is none.'),
};

export const publicBackups = named(
  'BackupHealth',
  z.strictObject({
    ...budget,
    destinations: z.array(
      z.strictObject({
        number: z.int().min(1).describe('In the order of the configuration.'),
        kind: z.enum(['folder', 's3']),
        state: z.enum(['ok', 'late', 'failing', 'never']),
        ageSeconds: maybeSeconds.describe('Of the newest verified backup.'),
        verifiedHow: how.nullable(),
        sameDisk: z.boolean().describe('It does not survive what the database does not survive.'),
        error: z.string().nullable().describe('Code of the last error, while nothing succeeded since.'),
      }),
    ),
  }) satisfies z.ZodType<PublicBackups>,
);

export const publicDrills = named(
  'DrillHealth',
  z.strictObject({
    ...budget,
    last: z.strictObject({ outcome, at: time }).nullable(),
    lastPass: z
      .strictObject({
        at: time,
        rpoSeconds: maybeSeconds,
        rtoSeconds: maybeSeconds,
        restoreSeconds: maybeSeconds,
        bootSeconds: maybeSeconds,
      })
      .nullable(),
  }) satisfies z.ZodType<PublicDrills>,
);

const destination = z.strictObject({
  url: z.string(),
  sameDisk: z.boolean(),
  newest: z.strictObject({ backupId: z.string(), kind: z.string(), takenAt: time, bytes: count }).nullable(),
  verified: z.strictObject({ backupId: z.string(), takenAt: time, verifiedAt: time, how }).nullable(),
  coveredAt: time.nullable().describe('Until when everything is in the newest backup.'),
  total: z.strictObject({ backups: count, bytes: count, at: time }).nullable(),
  error: z.strictObject({ code: z.string(), message: z.string(), hint: z.string(), at: time }).nullable(),
});

const backups = named(
  'BackupStatus',
  z.strictObject({
    ...budget,
    destinations: z.array(destination),
    recoveryKey: z.strictObject({
      proven: z.boolean().describe('Somebody showed that it opens what is encrypted for it.'),
      provenAt: time.nullable(),
      onHost: z.boolean().describe('A private key that opens backups lies on this host.'),
      recoveryOnHost: z.boolean().describe('So does one that has to be shown from outside.'),
    }),
  }) satisfies z.ZodType<BackupStatus>,
);

const drills = named(
  'DrillStatus',
  z.strictObject({
    ...budget,
    last: drillRecord.nullable(),
    lastPass: drillRecord.nullable(),
  }) satisfies z.ZodType<DrillStatus>,
);

const runHead = {
  id: madeId,
  job: jobName,
  fence: count,
  dueAt: time.nullable().describe('The due time that it serves; null: somebody started it.'),
  startedBy: z.strictObject({
    kind: z.enum(['schedule', 'person', 'token', 'command-line']),
    id: z.string().nullable(),
  }),
  startedAt: time,
  endedAt: time.nullable(),
  outcome: z.enum(RUN_OUTCOMES).nullable().describe('Null: it is running.'),
};

/** In lists: without what the run wrote. */
export const runSummary = named(
  'JobRunSummary',
  z.strictObject(runHead) satisfies z.ZodType<Omit<JobRun, 'result' | 'log'>>,
);

export const run = named(
  'JobRun',
  z.strictObject({
    ...runHead,
    result: z.unknown().describe("The verb's JSON document, or its error."),
    log: z.string(),
  }),
);

export const runs = named('JobRuns', z.strictObject({ runs: z.array(runSummary), nextCursor }));

const job = named(
  'Job',
  z.strictObject({
    name: jobName,
    title: z.string(),
    schedule: z.string(),
    nextAt: time.nullable(),
    lateAfterSeconds: z
      .number()
      .describe('How long after that `scheduler` of the health says that it was not started.'),
    paused: z.string().nullable().describe('Why it is not run.'),
    running: runSummary.nullable(),
    last: runSummary.nullable(),
  }) satisfies z.ZodType<
    Omit<JobSummary, 'running' | 'last'> & Record<'running' | 'last', Omit<JobRun, 'result' | 'log'> | null>
  >,
);

export const jobs = named('Jobs', z.strictObject({ jobs: z.array(job) }));

const deploy = named('Deploy', deployRecord);

export const status = named(
  'OperationsStatus',
  z.strictObject({
    backups,
    drills,
    drillHistory: z.array(drillRecord).describe('Newest first.'),
    deploys: z.array(deploy).describe('Of this host, newest first; empty where nothing deploys here.'),
    jobs: z.array(job),
  }),
);

export const plan = named(
  'JobPlan',
  z.strictObject({
    job: jobName,
    steps: z.array(z.string()),
    refused: z.string().nullable().describe('Why it cannot be started now.'),
    digest: z.string().describe('Names exactly this plan; starting takes it.'),
  }) satisfies z.ZodType<JobPlan>,
);

export const startRequest = z.strictObject({ digest: filter(200).describe('`digest` of the plan.') });
export const started = z.strictObject({ runId: madeId });

import type { Config } from '../config.ts';
import type { Reader } from '../storage/transaction.ts';
import { jobsOf } from './jobs.ts';
import type { JobDefinition } from './jobs.ts';
import { readLeases } from './leases.ts';
import type { Held } from './leases.ts';
import { lastRun, listRuns } from './runs.ts';
import { dueNow, nextDue, scheduleText } from './schedule.ts';
import type { JobSummary } from './types.ts';

/** What each job is up to. */

export const JOBS_OFF =
  'The service runs no jobs (FACTORY_JOBS=off); something outside starts `factory jobs run`.';

export interface SummaryFacts {
  config: Config;
  databaseBytes: number | null;
  /** From when on due times count where none was claimed, and now; in ms since the epoch. */
  since: number;
  now: number;
}

export async function jobSummaries(reader: Reader, facts: SummaryFacts): Promise<JobSummary[]> {
  const held = await readLeases(reader);
  const jobs = jobsOf(facts.config, facts.databaseBytes);
  return Promise.all(jobs.map((job) => summary(reader, job, held[job.name], facts)));
}

async function summary(
  reader: Reader,
  job: JobDefinition,
  held: Held | undefined,
  { config, since, now }: SummaryFacts,
): Promise<JobSummary> {
  const { name, title, schedule, elsewhere } = job;
  const newest = await lastRun(reader, name);
  const running = newest?.endedAt === null ? newest : null;
  const [ended] = (await listRuns(reader, { job: name, after: null, limit: 3 })).filter(
    ({ endedAt }) => endedAt !== null,
  );
  const dueAt = held?.dueAt ? Date.parse(held.dueAt) : null;
  const next = dueNow(schedule, { dueAt, since, now }) ?? nextDue(schedule, now);
  const runs = config.jobs && elsewhere === null;
  return {
    ...{ name, title },
    schedule: elsewhere ?? scheduleText(schedule),
    nextAt: runs && next !== null ? new Date(next).toISOString() : null,
    paused: config.jobs || elsewhere !== null ? null : JOBS_OFF,
    running,
    last: ended ?? null,
  };
}

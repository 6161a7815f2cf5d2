import type { Config } from '../config.ts';
import { pauseText, restorePause } from '../restored/pause.ts';
import type { RestorePause } from '../restored/pause.ts';
import type { Reader } from '../storage/transaction.ts';
import { OWN_NAME, readFacts } from './facts.ts';
import type { Known } from './facts.ts';
import { jobsOf } from './jobs.ts';
import type { JobDefinition } from './jobs.ts';
import { readLeases } from './leases.ts';
import { lastRun, listRuns } from './runs.ts';
import { dueNow, FIRST_MS, lateAfterSeconds, nextDue, scheduleText } from './schedule.ts';
import type { JobSummary } from './types.ts';

/** What each job is up to. */

export const JOBS_OFF =
  'The service runs no jobs (FACTORY_JOBS=off); something outside starts `npx factory jobs run`.';

export interface SummaryFacts {
  config: Config;
  databaseBytes: number | null;
  /** From when on due times count where none was claimed, and now; in ms since the epoch. */
  since: number;
  now: number;
  /** By destination: up to when it is known to hold everything, later than what is written down. */
  covered?: ReadonlyMap<string, string>;
}

export async function jobSummaries(reader: Reader, facts: SummaryFacts): Promise<JobSummary[]> {
  const held = await readLeases(reader);
  const jobs = jobsOf(facts.config, facts.databaseBytes);
  const known = await readFacts(reader, OWN_NAME);
  const covered = coveredAt(known, facts);
  // Until one can be fetched, the first drill waits; the first backup is made before it.
  const drillable =
    [...known.values()].some(({ verified }) => verified !== null) ||
    (await lastRun(reader, 'backup')) === null;
  const pause = await restorePause(reader);
  return Promise.all(
    jobs.map((job) => {
      const claimed = Date.parse(held[job.name]?.dueAt ?? '');
      // Where nothing changed nothing is claimed, and it is done all the same.
      const served = job.name === 'differential' ? [claimed, covered] : [claimed];
      const done = served.filter((time) => !Number.isNaN(time));
      return summary(reader, job, done.length === 0 ? null : Math.max(...done), {
        ...facts,
        pause,
        drillable,
      });
    }),
  );
}

/** Up to when every destination holds everything; NaN: not all do. */
function coveredAt(known: ReadonlyMap<string, Known>, { config, covered }: SummaryFacts): number {
  const times = config.backup.destinations.map(({ url }) =>
    Date.parse(covered?.get(url) ?? known.get(url)?.covered?.at ?? ''),
  );
  return Math.min(...times);
}

/** Of a job that this database never saw: soon after the start, not at its time of day. Null: as it is scheduled. */
function firstDue(
  { name }: JobDefinition,
  dueAt: number | null,
  { since, drillable }: SummaryFacts & { drillable: boolean },
): number | null {
  if (dueAt !== null || (name === 'drill' && !drillable)) return null;
  return name === 'backup' || name === 'drill' ? since + FIRST_MS[name] : null;
}

async function summary(
  reader: Reader,
  job: JobDefinition,
  dueAt: number | null,
  facts: SummaryFacts & { pause: RestorePause | null; drillable: boolean },
): Promise<JobSummary> {
  const { config, since, now, pause } = facts;
  const { name, title, schedule, elsewhere } = job;
  const newest = await lastRun(reader, name);
  const running = newest?.endedAt === null ? newest : null;
  const [ended] = (await listRuns(reader, { job: name, after: null, limit: 3 })).filter(
    ({ endedAt }) => endedAt !== null,
  );
  const next =
    firstDue(job, dueAt, facts) ?? dueNow(schedule, { dueAt, since, now }) ?? nextDue(schedule, now);
  const runs = config.jobs && elsewhere === null;
  return {
    ...{ name, title },
    schedule: elsewhere ?? scheduleText(schedule),
    nextAt: runs && next !== null ? new Date(next).toISOString() : null,
    lateAfterSeconds: lateAfterSeconds(schedule, now),
    paused: elsewhere !== null ? null : config.jobs ? pause && pauseText(pause) : JOBS_OFF,
    running,
    last: ended ?? null,
  };
}

import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { FactoryError } from '../errors.ts';
import type { Drills } from '../jobs/drills.ts';
import { OWN_NAME, readFacts } from '../jobs/facts.ts';
import { databaseBytes, jobsOf } from '../jobs/jobs.ts';
import type { JobDefinition } from '../jobs/jobs.ts';
import { recoveryKeyState, whyNoBackupHere, whyNoDrillHere } from '../jobs/recovery-key.ts';
import { lastRun, listRuns, newestFull, runById } from '../jobs/runs.ts';
import type { RunPosition } from '../jobs/runs.ts';
import { backupStatus, drillStatus } from '../jobs/status.ts';
import { jobSummaries } from '../jobs/summaries.ts';
import type { JobName, JobPlan, JobRun, OperationsPort } from '../jobs/types.ts';
import { planOf } from '../jobs/work.ts';
import {
  acceptRestore,
  driftReport,
  lastRestore,
  pausedJob,
  pauseText,
  reportDigest,
  restorePause,
} from '../restored/pause.ts';
import { readDeploys } from './deploy-log.ts';
import { onSameDisk } from '../same-disk.ts';
import type { Cursors } from '../storage/cursor.ts';
import type { Storage } from '../storage/transaction.ts';

export interface OperationsDependencies {
  config: Config;
  storage: Storage;
  audit: AuditLog;
  projectId: string;
  clock: Clock;
  cursors: Cursors;
  drills: Pick<Drills, 'history'>;
  /** Default: what the disks say. */
  sameDisk?: typeof onSameDisk;
  scheduler: {
    /** Begins a run at once. Errors: `job-running`, `job-paused`. */
    begin(job: JobName, startedBy: JobRun['startedBy']): Promise<string>;
    /** Whether this process can run jobs. */
    able: boolean;
    /** Up to when each destination is known to hold everything, later than what is written down. */
    covered(): ReadonlyMap<string, string>;
  };
}

/** Enough to find one that passed: drills are daily. */
const DRILLS_READ = 100;
const RUNS_CURSOR = 'job-runs';

/** What pages and API ask of jobs and backups, from what runs wrote down. */
export function createOperations(dependencies: OperationsDependencies): OperationsPort {
  const { config, storage, audit, projectId, clock, cursors, drills, scheduler } = dependencies;
  const { sameDisk = onSameDisk } = dependencies;
  const startedAt = clock.now();
  const defined = (): JobDefinition[] => jobsOf(config, databaseBytes(config));

  function definition(job: JobName): JobDefinition {
    const found = defined().find(({ name }) => name === job);
    if (found) return found;
    throw new TypeError(`there is no job ${job}`);
  }

  async function plan(job: JobName): Promise<JobPlan> {
    const newest = await lastRun(storage.read, job);
    const running = newest?.endedAt === null ? 'It is running already.' : null;
    const pause = await restorePause(storage.read);
    const unable = scheduler.able ? null : 'This process cannot run jobs.';
    const refused = running ?? (pause === null ? unable : pauseText(pause));
    return planOf(definition(job), config, { refused, after: newest?.id ?? null });
  }

  return {
    async backups() {
      const facts = await readFacts(storage.read, OWN_NAME);
      for (const [url, at] of scheduler.covered()) {
        const known = facts.get(url);
        if (known?.covered && known.covered.at < at) known.covered = { ...known.covered, at };
      }
      const near = await sameDisk(config.backup.destinations, config);
      const differential = definition('differential');
      const { schedule, elsewhere } = differential;
      const scheduled = schedule.kind === 'interval' ? schedule.seconds : null;
      // Who sets an interval and has something outside keep it is held to it.
      const seconds = config.jobs ? scheduled : config.backup.differentialSeconds;
      return backupStatus({
        destinations: config.backup.destinations.map(({ url }) => ({ url, sameDisk: near.has(url) })),
        known: facts,
        intervalSeconds: elsewhere === null ? seconds : null,
        full: await newestFull(storage.read),
        scheduled: config.jobs,
        refused: whyNoBackupHere(config),
        production: config.environment === 'production',
        recoveryKey: recoveryKeyState(config),
        now: clock.now(),
      });
    },
    async drills() {
      const scheduled = config.jobs && whyNoDrillHere(config) === null;
      return drillStatus({ records: await drills.history(DRILLS_READ), scheduled, now: clock.now() });
    },
    async restored() {
      const last = await lastRestore(storage.read);
      if (last === null) return null;
      const { takenAt, restoredAt, why } = last;
      return { takenAt, restoredAt, why, open: (await restorePause(storage.read)) !== null };
    },
    async driftReport() {
      const report = await driftReport(storage.read, projectId);
      return report && { ...report, digest: reportDigest(report) };
    },
    async acceptRestore(actor, digest) {
      await acceptRestore({ storage, audit, projectId }, actor, digest);
    },
    deploys: (limit) => readDeploys(config.deployLog, limit),
    drillHistory: (limit) => drills.history(limit),
    jobs: () =>
      jobSummaries(storage.read, {
        ...{ config, databaseBytes: databaseBytes(config), since: startedAt, now: clock.now() },
        covered: scheduler.covered(),
      }),
    async runs({ job, cursor, limit }) {
      const after = cursor === undefined ? null : (cursors.decode(RUNS_CURSOR, cursor) as RunPosition);
      const found = await listRuns(storage.read, { job, after, limit: limit + 1 });
      const runs = found.slice(0, limit);
      const last = found.length > limit ? runs.at(-1) : undefined;
      const nextCursor = last
        ? cursors.encode(RUNS_CURSOR, { startedAt: last.startedAt, id: last.id } satisfies RunPosition)
        : null;
      return { runs, nextCursor };
    },
    run: (id) => runById(storage.read, id),
    plan,
    async start(actor, job, digest) {
      const now = await plan(job);
      if (now.digest !== digest) throw outdated(job);
      if (now.refused !== null) {
        const pause = await restorePause(storage.read);
        throw pause === null ? refused(job, now.refused) : pausedJob(job, pause);
      }
      return { runId: await scheduler.begin(job, { kind: actor.kind, id: actor.id }) };
    },
  };
}

function outdated(target: JobName): FactoryError {
  return new FactoryError({
    ...{ code: 'plan-outdated', op: 'start job', target },
    message: 'What the job would do changed since the plan was shown, or it was started meanwhile.',
    hint: 'Look at the new plan, and start it again.',
  });
}

function refused(target: JobName, why: string): FactoryError {
  const running = why === 'It is running already.';
  return new FactoryError({
    ...{ code: running ? 'job-running' : 'job-paused', op: 'start job', target, message: why },
    hint: running ? 'Wait until it ends.' : 'Start it from the command line: `npx factory jobs run`.',
    retryable: running,
  });
}

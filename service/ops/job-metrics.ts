import { Counter, Gauge, type Registry } from 'prom-client';
import { newestAge, verifiedAge, isOverdue } from '../jobs/ages.ts';
import {
  DRILL_OUTCOMES,
  JOB_NAMES,
  RUN_OUTCOMES,
  type JobSummary,
  type OperationsPort,
} from '../jobs/types.ts';
import type { Storage } from '../storage/transaction.ts';
import { runCounts } from './store.ts';

export interface JobsObserved {
  clock: { now(): number };
  storage: Pick<Storage, 'read'>;
  operations: Pick<OperationsPort, 'backups' | 'drills' | 'jobs'>;
}

/** Older than any budget: an alert on age needs no second rule for what never was. */
const NEVER = Number.POSITIVE_INFINITY;

interface Sample {
  labels?: Record<string, string>;
  value: number | null;
}

/**
 * Gauges of backups, drills and jobs; what is not known has no sample. A job's label is `name`: `job` is what Prometheus
 * itself calls whom it asks.
 */
export function observeJobs(registry: Registry, observed: JobsObserved): void {
  const { clock, operations, storage } = observed;
  const gauge = (name: string, help: string, labelNames: string[], read: () => Promise<Sample[]>): void => {
    new Gauge({
      ...{ name, help, labelNames, registers: [registry] },
      async collect() {
        // Without labels a reset would say zero.
        if (labelNames.length === 0) this.remove();
        else this.reset();
        for (const { labels = {}, value } of await read()) if (value !== null) this.set(labels, value);
      },
    });
  };
  const ofBackups = asked(() => operations.backups());
  const ofDrills = asked(() => operations.drills());
  const ofJobs = asked(() => operations.jobs());

  gauge(
    'factory_backup_age_seconds',
    'Age of the newest backup of a destination, and of its newest verified one; +Inf: there is none.',
    ['destination', 'state'],
    async () =>
      (await ofBackups()).destinations.flatMap((one) => [
        { labels: { destination: one.url, state: 'newest' }, value: newestAge(one, clock.now()) ?? NEVER },
        {
          labels: { destination: one.url, state: 'verified' },
          value: verifiedAge(one, clock.now()) ?? NEVER,
        },
      ]),
  );
  gauge(
    'factory_backup_budget_seconds',
    'Age of a verified backup beyond which it is late.',
    [],
    async () => [{ value: (await ofBackups()).budgetSeconds }],
  );
  gauge('factory_backup_overdue', 'One while /api/health/backups answers 503.', [], async () => [
    { value: isOverdue(await ofBackups()) ? 1 : 0 },
  ]);
  gauge(
    'factory_backup_recovery_key_proven',
    'One where somebody showed that the recovery key opens the backups.',
    [],
    async () => [{ value: (await ofBackups()).recoveryKey.proven ? 1 : 0 }],
  );
  gauge(
    'factory_backup_bytes',
    'Bytes of the newest backup of a destination, and of everything that lies there.',
    ['destination', 'scope'],
    async () =>
      (await ofBackups()).destinations.flatMap(({ url, newest, total }) => [
        { labels: { destination: url, scope: 'newest' }, value: newest?.bytes ?? null },
        { labels: { destination: url, scope: 'total' }, value: total?.bytes ?? null },
      ]),
  );
  gauge(
    'factory_backup_destination_failing',
    'One while the last try of a destination failed.',
    ['destination'],
    async () =>
      (await ofBackups()).destinations.map(({ url, error }) => ({
        labels: { destination: url },
        value: error === null ? 0 : 1,
      })),
  );
  gauge(
    'factory_backup_same_disk',
    'One where a destination does not survive what the database does not survive.',
    ['destination'],
    async () =>
      (await ofBackups()).destinations.map(({ url, sameDisk }) => ({
        labels: { destination: url },
        value: sameDisk ? 1 : 0,
      })),
  );

  gauge('factory_drill_age_seconds', 'Since the last drill that passed; +Inf: none did.', [], async () => [
    { value: (await ofDrills()).ageSeconds ?? NEVER },
  ]);
  gauge('factory_drill_budget_seconds', 'Age of a drill beyond which it is late.', [], async () => [
    { value: (await ofDrills()).budgetSeconds },
  ]);
  gauge('factory_drill_last_outcome', 'One for the outcome of the last drill.', ['outcome'], async () => {
    const { last } = await ofDrills();
    return DRILL_OUTCOMES.map((outcome) => ({
      labels: { outcome },
      value: last?.outcome === outcome ? 1 : 0,
    }));
  });
  gauge('factory_restore_seconds', 'Of the last drill that passed: fetching and restoring.', [], async () => [
    { value: (await ofDrills()).lastPass?.restoreSeconds ?? null },
  ]);
  gauge(
    'factory_boot_seconds',
    'Of the last drill that passed: until the application answered.',
    [],
    async () => [{ value: (await ofDrills()).lastPass?.bootSeconds ?? null }],
  );

  for (const { name, help, read } of JOB_GAUGES)
    gauge(name, help, ['name'], async () =>
      (await ofJobs()).map((job) => ({ labels: { name: job.name }, value: read(job) })),
    );
  gauge(
    'factory_job_last_outcome',
    'One for the outcome of the last run of a job.',
    ['name', 'outcome'],
    async () =>
      (await ofJobs()).flatMap(({ name, last }) =>
        RUN_OUTCOMES.map((outcome) => ({
          labels: { name, outcome },
          value: last?.outcome === outcome ? 1 : 0,
        })),
      ),
  );
  countRuns(registry, storage);
}

function countRuns(registry: Registry, storage: JobsObserved['storage']): void {
  new Counter({
    name: 'factory_job_runs_total',
    help: 'Ended runs of a job, by outcome, as far back as runs are kept.',
    labelNames: ['name', 'outcome'],
    registers: [registry],
    async collect() {
      const counts = await storage.read.all(runCounts, {});
      this.reset();
      for (const job of JOB_NAMES)
        for (const outcome of RUN_OUTCOMES) {
          const found = counts.find((row) => row.job === job && row.outcome === outcome);
          this.inc({ name: job, outcome }, Number(found?.count ?? 0));
        }
    },
  });
}

const JOB_GAUGES: { name: string; help: string; read: (job: JobSummary) => number | null }[] = [
  {
    name: 'factory_job_last_end_timestamp_seconds',
    help: 'When the last run of a job ended.',
    read: ({ last }) => epoch(last?.endedAt),
  },
  {
    name: 'factory_job_due_timestamp_seconds',
    help: 'When a job is due next; in the past: it is late.',
    read: ({ nextAt }) => epoch(nextAt),
  },
  {
    name: 'factory_job_late_after_seconds',
    help: 'How late a job may start before it is an alert.',
    read: ({ lateAfterSeconds }) => lateAfterSeconds,
  },
  {
    name: 'factory_job_running',
    help: 'One while a job runs.',
    read: ({ running }) => (running === null ? 0 : 1),
  },
  {
    name: 'factory_job_paused',
    help: 'One while a job is not run.',
    read: ({ paused }) => (paused === null ? 0 : 1),
  },
];

function epoch(iso: string | null | undefined): number | null {
  return iso ? Date.parse(iso) / 1000 : null;
}

/** Gauges are read at once: one question answers all of them. */
function asked<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | null = null;
  return () => {
    answer ??= ask().finally(() => setImmediate(() => (answer = null)));
    return answer;
  };
}

import { FactoryError } from '../../service/errors.ts';
import type { DeployRecord, Deploys } from '../../service/jobs/deploy-history.ts';
import { newId } from '../../service/ids.ts';
import { ageSeconds } from '../../service/jobs/ages.ts';
import {
  JOB_NAMES,
  type BackupStatus,
  type DestinationStatus,
  type DrillRecord,
  type DrillStatus,
  type JobName,
  type JobRun,
  type JobSummary,
  type OperationsPort,
  type Restored,
  type ShownReport,
} from '../../service/jobs/types.ts';

/** Operations over facts that a test sets: what the pages and the API show, without a backup being made. */

export interface OperationsState {
  backups: BackupStatus;
  drills: DrillRecord[];
  drillBudgetSeconds: number;
  jobs: Partial<Record<JobName, Partial<JobSummary>>>;
  /** Newest first. */
  runs: JobRun[];
  deploys: Deploys;
  restored: Restored | null;
  report: ShownReport | null;
  /** Why plans are refused. */
  refused: string | null;
  /** Thrown by `start`. */
  refusal: FactoryError | null;
}

export interface FakeOperations extends OperationsPort {
  state: OperationsState;
  started: { job: JobName; actor: { kind: string; id: string } }[];
  accepted: { kind: string; id: string }[];
}

export const LOCAL = 'file:///srv/factory/data/backups';
export const REMOTE = 's3://bf-prod-a/nightly?endpoint=https%3A%2F%2Fs3.eu-central-003.backblazeb2.com';
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

export function at(now: number, ms: number): string {
  return new Date(now + ms).toISOString();
}

export function destination(now: number, change: Partial<DestinationStatus> = {}): DestinationStatus {
  const takenAt = at(now, -14 * MINUTE);
  const backupId = '20261123T014500Z-000812';
  return {
    url: REMOTE,
    sameDisk: false,
    newest: { backupId, kind: 'differential', takenAt, bytes: 182_000 },
    verified: { backupId, takenAt, verifiedAt: at(now, -9 * MINUTE), how: 'ciphertext' },
    coveredAt: at(now, -4 * MINUTE),
    total: { backups: 318, bytes: 1_240_000_000, at: at(now, -90 * MINUTE) },
    error: null,
    ...change,
  };
}

export function backupStatus(now: number, change: Partial<BackupStatus> = {}): BackupStatus {
  return {
    status: 'ok',
    detail: 'Everything up to 4 minutes ago is in a verified backup.',
    budgetSeconds: 900,
    ageSeconds: 240,
    destinations: [destination(now)],
    recoveryKey: { proven: true, provenAt: '2026-05-01T00:00:00.000Z', onHost: false, recoveryOnHost: false },
    ...change,
  };
}

export function drillRecord(now: number, daysAgo: number, change: Partial<DrillRecord> = {}): DrillRecord {
  return {
    id: newId(),
    url: REMOTE,
    outcome: 'pass',
    at: at(now, -daysAgo * DAY - 3 * 60 * MINUTE),
    backupId: '20261123T021500Z-000790',
    rpoSeconds: 240,
    rtoSeconds: 52 - daysAgo / 3,
    restoreSeconds: 11 - daysAgo / 10,
    bootSeconds: 41 - daysAgo / 4,
    checks: [
      { name: 'integrity', status: 'pass', detail: 'The database is whole.' },
      { name: 'boot', status: 'pass', detail: 'It answered 10 reads.' },
    ],
    digest: 'a'.repeat(64),
    ...change,
  };
}

export function jobRun(now: number, job: JobName, agoMs: number, change: Partial<JobRun> = {}): JobRun {
  return {
    id: newId(),
    job,
    fence: 1,
    dueAt: at(now, -agoMs),
    startedBy: { kind: 'schedule', id: null },
    startedAt: at(now, -agoMs),
    endedAt: at(now, -agoMs + 9_000),
    outcome: 'ok',
    result: { backupId: '20261123T021500Z-000790', kind: 'full', status: 'ok' },
    log: 'snapshot 1.2 s\nupload 3.4 s\n',
    ...change,
  };
}

const TITLES: Record<JobName, [string, string]> = {
  backup: ['Full backup', '15 2 * * *'],
  differential: ['Differential backup', 'every 300 s'],
  verify: ['Verify backups', '45 3 * * *'],
  drill: ['Restore drill', '15 4 * * *'],
  prune: ['Prune old backups', '15 5 * * *'],
};

const DEPLOYED = [
  ['preflight', 0.1, 'staging, live is 0.1.0-4f7ee301af73, 71 GB free for 0.1.0-9d82c7e9562e'],
  ['upload', 0.4, '12 of 4,584 files, 81 kB'],
  ['unpack', 1.9, '4584 files, each as its digest says'],
  ['migrate', 0.6, 'schema 4 to 5, the one of before is /var/lib/factory-staging/data/before-migration/x.db'],
  ['start', 1.2, 'answers on its own socket'],
  ['gates', 0.4, '10 reads, 3 times, 95 of 100 within 12 ms'],
  ['switch', 0, '0.1.0-9d82c7e9562e is live, 0.1.0-4f7ee301af73 is the way back'],
  ['watch', 20, '200 answers in 20 s, none of them a reason to go back'],
  ['drain', 0.5, '0.1.0-4f7ee301af73 ended'],
  ['keep', 0.1, 'nothing is old enough to go'],
] as const;

export function deployed(now: number, agoMs: number, change: Partial<DeployRecord> = {}): DeployRecord {
  return {
    ...{ id: newId(), kind: 'deploy', environment: 'staging', release: '0.1.0-9d82c7e9562e' },
    ...{ from: '0.1.0-4f7ee301af73', by: 'ann@laptop', token: 7, outcome: 'ok', reason: null },
    ...{ startedAt: at(now, -agoMs), endedAt: at(now, -agoMs + 25_200) },
    steps: DEPLOYED.map(([name, seconds, detail]) => ({ name, status: 'done', ms: seconds * 1000, detail })),
    ...change,
  };
}

/** One that held, one that was rolled back, one that never came up, one that was cut off. */
export function deploysOf(now: number): Deploys {
  const steps = deployed(now, 0).steps.slice(0, 5);
  const last = steps.map((step, index) => (index === 4 ? { ...step, status: 'failed' as const } : step));
  return {
    log: 'read',
    deploys: [
      deployed(now, 20 * MINUTE),
      deployed(now, DAY, {
        outcome: 'rolled-back',
        reason: 'It turned bad after the switch: 5 of 40 answers were bad.',
      }),
      deployed(now, 2 * DAY, {
        outcome: 'failed',
        reason: 'It did not start: its process ended.',
        steps: last,
      }),
      deployed(now, 3 * DAY, { kind: 'rollback' }),
      deployed(now, 4 * DAY, { outcome: null, endedAt: null, steps: [] }),
    ],
  };
}

/** An installation of a month where all is well, but for one night that failed and one that was missed. */
export function monthOf(now: number): OperationsState {
  const nights = Array.from({ length: 30 }, (_, night) => night);
  const runs = nights
    .filter((night) => night !== 10)
    .map((night) =>
      jobRun(
        now,
        'backup',
        night * DAY + 6 * 60 * MINUTE,
        night === 18
          ? {
              outcome: 'failed',
              result: { error: { code: 'destination-unreachable', message: 'No answer.' } },
            }
          : {},
      ),
    );
  return {
    backups: backupStatus(now),
    drills: nights.slice(0, 24).map((day) => drillRecord(now, day, day === 9 ? { outcome: 'fail' } : {})),
    drillBudgetSeconds: 93_600,
    jobs: {},
    runs,
    deploys: deploysOf(now),
    restored: null,
    report: null,
    refused: null,
    refusal: null,
  };
}

/** The first minutes of an installation: jobs are due, nothing ran. */
export function firstMinutes(now: number): OperationsState {
  const url = LOCAL;
  const never = { newest: null, verified: null, coveredAt: null, total: null };
  return {
    ...monthOf(now),
    backups: backupStatus(now, {
      status: 'degraded',
      detail: 'No backup was made yet.',
      ageSeconds: null,
      destinations: [destination(now, { url, sameDisk: true, ...never })],
      recoveryKey: { proven: false, provenAt: null, onHost: true, recoveryOnHost: true },
    }),
    drills: [],
    deploys: { log: 'none', deploys: [] },
    runs: [],
  };
}

export function fakeOperations(
  clock: { now(): number },
  state: OperationsState = monthOf(clock.now()),
): FakeOperations {
  const started: FakeOperations['started'] = [];
  const accepted: FakeOperations['accepted'] = [];
  const digest = (job: JobName) => `${job}-${state.refused ?? 'may'}`;
  const find = (id: string) => {
    const run = state.runs.find((one) => one.id === id);
    if (run) return run;
    throw new FactoryError({
      code: 'not-found',
      op: 'show run',
      message: 'There is no such run.',
      hint: 'The Operations page lists those that are kept.',
    });
  };
  return {
    state,
    started,
    accepted,
    backups: async () => state.backups,
    restored: async () => state.restored,
    driftReport: async () => state.report,
    async acceptRestore(actor, given) {
      if (given !== state.report?.digest)
        throw new FactoryError({
          code: 'report-outdated',
          op: 'accept restore',
          message: 'What drifted is no longer what that report says.',
          hint: 'Look at it again.',
        });
      accepted.push(actor);
      state.report = null;
      if (state.restored) state.restored = { ...state.restored, open: false };
    },
    drills: async () => drillStatus(state, clock.now()),
    drillHistory: async (limit) => state.drills.slice(0, limit),
    deploys: async (limit) => ({ ...state.deploys, deploys: state.deploys.deploys.slice(0, limit) }),
    jobs: async () => JOB_NAMES.map((name) => summary(state, name, clock.now())),
    async runs({ job, cursor, limit }) {
      const all = state.runs.filter((run) => job === undefined || run.job === job);
      const from = cursor === undefined ? 0 : all.findIndex(({ id }) => id === cursor) + 1;
      if (cursor !== undefined && from === 0)
        throw new FactoryError({
          ...{ code: 'cursor-unknown', op: 'read list', message: 'This list did not issue it.' },
          hint: 'Start without a cursor.',
        });
      const runs = all.slice(from, from + limit);
      const more = from + limit < all.length;
      return { runs, nextCursor: more ? (runs.at(-1)?.id ?? null) : null };
    },
    run: async (id) => find(id),
    plan: async (job) => ({
      job,
      steps: [`Takes a snapshot for ${job}.`, `Sends it to ${REMOTE}.`],
      refused: state.refused,
      digest: digest(job),
    }),
    async start(actor, job, given) {
      if (state.refusal) throw state.refusal;
      if (given !== digest(job))
        throw new FactoryError({
          code: 'plan-outdated',
          op: 'start job',
          message: 'What the job would do changed since the plan.',
          hint: 'Look at the new plan and start it again.',
        });
      const run = jobRun(clock.now(), job, 0, {
        startedBy: { kind: actor.kind, id: actor.id },
        dueAt: null,
        endedAt: null,
        outcome: null,
        result: null,
        log: 'started\n',
      });
      state.runs.unshift(run);
      started.push({ job, actor });
      return { runId: run.id };
    },
  };
}

function drillStatus({ drills, drillBudgetSeconds }: OperationsState, now: number): DrillStatus {
  const last = drills[0] ?? null;
  const lastPass = drills.find(({ outcome }) => outcome === 'pass') ?? null;
  return {
    status: last === null ? 'not-configured' : last.outcome === 'fail' ? 'failing' : 'ok',
    detail: last === null ? 'No drill was run yet.' : `The last drill: ${last.outcome}.`,
    budgetSeconds: drillBudgetSeconds,
    ageSeconds: ageSeconds(lastPass?.at, now),
    ...{ last, lastPass },
  };
}

function summary(state: OperationsState, name: JobName, now: number): JobSummary {
  const of = state.runs.filter(({ job }) => job === name);
  const [title, schedule] = TITLES[name];
  return {
    ...{ name, title, schedule },
    nextAt: at(now, 3 * MINUTE),
    lateAfterSeconds: 120,
    paused: null,
    running: of.find(({ endedAt }) => endedAt === null) ?? null,
    last: of.find(({ endedAt }) => endedAt !== null) ?? null,
    ...state.jobs[name],
  };
}

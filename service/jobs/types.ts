/**
 * The words of jobs and of what is known about backups. Times are ISO-8601 UTC, durations seconds, sizes bytes.
 *
 * job     something that is done at its times: each due time once, by whoever gets the lease
 * run     one time that it was done, or tried
 * fact    what the newest run of a kind found out about a destination
 */

import type { Deploys } from './deploy-history.ts';
import type { DriftReport } from '../restored/pause.ts';
import type { RecoveryKeyState } from './recovery-key.ts';

export const JOB_NAMES = ['backup', 'differential', 'verify', 'drill', 'prune'] as const;
export type JobName = (typeof JOB_NAMES)[number];

/**
 * `lost`: its process ended without a word, and the lease ran out. `given-up`: it ran when the backup was taken that a
 * restore put back, so how it ended is not known here.
 */
export const RUN_OUTCOMES = ['ok', 'skipped', 'degraded', 'failed', 'lost', 'given-up'] as const;
export type RunOutcome = (typeof RUN_OUTCOMES)[number];

export interface JobRun {
  id: string;
  job: JobName;
  /** Grows with each claim of the job: whoever comes with an older one has lost the lease. */
  fence: number;
  /** The due time that it serves; null: started by somebody. */
  dueAt: string | null;
  startedBy: { kind: 'schedule' | 'person' | 'token' | 'command-line'; id: string | null };
  startedAt: string;
  /** Null with `outcome`: it is running. */
  endedAt: string | null;
  outcome: RunOutcome | null;
  /** The verb's `--json` document, or its error. */
  result: unknown;
  /** The verb's talk, its end where it was long. */
  log: string;
}

export interface JobSummary {
  name: JobName;
  title: string;
  /** As people read it, e.g. `15 2 * * *` or `every 300 s`. */
  schedule: string;
  nextAt: string | null;
  /** How long after that somebody is told that it was not started. */
  lateAfterSeconds: number;
  /** Why it is not run; null: it is. */
  paused: string | null;
  running: JobRun | null;
  last: JobRun | null;
}

/** What is known of a destination, each part from the newest run that found it out. */
export interface DestinationStatus {
  /** As configured, without credentials. */
  url: string;
  /** On the disk of the database: it does not survive what the database does not survive. */
  sameDisk: boolean;
  /** The newest backup that it was sent. */
  newest: { backupId: string; kind: string; takenAt: string; bytes: number } | null;
  /** The newest backup of which every byte was read again; `restored`: a database was made of it, too. */
  verified: {
    backupId: string;
    takenAt: string;
    verifiedAt: string;
    how: 'ciphertext' | 'restored';
  } | null;
  /** Until when everything is in its newest backup: the time of the last run that sent one or found nothing to send. */
  coveredAt: string | null;
  /** Of everything that lies there, as the last verification listed it. */
  total: { backups: number; bytes: number; at: string } | null;
  /** The last error, while no later run of that kind succeeded. */
  error: { code: string; message: string; hint: string; at: string } | null;
}

export const BACKUP_STATES = ['ok', 'degraded', 'failing', 'not-configured'] as const;

export interface BackupStatus {
  status: (typeof BACKUP_STATES)[number];
  /** One sentence without paths, addresses or content: anybody may read it. */
  detail: string;
  /** Age of the newest verified backup beyond which nobody may call this backed up. */
  budgetSeconds: number;
  /** Age of the newest verified backup over all destinations: from when everything in it was current; null: none. */
  ageSeconds: number | null;
  destinations: DestinationStatus[];
  recoveryKey: RecoveryKeyState;
}

export const DRILL_OUTCOMES = ['pass', 'fail', 'inconclusive'] as const;
export type DrillOutcome = (typeof DRILL_OUTCOMES)[number];

/** A drill as it was recorded: a backup restored, and the application started on it. */
export interface DrillRecord {
  id: string;
  url: string;
  outcome: DrillOutcome;
  at: string;
  backupId: string | null;
  /** How much would have been lost. */
  rpoSeconds: number | null;
  /** From nothing to an application that answers. */
  rtoSeconds: number | null;
  restoreSeconds: number | null;
  bootSeconds: number | null;
  checks: { name: string; status: 'pass' | 'fail' | 'skipped'; detail: string }[];
  /** SHA-256 of the signed evidence, hex. */
  digest: string;
}

export interface DrillStatus {
  status: (typeof BACKUP_STATES)[number];
  detail: string;
  budgetSeconds: number;
  /** Since the last one that passed; null: none. */
  ageSeconds: number | null;
  last: DrillRecord | null;
  lastPass: DrillRecord | null;
}

/** What a run started by hand would do, shown before it is started. */
export interface JobPlan {
  job: JobName;
  /** Sentences, in the order of what is done. */
  steps: string[];
  /** Why it cannot be started now; null: it can. */
  refused: string | null;
  /** Names exactly this plan. */
  digest: string;
}

/** After it nothing is known of what happened between the two times. */
export interface Restored {
  takenAt: string;
  restoredAt: string;
  why: 'restore' | 'undo';
  open: boolean;
}

export interface ShownReport extends DriftReport {
  digest: string;
}

/** What pages and API ask of jobs and backups; `service/ops` provides it. */
export interface OperationsPort {
  backups(): Promise<BackupStatus>;
  /** The last restore in place; `open`: it waits to be accepted, and no job is started. Null: there was none. */
  restored(): Promise<Restored | null>;
  /** What drifted since that restore, with the name of exactly this report; null: nothing waits. */
  driftReport(): Promise<ShownReport | null>;
  /** Lets queue writes and jobs go on. Errors: `report-outdated`, `restore-not-paused`. */
  acceptRestore(actor: { kind: 'person' | 'token'; id: string }, digest: string): Promise<void>;
  drills(): Promise<DrillStatus>;
  /** Newest first. */
  drillHistory(limit: number): Promise<DrillRecord[]>;
  /** Deploys of this host, newest first; never throws. */
  deploys(limit: number): Promise<Deploys>;
  jobs(): Promise<JobSummary[]>;
  runs(query: {
    job?: JobName;
    cursor?: string;
    limit: number;
  }): Promise<{ runs: JobRun[]; nextCursor: string | null }>;
  /** Errors: `not-found`. */
  run(id: string): Promise<JobRun>;
  plan(job: JobName): Promise<JobPlan>;
  /** Starts a run in the background and answers at once. Errors: `plan-outdated`, `job-running`, `job-paused`. */
  start(
    actor: { kind: 'person' | 'token'; id: string },
    job: JobName,
    digest: string,
  ): Promise<{ runId: string }>;
}

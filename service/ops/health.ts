import { isOverdue } from '../jobs/ages.ts';
import type { BackupStatus, JobSummary } from '../jobs/types.ts';

/** What `GET /api/health` says, as a rule over facts; `probes.ts` finds the facts. */

export type CheckStatus = 'ok' | 'degraded' | 'failing' | 'not-configured';

export interface HealthCheck {
  status: CheckStatus;
  /** One sentence without paths or content: anybody may read it. */
  detail: string;
}

export const CHECKS = [
  'database',
  'disk',
  'audit',
  'queue',
  'scheduler',
  'backup',
  'restore',
  'search',
] as const;
export type CheckName = (typeof CHECKS)[number];

export interface HealthDocument {
  status: 'ok' | 'degraded' | 'failing';
  /** Which installation answers: the id that names its audit log, too. */
  installation: string;
  release: string | null;
  /** Schema number of this release. */
  schema: number;
  startedAt: string;
  checks: Record<CheckName, HealthCheck>;
}

export interface HealthFacts {
  installation: string;
  release: string | null;
  schema: number;
  startedAt: string;
  now: string;
  /** `error`: why the last durable write failed; null: it is on disk. */
  database: { error: string | null };
  /** Of the data folder's file system; null: it does not tell. */
  disk: { freeBytes: number; totalBytes: number } | null;
  audit: { signing: boolean; size: number; signedSize: number };
  queue: QueueFacts;
  /** The code of why they could not be read; else all jobs. */
  jobs: readonly JobSummary[] | { error: string };
  backups: BackupStatus | { error: string };
  /** Whether this service runs jobs at their times, by its configuration. */
  scheduled: boolean;
  restore: RestoreFacts;
  /** The code of why the search index is not where the database is; null: nothing is wrong. */
  search: { error: string | null };
}

export interface RestoreFacts {
  /** What waits for somebody since a restore; null: nothing. */
  paused: string | null;
  /** Another machine took over: its epoch, and the one of this machine; null: none did. */
  replaced: { epoch: number; own: number } | null;
}

export interface QueueFacts {
  /** When the whole queue folder was last read. */
  readAt: string | null;
  /** In its files, the policy's among them. */
  problems: number;
  /** Where `policy.yaml` stops being one; null: it is in force as it is there, or there is none. */
  policy: { file: string; line: number; code: string } | null;
  /** Why the folder as a whole says nothing, and what to do; null: it is there. */
  absence: { code: string; message: string; hint: string } | null;
  /** Whether there ever was a folder: without one, a missing folder is how an installation begins. */
  known: boolean;
  /** Names of its folders that cannot be read. */
  unreadable: readonly string[];
  /** Items whose files could not be written at the last try. */
  failing: number;
}

const LEAST_FREE_BYTES = 500e6;
const LEAST_FREE_SHARE = 0.05;
/** The folder is read as a whole every 30 s; two missed rounds and a slow one are no news yet. */
const QUEUE_LATE_MS = 120_000;

/** Only a database that cannot be written fails the whole: everything else leaves the service able to answer. */
export function healthDocument(facts: HealthFacts): HealthDocument {
  const { installation, release, schema, startedAt } = facts;
  const checks: HealthDocument['checks'] = {
    database: databaseCheck(facts.database),
    disk: diskCheck(facts.disk),
    audit: auditCheck(facts.audit),
    queue: queueCheck(facts),
    scheduler: schedulerCheck(facts),
    backup: backupCheck(facts),
    restore: restoreCheck(facts.restore),
    search: searchCheck(facts.search),
  };
  return { status: overall(checks), installation, release, schema, startedAt, checks };
}

function overall(checks: HealthDocument['checks']): HealthDocument['status'] {
  // What a replaced host takes is lost; only one that cannot keep anything is as bad.
  if (Object.values(checks).some(({ status }) => status === 'failing')) return 'failing';
  const fine = Object.values(checks).every(({ status }) => status === 'ok' || status === 'not-configured');
  return fine ? 'ok' : 'degraded';
}

function databaseCheck({ error }: HealthFacts['database']): HealthCheck {
  if (error === null) return { status: 'ok', detail: 'A write was made durable.' };
  return { status: 'failing', detail: `The database cannot be written (${error}).` };
}

function diskCheck(disk: HealthFacts['disk']): HealthCheck {
  if (disk === null) return { status: 'degraded', detail: 'Free space of the data folder is unknown.' };
  const share = disk.totalBytes > 0 ? disk.freeBytes / disk.totalBytes : 0;
  const detail = `${Math.floor(disk.freeBytes / 1e6)} MB free, ${Math.floor(share * 100)} %.`;
  const short = disk.freeBytes < LEAST_FREE_BYTES || share < LEAST_FREE_SHARE;
  return { status: short ? 'degraded' : 'ok', detail };
}

function auditCheck({ signing, size, signedSize }: HealthFacts['audit']): HealthCheck {
  if (!signing) return { status: 'degraded', detail: `No checkpoint is signed since entry ${signedSize}.` };
  return { status: 'ok', detail: `${size} entries, signed up to ${signedSize}.` };
}

function queueCheck({ queue, startedAt, now }: HealthFacts): HealthCheck {
  const { absence, unreadable, policy, problems } = queue;
  if (absence && !queue.known && absence.code !== 'queue-unreadable')
    return { status: 'ok', detail: 'There is no work-items folder yet; the first item makes it.' };
  if (absence) {
    const kept = 'The policy read last stays in force, and what the queue says is unknown.';
    return { status: 'degraded', detail: `${absence.message} ${kept} ${absence.hint}` };
  }
  if (unreadable.length > 0) {
    const which = unreadable.includes('.')
      ? 'The work-items folder'
      : `Of the queue ${unreadable.join(', ')}`;
    return { status: 'degraded', detail: `${which} cannot be read. Give the service the right to read it.` };
  }
  const count = `${problems} problem${problems === 1 ? '' : 's'} in the queue's files`;
  if (policy) {
    const kept = `${policy.file}:${policy.line} cannot be used (${policy.code}); the policy read last stays in force.`;
    const next = 'Correct the file; `npx factory validate` says what is wrong with it.';
    return { status: 'degraded', detail: `${kept} ${next} ${count}.` };
  }
  if (queue.failing > 0) {
    const whose =
      queue.failing === 1
        ? '1 item could not be written; its page says'
        : `${queue.failing} items could not be written; their pages say`;
    return { status: 'degraded', detail: `Queue files of ${whose} why. It is tried again.` };
  }
  const age = Date.parse(now) - Date.parse(queue.readAt ?? startedAt);
  if (age > QUEUE_LATE_MS) return { status: 'degraded', detail: 'The queue folder is not being read.' };
  if (queue.readAt === null)
    return { status: 'ok', detail: 'The queue folder is being read for the first time.' };
  if (problems === 0) return { status: 'ok', detail: `${count}.` };
  return {
    status: 'degraded',
    detail: `${count}; the board and \`npx factory validate\` name ${problems === 1 ? 'it' : 'them'}.`,
  };
}

function schedulerCheck({ jobs, scheduled, now }: HealthFacts): HealthCheck {
  if ('error' in jobs) return { status: 'degraded', detail: `Jobs cannot be read (${jobs.error}).` };
  if (!scheduled)
    return { status: 'not-configured', detail: 'Jobs are started from outside, by its configuration.' };
  if (jobs.length === 0) return { status: 'not-configured', detail: 'No job is scheduled.' };
  const paused = jobs.filter((job) => job.paused !== null);
  // A job that is due starts within seconds, unless one before it still runs.
  const waits = jobs.some(({ name, running }) => name === 'backup' && running !== null);
  const late = jobs.filter(
    ({ nextAt, lateAfterSeconds, paused: why, running }) =>
      nextAt !== null &&
      why === null &&
      running === null &&
      !waits &&
      Date.parse(now) - Date.parse(nextAt) > lateAfterSeconds * 1000,
  );
  const lost = jobs.filter(({ last }) => last?.outcome === 'lost');
  const names = (some: readonly JobSummary[]) => some.map(({ name }) => name).join(', ');
  if (late.length > 0) return { status: 'degraded', detail: `Due and not started: ${names(late)}.` };
  if (lost.length > 0)
    return { status: 'degraded', detail: `The last run ended without a word: ${names(lost)}.` };
  if (paused.length > 0)
    return { status: 'degraded', detail: `Paused: ${names(paused)}; the Operations page says why.` };
  return { status: 'ok', detail: `${jobs.length} jobs, none late.` };
}

/** Backups never fail the whole: the service can answer without them. */
function backupCheck({ backups, jobs, startedAt, now }: HealthFacts): HealthCheck {
  if ('error' in backups)
    return { status: 'degraded', detail: `What is known of backups cannot be read (${backups.error}).` };
  const { status, detail, ageSeconds, budgetSeconds } = backups;
  if (status === 'not-configured') return { status, detail };
  const sinceStart = (Date.parse(now) - Date.parse(startedAt)) / 1000;
  const still = ageSeconds === null && backups.destinations.every(({ error }) => error === null);
  if (still && sinceStart < budgetSeconds && noneEnded(jobs))
    return { status: 'ok', detail: 'The first backup is still to come.' };
  return { status: status === 'ok' && !isOverdue(backups) ? 'ok' : 'degraded', detail };
}

function noneEnded(jobs: HealthFacts['jobs']): boolean {
  if ('error' in jobs) return false;
  return jobs.every(({ name, last }) => (name !== 'backup' && name !== 'differential') || !last?.endedAt);
}

function restoreCheck({ paused, replaced }: RestoreFacts): HealthCheck {
  if (replaced !== null) {
    const detail = `Another machine took over in epoch ${replaced.epoch}; this one is in epoch ${replaced.own}. Stop it: it still takes writes, and what it backs up counts nowhere.`;
    return { status: 'failing', detail };
  }
  if (paused !== null) return { status: 'degraded', detail: paused };
  return { status: 'ok', detail: 'Nothing waits for an answer since a restore.' };
}

/** It is derived: what is not in it is in the database, and deletions count whatever it holds. */
function searchCheck({ error }: HealthFacts['search']): HealthCheck {
  if (error === null) return { status: 'ok', detail: 'The search index follows the database.' };
  return {
    status: 'degraded',
    detail: `The search index cannot be kept (${error}); it is tried again. Searches can miss what is new. The log says why.`,
  };
}

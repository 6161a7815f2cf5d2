import { canonicalJson } from '../canonical-json.ts';
import { FactoryError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Reader, Storage } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';
import { runs } from './store.ts';
import type { FullRun } from './status.ts';
import type { JobName, JobRun, RunOutcome } from './types.ts';

/** The history of jobs. */

/** Of a log its end is kept, of a result that is longer only that it was. */
const LOG_CHARACTERS = 16_384;
const RESULT_CHARACTERS = 65_536;
/** Differentials every minute make a row a minute where something changes all the time. */
const KEPT_DAYS = 90;
const DAY_MS = 86_400_000;

/** How a run ended. */
export interface RunEnd {
  outcome: RunOutcome;
  endedAt: string;
  result: unknown;
  log: string;
}

export function runOf(row: Tables['job_runs']): JobRun {
  return {
    id: row.id,
    job: row.job as JobName,
    fence: row.fence,
    dueAt: row.due_at,
    startedBy: JSON.parse(row.started_by) as JobRun['startedBy'],
    startedAt: row.started_at,
    endedAt: row.ended_at,
    outcome: row.outcome as RunOutcome | null,
    result: row.result === null ? null : (JSON.parse(row.result) as unknown),
    log: row.log,
  };
}

/** The columns that a run's end sets, cut to what is kept. */
export function endColumns({ outcome, endedAt, result, log }: RunEnd) {
  return { ended_at: endedAt, outcome, result: boundedJson(result), log: boundedLog(log) };
}

export function boundedLog(log: string): string {
  return log.length <= LOG_CHARACTERS ? log : `…${log.slice(1 - LOG_CHARACTERS)}`;
}

/** By way of plain JSON: results hold what the answer printed, where `undefined` is left out. */
function boundedJson(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  const text = canonicalJson(JSON.parse(JSON.stringify(value)));
  return text.length <= RESULT_CHARACTERS ? text : canonicalJson({ omitted: text.length });
}

/** A run that nobody claimed, e.g. of a verb at a terminal: it is written when it is over. */
export async function insertEnded(
  storage: Storage,
  run: RunEnd & { job: JobName; startedBy: JobRun['startedBy']; startedAt: string },
): Promise<string> {
  const id = newId();
  const { job, startedAt } = run;
  const row = { id, job, fence: 0, due_at: null, started_at: startedAt, ...endColumns(run) };
  await storage.write((tx) => tx.run(runs.insert, { ...row, started_by: canonicalJson(run.startedBy) }));
  return id;
}

/** Errors: `not-found`. */
export async function runById(reader: Reader, id: string): Promise<JobRun> {
  const row = await reader.get(runs.byId, { id });
  if (row) return runOf(row);
  throw new FactoryError({
    code: 'not-found',
    op: 'read run',
    target: id,
    message: `There is no run ${id}.`,
    hint: `Runs are kept for ${KEPT_DAYS} days; the list shows those that there are.`,
  });
}

export async function lastRun(reader: Reader, job: JobName): Promise<JobRun | null> {
  const row = await reader.get(runs.last, { job });
  return row ? runOf(row) : null;
}

/** Where a list of runs goes on. */
export interface RunPosition {
  startedAt: string;
  id: string;
}

/** Newest first. */
export async function listRuns(
  reader: Reader,
  { job, after, limit }: { job?: JobName | undefined; after: RunPosition | null; limit: number },
): Promise<JobRun[]> {
  const rows = await reader.query((db) => {
    let query = db.selectFrom('job_runs').selectAll();
    if (job !== undefined) query = query.where('job', '=', job);
    if (after !== null)
      query = query.where((row) =>
        row.or([
          row('started_at', '<', after.startedAt),
          row.and([row('started_at', '=', after.startedAt), row('id', '<', after.id)]),
        ]),
      );
    return query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit);
  });
  return rows.map(runOf);
}

/** The newest full backup that was begun, and how long such a one takes; null: nothing is known of that. */
export async function newestFull(reader: Reader): Promise<FullRun | null> {
  const found = await listRuns(reader, { job: 'backup', after: null, limit: 10 });
  const usual = found.find(({ outcome }) => outcome === 'ok' || outcome === 'degraded');
  const [newest] = found;
  if (!newest || !usual?.endedAt) return null;
  const usualMs = Math.max(0, Date.parse(usual.endedAt) - Date.parse(usual.startedAt));
  return { startedAt: Date.parse(newest.startedAt), usualMs };
}

/** Forgets what ended long ago. */
export async function forgetOldRuns(storage: Storage, now: number): Promise<void> {
  const before = new Date(now - KEPT_DAYS * DAY_MS).toISOString();
  await storage.write((tx) => tx.run(runs.removeBefore, { before }));
}

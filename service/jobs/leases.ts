import { canonicalJson } from '../canonical-json.ts';
import { FactoryError } from '../errors.ts';
import { newId } from '../ids.ts';
import { pausedJob, restorePause } from '../restored/pause.ts';
import type { Reader, Storage, Transaction } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';
import { isWrong } from './schedule.ts';
import { endColumns } from './runs.ts';
import type { RunEnd } from './runs.ts';
import { leases, runs } from './store.ts';
import type { JobName, JobRun } from './types.ts';

/**
 * Who may do a job: one run of it at a time, each due time once. A lease is kept by saying again and again that it still
 * is; where nobody does, the next one takes it, and whoever comes back with the older fence has lost it.
 */

export const LEASE_MS = 60_000;
/** Three may be missed. */
export const HEARTBEAT_MS = 15_000;
/** A run that takes its process with it is not begun for ever. */
const TRIES = 3;

export interface Claim {
  runId: string;
  job: JobName;
  fence: number;
}

export interface Wanted {
  job: JobName;
  /** ISO-8601 UTC; null: not by the schedule. */
  dueAt: string | null;
  startedBy: JobRun['startedBy'];
  /** Host and process, for people. */
  holder: string;
  /** In ms since the epoch. */
  now: number;
  leaseMs?: number;
}

type Lease = Tables['jobs'];

const iso = (time: number): string => new Date(time).toISOString();

/**
 * Begins a run. In one write transaction, and those come one after the other: of two processes one gets it.
 * Errors: `job-running`; `job-done`: the due time was claimed before; `job-paused`: a restore waits to be accepted.
 */
export function claim(storage: Storage, wanted: Wanted): Promise<Claim> {
  const { job, dueAt, now, leaseMs = LEASE_MS } = wanted;
  return storage.write(async (tx) => {
    const pause = await restorePause(tx);
    if (pause !== null) throw pausedJob(job, pause);
    const row = await tx.get(leases.byName, { name: job });
    if (row?.run_id) {
      if (!ranOut(row, now, leaseMs)) throw running(job, row);
      await tx.run(runs.lose, { id: row.run_id, ended_at: iso(now) });
    }
    if (dueAt !== null && row && !(await mayServe(tx, row, dueAt, now))) throw done(job, dueAt);
    const run = { id: newId(), fence: (row?.fence ?? 0) + 1 };
    await tx.run(leases.put, {
      ...{ name: job, fence: run.fence, due_at: dueAt ?? row?.due_at ?? null, run_id: run.id },
      ...{ holder: wanted.holder, lease_until: iso(now + leaseMs) },
    });
    await tx.run(runs.insert, {
      ...{ ...run, job, due_at: dueAt, started_by: canonicalJson(wanted.startedBy), started_at: iso(now) },
      ...{ ended_at: null, outcome: null, result: null, log: '' },
    });
    return { runId: run.id, job, fence: run.fence };
  });
}

/** A lease that ends later than any can is that of a clock which was wrong. */
function ranOut({ lease_until: until }: Lease, now: number, leaseMs: number): boolean {
  const end = Date.parse(until ?? '');
  return !(end > now && end <= now + 10 * Math.max(leaseMs, LEASE_MS));
}

async function mayServe(tx: Transaction, row: Lease, dueAt: string, now: number): Promise<boolean> {
  if (row.due_at === null || dueAt > row.due_at || isWrong(Date.parse(row.due_at), now)) return true;
  return dueAt === row.due_at && (await wasLost(tx, row.name, dueAt));
}

/** Whether a due time came to nothing, because each run of it was lost, and is worth another try. */
async function wasLost(reader: Reader, job: string, dueAt: string): Promise<boolean> {
  const tries = await reader.all(runs.ofDue, { job, due_at: dueAt });
  return (
    tries.length > 0 &&
    tries.length < TRIES &&
    tries.every(({ outcome }) => outcome === 'lost' || outcome === 'given-up')
  );
}

/** Keeps the lease. Errors: `lease-lost`. */
export async function heartbeat(
  storage: Storage,
  held: Claim,
  now: number,
  leaseMs = LEASE_MS,
): Promise<void> {
  const { runId: run_id, fence } = held;
  const { changes } = await storage.write((tx) =>
    tx.run(leases.extend, { run_id, fence, lease_until: iso(now + leaseMs) }),
  );
  if (changes === 0) throw lost(held);
}

/** Ends the run and frees the job. Errors: `lease-lost`; the run stands as it was ended for it. */
export function finish(storage: Storage, held: Claim, end: RunEnd): Promise<void> {
  return storage.write(async (tx) => {
    const freed = await tx.run(leases.free, { run_id: held.runId, fence: held.fence });
    const ended = await tx.run(runs.end, { id: held.runId, ...endColumns(end) });
    if (freed.changes === 0 || ended.changes === 0) throw lost(held);
  });
}

/** Marks what nobody holds any longer as lost; the names of the jobs. */
export async function takeBack(storage: Storage, now: number, leaseMs = LEASE_MS): Promise<JobName[]> {
  const isOver = (row: Lease): boolean => row.run_id !== null && ranOut(row, now, leaseMs);
  if (!(await storage.read.all(leases.all, {})).some(isOver)) return [];
  return storage.write(async (tx) => {
    const over = (await tx.all(leases.all, {})).filter(isOver);
    for (const row of over) {
      const held = { run_id: row.run_id ?? '', fence: row.fence };
      await tx.run(runs.lose, { id: held.run_id, ended_at: iso(now) });
      await tx.run(leases.free, held);
    }
    return over.map(({ name }) => name as JobName);
  });
}

/** In a database that is put back: what ran when it was copied is of another time, and nobody comes back to it. */
export async function giveUpRuns(tx: Transaction, at: string): Promise<void> {
  for (const { run_id, fence } of await tx.all(leases.all, {})) {
    if (run_id === null) continue;
    await tx.run(leases.free, { run_id, fence });
    await tx.run(runs.end, { id: run_id, ended_at: at, outcome: 'given-up', result: null, log: '' });
  }
}

export interface Held {
  /** The newest due time that was claimed, ISO-8601 UTC. */
  dueAt: string | null;
  /** Of the run that has the lease. */
  runId: string | null;
  holder: string | null;
  /** The newest due time came to nothing, and is to be tried again. */
  lost: boolean;
}

export async function readLeases(reader: Reader): Promise<Partial<Record<JobName, Held>>> {
  const found: Partial<Record<JobName, Held>> = {};
  for (const { name, due_at: dueAt, run_id: runId, holder } of await reader.all(leases.all, {})) {
    const lost = runId === null && dueAt !== null && (await wasLost(reader, name, dueAt));
    found[name as JobName] = { dueAt, runId, holder, lost };
  }
  return found;
}

/** The run that was claimed by somebody else, for whom it is done. Errors: `lease-lost`. */
export async function heldRun(reader: Reader, runId: string): Promise<Claim> {
  const row = (await reader.all(leases.all, {})).find((one) => one.run_id === runId);
  if (row === undefined) throw lost({ runId });
  return { runId, job: row.name as JobName, fence: row.fence };
}

function running(job: JobName, { holder, run_id: runId }: Lease): FactoryError {
  return new FactoryError({
    code: 'job-running',
    op: 'start job',
    target: job,
    message: `The job ${job} is running already, by ${holder ?? 'somebody'}.`,
    hint: 'Wait until it ends; `npx factory jobs list` shows it.',
    retryable: true,
    details: { runId },
  });
}

function done(job: JobName, dueAt: string): FactoryError {
  return new FactoryError({
    code: 'job-done',
    op: 'start job',
    target: job,
    message: `The job ${job} was started for ${dueAt} already.`,
    hint: 'Nothing is to be done: another process was first.',
  });
}

function lost({ runId }: Pick<Claim, 'runId'>): FactoryError {
  return new FactoryError({
    code: 'lease-lost',
    op: 'keep job',
    target: runId,
    message: `The run ${runId} has lost its lease: it ended, or another one took its place.`,
    hint: 'Its result is not recorded. The clock of this machine, or a long pause of it, may be why.',
  });
}

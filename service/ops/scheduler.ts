import { hostname } from 'node:os';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { asFactoryError, FactoryError } from '../errors.ts';
import { OWN_NAME, readFacts } from '../jobs/facts.ts';
import { databaseBytes, jobsOf } from '../jobs/jobs.ts';
import type { JobDefinition } from '../jobs/jobs.ts';
import { claim, finish, heartbeat, LEASE_MS, readLeases, takeBack } from '../jobs/leases.ts';
import type { Claim, Held } from '../jobs/leases.ts';
import { forgetOldRuns, runById } from '../jobs/runs.ts';
import { dueNow, FIRST_MS } from '../jobs/schedule.ts';
import type { JobName, JobRun, RunOutcome } from '../jobs/types.ts';
import type { Logger } from '../logger.ts';
import { restorePause } from '../restored/pause.ts';
import type { Storage } from '../storage/transaction.ts';
import { createIdle } from './idle.ts';
import { createNewEpoch } from './new-epoch.ts';
import type { RunChild } from './run-child.ts';

/**
 * Runs jobs at their times: claims a due time in the database, then lets a child process do the work, so that neither
 * memory nor the event loop of the service pays for it.
 */

export interface SchedulerDependencies {
  config: Config;
  storage: Storage;
  clock: Clock;
  logger: Logger;
  /** Null: this process can run no jobs. */
  run: RunChild | null;
  times?: Partial<typeof TIMES>;
}

/** `firstBackupMs`, `firstDrillMs`: after the start, where there never was one. */
export const TIMES = {
  tickMs: 1000,
  firstBackupMs: FIRST_MS.backup,
  firstDrillMs: FIRST_MS.drill,
  leaseMs: LEASE_MS,
  /** A destination is asked at least this often whether it still has everything, changes or not. */
  lookMs: 3_600_000,
  /** What is covered moves on in memory, and is written down this often: a start within budgets knows it. */
  writeMs: 60_000,
  /** A destination that is away is tried again no later than this. */
  retryMs: 900_000,
};

/** Those of one lane wait for each other: they would copy, or read, the same. */
const LANES: Record<JobName, 'copy' | 'look'> = {
  ...{ backup: 'copy', differential: 'copy' },
  ...{ verify: 'look', drill: 'look', prune: 'look' },
};

export function createScheduler({ config, storage, clock, logger, run, ...given }: SchedulerDependencies) {
  const times = { ...TIMES, ...given.times };
  const holder = `${hostname()} process ${process.pid}`;
  const running = new Map<JobName, { ended: Promise<void>; stop: AbortController }>();
  const idle = createIdle({ config, storage, times });
  const newEpoch = createNewEpoch({ config, storage });
  const failures = createFailures(clock, times.retryMs);
  let [timer, ticking, stopped]: [NodeJS.Timeout | null, Promise<void> | null, boolean] = [null, null, false];
  let [startedAt, forgotAt] = [clock.now(), 0];

  const iso = (time: number): string => new Date(time).toISOString();

  /** The due time to serve now, in ms; null: none. */
  function dueOf({ name, schedule }: JobDefinition, held: Held | undefined, now: number): number | null {
    if (failures.waits(name)) return null;
    const dueAt = held?.dueAt ? Date.parse(held.dueAt) : null;
    if (held?.lost) return dueAt;
    if (dueAt === null && now >= startedAt + (first[name] ?? Infinity)) return now;
    return dueNow(schedule, { dueAt, since: startedAt, now });
  }
  const first: Partial<Record<JobName, number>> = { backup: times.firstBackupMs, drill: times.firstDrillMs };

  async function tick(): Promise<void> {
    const now = clock.now();
    for (const job of await takeBack(storage, now, times.leaseMs))
      logger.warn({ job }, 'a job ended without a word and is tried again');
    if (now - forgotAt > 86_400_000 || now < forgotAt) {
      forgotAt = now;
      await forgetOldRuns(storage, now);
    }
    if ((await restorePause(storage.read)) !== null) return;
    const held = await readLeases(storage.read);
    for (const job of jobsOf(config, databaseBytes(config))) {
      if (stopped) return;
      if (job.elsewhere !== null || held[job.name]?.runId || isBusy(job.name)) continue;
      const due = dueOf(job, held[job.name], now) ?? ((await isOwed(job.name)) ? now : null);
      if (due === null) continue;
      if (job.name === 'drill' && !(await hasBackup())) continue;
      // Without one before it, it would be the full one.
      if (job.name === 'differential' && !held.backup) continue;
      await serve(job.name, due, now);
    }
  }

  const isOwed = async (job: JobName): Promise<boolean> =>
    job === 'backup' && !failures.waits(job) && (await newEpoch.isOwed());

  const isBusy = (job: JobName): boolean => [...running.keys()].some((other) => LANES[other] === LANES[job]);

  const hasBackup = async (): Promise<boolean> =>
    [...(await readFacts(storage.read, OWN_NAME)).values()].some(({ verified }) => verified !== null);

  async function serve(job: JobName, due: number, now: number): Promise<void> {
    if (job === 'differential' && (await idle.isIdle(now))) return;
    try {
      const startedBy = { kind: 'schedule' as const, id: null };
      follow(await claim(storage, wanted(job, iso(due), startedBy, now)));
    } catch (error) {
      // Another process was first, or has just restored.
      const { code } = asFactoryError(error, 'claim job');
      if (code !== 'job-running' && code !== 'job-done' && code !== 'job-paused') throw error;
    }
  }

  const wanted = (job: JobName, dueAt: string | null, startedBy: JobRun['startedBy'], now: number) => ({
    ...{ job, dueAt, startedBy, holder, now, leaseMs: times.leaseMs },
  });

  /** The child does the work, and says how it ended; where it could not, that is said for it. */
  function follow(held: Claim): void {
    const stop = new AbortController();
    const ended = work(held, stop.signal)
      .catch((error: unknown) => logger.error({ err: error, job: held.job }, 'a job could not be recorded'))
      .finally(() => running.delete(held.job));
    running.set(held.job, { ended, stop });
  }

  async function work(held: Claim, signal: AbortSignal): Promise<void> {
    const { job, runId } = held;
    logger.info({ job, run: runId }, 'job started');
    const beat = setInterval(() => {
      // The child keeps it, too; whoever lost it will be told when it ends.
      heartbeat(storage, held, clock.now(), times.leaseMs).catch(() => undefined);
    }, times.leaseMs / 4);
    const { code, talk } = await (run?.(held, signal) ?? Promise.resolve({ code: null, talk: '' }));
    clearInterval(beat);
    const { outcome } = await runById(storage.read, runId);
    const final = outcome ?? (await endFor(storage, iso(clock.now()), held, signal.aborted, code, talk));
    failures.note(job, final);
    const level = final === 'ok' || final === 'skipped' ? 'info' : 'warn';
    logger[level]({ job, run: runId, outcome: final }, 'job ended');
  }

  function loop(): void {
    ticking = tick()
      .catch((error: unknown) => logger.error({ err: error }, 'the jobs could not be looked at'))
      .finally(() => {
        ticking = null;
        if (!stopped) timer = setTimeout(loop, times.tickMs);
      });
  }

  /** Resolves when what runs now has ended. */
  const settled = async (): Promise<void> =>
    void (await Promise.all([...running.values()].map(({ ended }) => ended)));

  return {
    able: run !== null,
    covered: idle.covered,
    /** One look at what is due; it begins runs and waits for none. */
    look: tick,
    settled,
    /** Looks again and again. */
    start(): void {
      if (run === null || !config.jobs) return;
      startedAt = clock.now();
      timer = setTimeout(loop, times.tickMs);
    },
    /** Ends what runs: it is begun anew after the next start. */
    async stop(): Promise<void> {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      await ticking;
      for (const { stop } of running.values()) stop.abort();
      await settled();
    },
    /** Begins a run at once. Errors: `job-running`, `job-paused`. */
    async begin(job: JobName, startedBy: JobRun['startedBy']): Promise<string> {
      const held = await claim(storage, wanted(job, null, startedBy, clock.now()));
      follow(held);
      return held.runId;
    },
  };
}

export type Scheduler = ReturnType<typeof createScheduler>;

/** What failed is tried again soon, and then more and more seldom: a copy costs something. */
function createFailures(clock: Clock, mostMs: number) {
  const known = new Map<JobName, { count: number; until: number }>();
  return {
    waits(job: JobName): boolean {
      const wait = (known.get(job)?.until ?? 0) - clock.now();
      // A clock that went back makes nobody wait for longer.
      return wait > 0 && wait <= mostMs;
    },
    note(job: JobName, outcome: RunOutcome): void {
      if (outcome !== 'failed') return void known.delete(job);
      const count = (known.get(job)?.count ?? 0) + 1;
      known.set(job, { count, until: clock.now() + Math.min(mostMs, 30_000 * 2 ** count) });
    },
  };
}

/** Says for a child how it ended. */
async function endFor(
  storage: Storage,
  endedAt: string,
  held: Claim,
  wasStopped: boolean,
  code: number | null,
  talk: string,
): Promise<RunOutcome> {
  const outcome = wasStopped ? 'lost' : 'failed';
  const error = wasStopped ? stoppedError() : diedError(held.job, code);
  const end = { outcome, endedAt, result: { error: error.toJSON() }, log: talk } as const;
  await finish(storage, held, end).catch((thrown: unknown) => {
    if (asFactoryError(thrown, 'end job').code !== 'lease-lost') throw thrown;
  });
  return outcome;
}

function stoppedError(): FactoryError {
  return new FactoryError({
    ...{ code: 'job-stopped', op: 'run job', message: 'The service was stopped while this ran.' },
    hint: 'It is begun anew after the next start.',
    retryable: true,
  });
}

function diedError(target: JobName, code: number | null): FactoryError {
  return new FactoryError({
    ...{ code: 'job-died', op: 'run job', target },
    message: `The process of the job ended${code === null ? '' : ` with ${code}`} and recorded nothing.`,
    hint: 'Its log says what it wrote last; `npx factory doctor` looks at what it needs.',
    retryable: true,
  });
}

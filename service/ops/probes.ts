import { statfs } from 'node:fs/promises';
import type { AuditHealth } from '../audit/log.ts';
import type { Clock } from '../clock.ts';
import { readEpoch, readFence } from '../epoch.ts';
import { asFactoryError } from '../errors.ts';
import type { OperationsPort } from '../jobs/types.ts';
import { pauseText, restorePause } from '../restored/pause.ts';
import { writeMeta } from '../storage/meta.ts';
import { SCHEMA } from '../storage/migrate.ts';
import type { Storage } from '../storage/transaction.ts';
import {
  healthDocument,
  type HealthDocument,
  type HealthFacts,
  type QueueFacts,
  type RestoreFacts,
} from './health.ts';

export interface HealthDependencies {
  storage: Storage;
  clock: Clock;
  audit: { health(): AuditHealth };
  items: { queueHealth(): QueueFacts };
  search: { trouble(): string | null };
  config: { release: string | null; dataDir: string; keyringDir: string; jobs: boolean };
  operations: Pick<OperationsPort, 'backups' | 'jobs'>;
  installation: string;
  /** Other times, for tests. */
  times?: Partial<typeof TIMES>;
}

/** One small durable write that changes nothing anybody reads. */
const PROBE_KEY = 'health-probe';

/** One durable write serves everybody who asks within `reuseMs`; a write that hangs has failed after `timeoutMs`. */
const TIMES = { reuseMs: 2000, timeoutMs: 3000 };

/** Finds the facts of health: a durable write, free space, what the audit log and the queue say of themselves. */
export function createHealth(dependencies: HealthDependencies) {
  const { storage, clock, audit, items, search, config, operations, installation } = dependencies;
  const { reuseMs, timeoutMs } = { ...TIMES, ...dependencies.times };
  const startedAt = clock.iso();
  const database = createWriteProbe(storage, clock, reuseMs, timeoutMs);
  let last: HealthDocument | null = null;
  let checkedAt = Number.NEGATIVE_INFINITY;

  async function facts(): Promise<HealthFacts> {
    const [error, disk, jobs, backups] = await Promise.all([
      database(),
      freeSpace(config.dataDir),
      known(() => operations.jobs(), timeoutMs),
      known(() => operations.backups(), timeoutMs),
    ]);
    const { status, size, signedSize } = audit.health();
    return {
      ...{ installation, release: config.release, schema: SCHEMA, startedAt, now: clock.iso(), disk },
      database: { error },
      audit: { signing: status === 'ok', size, signedSize },
      queue: items.queueHealth(),
      ...{ jobs, backups, scheduled: config.jobs },
      restore: await restoreFacts(storage, config),
      search: { error: search.trouble() },
    };
  }

  async function check(): Promise<HealthDocument> {
    checkedAt = performance.now();
    return (last = healthDocument(await facts()));
  }

  return {
    check,
    /** The last answer in a line, for every page's frame; looks again in the background. */
    summary(): { status: HealthDocument['status'] | 'starting'; text: string } {
      if (performance.now() - checkedAt >= reuseMs) void check();
      return last === null
        ? { status: 'starting', text: 'Starting' }
        : { status: last.status, text: summaryText(last) };
    },
  };
}

export type Health = ReturnType<typeof createHealth>;

function summaryText({ status, checks }: HealthDocument): string {
  if (status === 'ok') return 'All checks pass';
  const worst = Object.values(checks).find(
    (check) => check.status === 'failing' || check.status === 'degraded',
  );
  return worst?.detail ?? status;
}

/** A database that cannot be read is told of by its own check. */
async function restoreFacts(storage: Storage, config: { keyringDir: string }): Promise<RestoreFacts> {
  const pause = await restorePause(storage.read).catch(() => null);
  const fence = readFence(config);
  return {
    paused: pause && pauseText(pause),
    replaced: fence && { epoch: fence.epoch, own: readEpoch(config).epoch },
  };
}

/** Never rejects: null, or the code of what went wrong. A write that still hangs is waited for, not repeated. */
function createWriteProbe(
  storage: Storage,
  clock: Clock,
  reuseMs: number,
  timeoutMs: number,
): () => Promise<string | null> {
  let current: { startedAt: number; ended: boolean; outcome: Promise<string | null> } | null = null;

  function start(): NonNullable<typeof current> {
    const outcome = storage
      .write((tx) => writeMeta(tx, PROBE_KEY, clock.iso()))
      .then(
        () => null,
        (error: unknown) => asFactoryError(error, 'probe database').code,
      );
    const started = { startedAt: performance.now(), ended: false, outcome };
    void outcome.then(() => (started.ended = true));
    return started;
  }

  return async () => {
    if (current === null || (current.ended && performance.now() - current.startedAt >= reuseMs))
      current = start();
    return withTimeout(current.outcome, timeoutMs, 'timeout');
  };
}

async function withTimeout<T, L>(promise: Promise<T>, ms: number, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<L>((resolve) => {
    timer = setTimeout(() => resolve(late), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Never rejects: what was read, or the code of why not. */
async function known<T>(read: () => Promise<T>, ms: number): Promise<T | { error: string }> {
  const answer = read().catch((error: unknown) => ({ error: asFactoryError(error, 'read jobs').code }));
  return withTimeout(answer, ms, { error: 'timeout' });
}

/** Bytes that this user can still write, and bytes in all; null where the file system does not tell. */
async function freeSpace(folder: string): Promise<HealthFacts['disk']> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    // Not knowing is the finding; the check says so.
    return null;
  }
}

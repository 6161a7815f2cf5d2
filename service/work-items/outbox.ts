import { asFactoryError, FactoryError } from '../errors.ts';
import { restorePause } from '../restored/pause.ts';
import type { Transaction } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import { importObservations, refreshAttention } from './importer.ts';
import { lookAtHome } from './looking.ts';
import { findItem, lastObservation, parseItem } from './store.ts';
import { outbox } from './store-actions.ts';
import type { Lane, QueueProblem } from './types.ts';

/** What a committed change still owes the queue folder. */
export type QueueWrite =
  /** The record belongs into the lane's collection with the lane as its status. */
  | { kind: 'move'; lane: Lane }
  /** The record is gone and is written again from the projection. */
  | { kind: 'restore'; lane: Lane }
  /** A net-new item's record and prompt. */
  | { kind: 'create'; prompt: string };

const RETRY_MS = 2000;
const BATCH = 50;

/** Puts a queue write beside the change that causes it; `seq` is the event's. */
export async function oweQueueWrite(
  tx: Transaction,
  deps: WorkItemDependencies,
  itemId: string,
  seq: number,
  write: QueueWrite,
): Promise<void> {
  const { kind, ...rest } = write;
  const payload = JSON.stringify(rest);
  const ofItem = { project_id: deps.projectId, item_id: itemId };
  // A move that does not find the record would keep the writing of it from its turn.
  if (kind === 'restore') await tx.run(outbox.removeFailed, { ...ofItem, kind: 'move' });
  const last = (await tx.all(outbox.waiting, ofItem)).at(-1);
  if (last?.kind === kind && last.payload === payload && last.last_error !== null) return;
  await tx.run(outbox.insert, {
    seq,
    ...ofItem,
    kind,
    payload,
    attempts: 0,
    last_error: null,
    created_at: deps.clock.iso(),
  });
}

/**
 * Carries committed queue writes out, in order per item. A row leaves the outbox only when its files are as they
 * should be, so a crash at any moment repeats a write that is safe to repeat.
 */
export function createOutbox(deps: WorkItemDependencies) {
  let running: Promise<void> | null = null;
  let again = false;
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;
  let failing = 0;

  async function drain(): Promise<void> {
    do {
      again = false;
      // After a restore nothing is written until somebody accepted what drifted; that may be another process.
      if ((await restorePause(deps.storage.read)) !== null) return scheduleRetry();
      const stuck = new Set<string>();
      for (let after = -1, rows = await next(after); rows.length > 0; rows = await next(after)) {
        for (const row of rows) {
          after = row.seq;
          if (stopped) return;
          if (!stuck.has(row.item_id) && !(await carryOut(row))) stuck.add(row.item_id);
        }
      }
      failing = stuck.size;
      if (stuck.size > 0) scheduleRetry();
    } while (again);
  }

  const next = (after: number) =>
    deps.storage.read.all(outbox.next, { project_id: deps.projectId, after, limit: BATCH });

  async function carryOut(row: Tables['outbox']): Promise<boolean> {
    try {
      await writeFiles(row);
      await deps.storage.write((tx) => tx.run(outbox.remove, { seq: row.seq }));
      await importObservations(deps, [{ id: row.item_id, ...(await lookAtHome(deps, row.item_id)) }]);
      deps.changed();
      return true;
    } catch (error) {
      const { code, message } = asFactoryError(error, 'write queue record');
      // A write that waits for a person is tried every few seconds; what is new about it is said once.
      const level = row.last_error === message ? 'debug' : 'warn';
      deps.logger[level](
        { item: row.item_id, code, attempts: row.attempts + 1 },
        `queue write failed: ${message}`,
      );
      await deps.storage.write(async (tx) => {
        await tx.run(outbox.failed, { seq: row.seq, last_error: message });
        if (row.last_error !== message) await showFailure(tx, row.item_id);
      });
      return false;
    }
  }

  /** From now on the item's files count as they are. */
  async function showFailure(tx: Transaction, id: string): Promise<void> {
    const found = await findItem(tx, deps.projectId, id);
    if (!found) return;
    await refreshAttention(tx, deps, parseItem(found), await lastObservation(tx, deps.projectId, id));
    tx.afterCommit(deps.changed);
  }

  async function writeFiles(row: Tables['outbox']): Promise<void> {
    const write = { kind: row.kind, ...(JSON.parse(row.payload) as object) } as QueueWrite;
    const found = await findItem(deps.storage.read, deps.projectId, row.item_id);
    if (!found) return;
    const absence = deps.queue.absence();
    if (absence) throw folderGone(absence);
    const item = parseItem(found);
    if (write.kind === 'create') {
      await deps.queue.writeNew({ ...item.record, status: item.record.collection }, write.prompt);
    } else if (write.kind === 'restore') {
      await deps.queue.writeRecord({ ...item.record, status: write.lane }, write.lane);
    } else {
      const last = await lastObservation(deps.storage.read, deps.projectId, row.item_id);
      const { observation } = await lookAtHome(deps, row.item_id);
      const from = observation.record?.path ?? last?.record?.path ?? item.record.path;
      await deps.queue.moveRecord(row.item_id, from, write.lane);
    }
  }

  function scheduleRetry(): void {
    timer ??= setTimeout(() => {
      timer = null;
      kick();
    }, RETRY_MS).unref();
  }

  function kick(): void {
    if (stopped) return;
    again = true;
    running ??= drain()
      .catch((error: unknown) => {
        deps.logger.error({ err: error }, 'the outbox stopped; it is tried again');
        scheduleRetry();
      })
      .finally(() => {
        running = null;
      });
  }

  return {
    kick,
    /** Items whose queue write failed at the last round. */
    failing: () => failing,
    /** Resolves when nothing more can be carried out now. */
    async settle(): Promise<void> {
      kick();
      await running;
    },
    async stop(): Promise<void> {
      stopped = true;
      if (timer) clearTimeout(timer);
      await running;
    },
  };
}

/** Nothing is lost: the write waits in the database for the folder. */
function folderGone({ message, hint }: QueueProblem): FactoryError {
  return new FactoryError({
    code: 'queue-missing',
    op: 'write queue record',
    message,
    hint,
    retryable: true,
  });
}

export type Outbox = ReturnType<typeof createOutbox>;

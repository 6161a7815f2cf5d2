import { createActing } from './act.ts';
import { createAttentionUpkeep } from './attention-upkeep.ts';
import type { OutcomeListener } from './attempt.ts';
import { createBoard } from './board.ts';
import { createCreating } from './create.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import { createOutbox } from './outbox.ts';
import { createQueueSync } from './queue-sync.ts';
import { createReadingHistory } from './reading-history.ts';
import { createReading } from './reading.ts';
import { items } from './store.ts';
import { idempotency } from './store-actions.ts';

const HOUR = 60 * 60 * 1000;
/** A retry comes within minutes; a day is generous. */
const KEYS_LIVE_MS = 24 * HOUR;

/**
 * Work items: reading, planning and applying actions, net-new items, and the traffic with the queue folder. Faces
 * (JSON API, pages) call nothing else of this domain.
 */
export function createWorkItems(deps: WorkItemDependencies, onOutcome: OutcomeListener = () => undefined) {
  const outbox = createOutbox(deps);
  const upkeep = createAttentionUpkeep(deps);
  const sync = createQueueSync(deps, upkeep);
  const reading = createReading(deps, sync);
  const board = createBoard(deps, sync, upkeep, reading.summaries);
  const acting = createActing(deps, outbox, onOutcome);
  let housekeeping: NodeJS.Timeout | null = null;

  function forgetOldKeys(): void {
    const before = new Date(deps.clock.now() - KEYS_LIVE_MS).toISOString();
    deps.storage
      .write((tx) => tx.run(idempotency.deleteOlder, { before }))
      .catch((error: unknown) =>
        deps.logger.warn({ err: error }, 'old idempotency keys could not be removed'),
      );
  }

  return {
    ...reading,
    ...createReadingHistory(deps),
    ...board,
    ...acting,
    create: createCreating(deps, outbox),
    problems: sync.problems,
    freshAsOf: sync.freshAsOf,
    /** What health says of the queue folder, looked at now. */
    queueHealth: () => ({
      readAt: sync.freshAsOf(),
      problems: sync.problems().length,
      policy: deps.policyProblems()[0] ?? null,
      absence: deps.queue.absence(),
      known: deps.queueKnown(),
      unreadable: sync.unreadable(),
      failing: outbox.failing(),
    }),
    /** Items in the database, whatever their lane. */
    async count(): Promise<number> {
      const lanes = await deps.storage.read.all(items.laneCounts, { project_id: deps.projectId });
      return lanes.reduce((sum, { count }) => sum + Number(count), 0);
    },
    rescan: sync.rescan,
    settle: outbox.settle,

    /** Starts watching and the outbox; resolves when the first scan is in the database. */
    start(): Promise<void> {
      outbox.kick();
      housekeeping = setInterval(forgetOldKeys, HOUR).unref();
      return sync.start();
    },
    async stop(): Promise<void> {
      if (housekeeping) clearInterval(housekeeping);
      await sync.stop();
      await outbox.stop();
      await deps.queue.close();
    },
  };
}

export type WorkItems = ReturnType<typeof createWorkItems>;

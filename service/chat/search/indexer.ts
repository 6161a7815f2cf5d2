import { setTimeout as sleep } from 'node:timers/promises';
import type { ChatDependencies } from '../dependencies.ts';
import { isDamaged, type Found, type IndexFile } from './index-file.ts';
import { createSteps } from './steps.ts';
import { searched } from './store.ts';

/**
 * Keeps the index as the database is. It follows the audit log, which has an entry in the same transaction as each change,
 * in the order of the commits: an index that fell behind, by a kill or because another process wrote, catches up from the
 * entry where it stopped. Taking in something twice changes nothing.
 */

export interface IndexState {
  /** Whether all that was committed is in it. */
  complete: boolean;
  /** Messages in it, and messages that there are. */
  indexed: number;
  messages: number;
}

export interface Indexer {
  /** Judges the file that is there; before anything is served. Answers whether it has to be made anew. */
  open(): Promise<boolean>;
  start(): void;
  /** Something was committed. */
  wake(): void;
  /** Content of these sessions went: it is taken out by `settled`. */
  lost(session: string): void;
  /** All that was committed before the call is in it, unless that takes too long. */
  caughtUp(): Promise<boolean>;
  /** Whether it has all that was there when it was begun. */
  isBuilt(): boolean;
  /** Numbers of messages, highest first. */
  find(query: Found): Promise<number[]>;
  /** Words of what went are not in the file, nor beside it. */
  settled(): Promise<void>;
  state(): Promise<IndexState>;
  /** Throws the index away and makes it anew in the background. */
  rebuild(): Promise<void>;
  stop(): Promise<void>;
}

/** Between two steps, for others. */
const PAUSE_MS = 10;
/** After a commit, so that many are taken in together. */
const SOON_MS = 20;
/** Other processes write too, and tell nobody. */
const EVERY_MS = 5000;
/** A search waits so long for what was just written. */
const WAIT_MS = 1000;

type Deps = Pick<ChatDependencies, 'storage' | 'keys' | 'logger' | 'projectId'>;

export function createIndexer(deps: Deps, file: IndexFile): Indexer {
  const { storage, logger } = deps;
  const lost = new Set<string>();
  let turn: Promise<unknown> = Promise.resolve();
  let building: Promise<void> | null = null;
  let soon: NodeJS.Timeout | undefined;
  let poll: NodeJS.Timeout | undefined;
  let waiting = 0;
  let stopped = false;

  /** One at a time: each step leaves the file whole. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  }

  const breathe = (): Promise<void> => sleep(waiting > 0 ? 0 : PAUSE_MS);
  const steps = createSteps(deps, file, { breathe, stopped: () => stopped });
  const { follow, reconcile, buildStep, reset } = steps;

  async function build(): Promise<void> {
    while (!stopped && file.built() !== null) {
      await inTurn(guarded(buildStep));
      await breathe();
    }
    if (!stopped) logger.debug({ messages: file.count() }, 'The search index is complete.');
  }

  /** A file that broke is made anew. */
  const guarded = (work: () => Promise<void>) => async (): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!isDamaged(error)) throw error;
      logger.warn({ err: error }, 'The search index is damaged; it is made anew.');
      await reset();
      startBuild();
    }
  };

  function startBuild(): void {
    building ??= build()
      .catch((error: unknown) => logger.error({ err: error }, 'The search index could not be made.'))
      .finally(() => (building = null));
  }

  function startFollow(): void {
    void inTurn(guarded(follow)).catch((error: unknown) =>
      logger.warn({ err: error }, 'The search index is behind; tried again in a moment.'),
    );
  }

  async function whileWaitedFor<T>(work: () => Promise<T>): Promise<T> {
    waiting += 1;
    try {
      return await work();
    } finally {
      waiting -= 1;
    }
  }

  function caughtUp(): Promise<boolean> {
    return whileWaitedFor(async () => {
      const done = inTurn(guarded(follow))
        .then(() => building)
        .then(() => file.built() === null);
      return Promise.race([done, sleep(WAIT_MS, false, { ref: false })]);
    });
  }

  return {
    caughtUp,
    async open() {
      const isUsable = await steps.isOfThisDatabase().catch((error: unknown) => {
        if (!isDamaged(error)) throw error;
        return false;
      });
      if (!isUsable) await reset();
      return file.built() !== null;
    },
    start() {
      startFollow();
      startBuild();
      poll = setInterval(startFollow, EVERY_MS).unref();
    },
    wake() {
      if (stopped) return;
      soon ??= setTimeout(() => {
        soon = undefined;
        startFollow();
      }, SOON_MS).unref();
    },
    lost: (session) => void lost.add(session),
    isBuilt: () => file.built() === null,
    async find(query) {
      let found: number[] = [];
      const ask = guarded(async () => void (found = file.find(query)));
      await ask();
      return found;
    },
    settled: () =>
      whileWaitedFor(async () => {
        const gone = [...lost];
        lost.clear();
        for (const session of gone) await inTurn(guarded(() => reconcile(session, false)));
        await inTurn(guarded(follow));
        await inTurn(guarded(async () => file.settle()));
      }),
    async state() {
      const complete = await caughtUp();
      const there = Number((await storage.read.get(searched.count, {}))?.count ?? 0);
      return { complete, indexed: complete ? there : Math.min(file.count(), there), messages: there };
    },
    async rebuild() {
      await inTurn(reset);
      startBuild();
    },
    async stop() {
      stopped = true;
      clearTimeout(soon);
      clearInterval(poll);
      await turn;
      await building;
      file.close();
    },
  };
}

import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { inTurn } from '../messages/turns.ts';
import type { DocDependencies } from './docs.ts';
import { isDamaged, type IndexFile, type Known } from './index-file.ts';
import type { Sought } from './shards.ts';
import { createSteps } from './steps.ts';
import { searched } from './store.ts';

/**
 * Keeps the index as the database is. It follows the audit log, which has an entry in the same transaction as each change,
 * in the order of the commits: an index that fell behind, by a kill or because another process wrote, catches up from the
 * entry where it stopped. Taking in something twice changes nothing. It runs in a thread of its own (`thread-main.ts`).
 */

export interface IndexState {
  /** Whether all that was committed is in it. */
  complete: boolean;
  /** Messages in it, and messages that there are. */
  indexed: number;
  messages: number;
}

export interface Hits {
  /** Highest place first. */
  found: Known[];
  /** Whether the index has all that was there when it was begun. */
  built: boolean;
}

export interface Indexer {
  /** Judges the file that is there, and begins to bring it to where the database is. */
  start(): Promise<void>;
  /** Something was committed. */
  wake(): void;
  /** All that was committed before the call is in it, unless that takes too long. */
  caughtUp(): Promise<boolean>;
  find(query: Sought): Promise<Hits>;
  /** Words of what went, these sessions or parts of them, are not in the file, nor beside it. */
  settled(lost: readonly string[]): Promise<void>;
  state(): Promise<IndexState>;
  /** Throws the index away and makes it anew in the background. */
  rebuild(): Promise<void>;
  stop(): Promise<void>;
}

/** Between two steps of a making, so that it does not take a processor for itself. */
const PAUSE_MS = 10;
/** Other processes write too, and tell nobody. */
const EVERY_MS = 5000;
/** A search waits so long for what was just written. */
const WAIT_MS = 1000;

export type IndexLogger = Record<'debug' | 'warn' | 'error', (fields: object, text: string) => void>;

export interface IndexerDependencies extends DocDependencies {
  logger: IndexLogger;
  /** Why the index is not where the database is; null: it is again. */
  troubled(code: string | null): void;
}

export function createIndexer(deps: IndexerDependencies, file: IndexFile): Indexer {
  const { storage, logger, troubled } = deps;
  /** Each step leaves the file whole. */
  const turn = inTurn();
  const tell = troublesOf(troubled);
  let building: Promise<void> | null = null;
  let following: Promise<void> | null = null;
  let poll: NodeJS.Timeout | undefined;
  let starting: Promise<void> = Promise.resolve();
  let [waiting, stopped] = [0, false];

  const pause = (): Promise<unknown> => (waiting > 0 ? nextTurn() : sleep(PAUSE_MS));
  const pace = { breathe: () => nextTurn(), stopped: () => stopped };
  const { follow, reconcile, buildStep, reset, isOfThisDatabase } = createSteps(deps, file, pace);

  async function build(): Promise<void> {
    while (!stopped && file.built() !== null) {
      await turn(guarded(buildStep));
      await pause();
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
      .then(() => tell('build', null))
      .catch((error: unknown) => {
        tell('build', error);
        logger.error({ err: error }, 'The search index could not be made; tried again in a moment.');
      })
      .finally(() => (building = null));
  }

  /** One that waits for its turn takes in what comes until then. */
  function follows(): Promise<void> {
    if (following) return following;
    const asked = (following = turn(() => {
      following = null;
      return guarded(follow)();
    }));
    asked.then(
      () => tell('follow', null),
      (error: unknown) => {
        tell('follow', error);
        logger.warn({ err: error }, 'The search index is behind; tried again in a moment.');
      },
    );
    return asked;
  }

  const wake = (): void => {
    if (stopped) return;
    void follows().catch(() => undefined);
    if (file.built() !== null) startBuild();
  };

  async function whileWaitedFor<T>(work: () => Promise<T>): Promise<T> {
    waiting += 1;
    try {
      return await work();
    } finally {
      waiting -= 1;
    }
  }

  async function begin(): Promise<void> {
    const isUsable = await isOfThisDatabase().catch(unusable);
    if (stopped) return;
    if (!isUsable) await reset();
    wake();
    // Set after a stop, it would keep the thread alive.
    if (!stopped) poll = setInterval(wake, EVERY_MS);
  }

  const caughtUp = (): Promise<boolean> =>
    whileWaitedFor(() => {
      const done = follows()
        .then(() => building)
        .then(() => file.built() === null);
      return Promise.race([done, sleep(WAIT_MS, false, { ref: false })]);
    });

  return {
    caughtUp,
    wake,
    start: () => (starting = begin()),
    async find(query) {
      try {
        return { found: file.find(query), built: file.built() === null };
      } catch (error) {
        if (!isDamaged(error)) throw error;
        // Made anew between two steps, not in the middle of one.
        await turn(guarded(async () => void file.find(query)));
        return { found: [], built: false };
      }
    },
    settled: (lost) =>
      whileWaitedFor(async () => {
        for (const session of lost) await turn(guarded(() => reconcile(session, false)));
        await follows();
        await turn(guarded(async () => file.settle()));
      }),
    async state() {
      const complete = await caughtUp();
      const there = Number((await storage.read.get(searched.count, {}))?.count ?? 0);
      return { complete, indexed: complete ? there : Math.min(file.count(), there), messages: there };
    },
    async rebuild() {
      await turn(reset);
      startBuild();
    },
    async stop() {
      stopped = true;
      await starting.catch(() => undefined);
      clearInterval(poll);
      await turn(async () => undefined);
      await building;
      file.close();
    },
  };
}

/** One that is damaged is made anew. */
function unusable(error: unknown): false {
  if (!isDamaged(error)) throw error;
  return false;
}

/** Each kind of work has its own trouble; null: it works again. */
function troublesOf(troubled: IndexerDependencies['troubled']) {
  const troubles: Record<'build' | 'follow', string | null> = { build: null, follow: null };
  return (what: 'build' | 'follow', error: unknown): void => {
    troubles[what] = error === null ? null : codeOf(error);
    troubled(troubles.follow ?? troubles.build);
  };
}

const codeOf = (error: unknown): string => {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'internal';
};

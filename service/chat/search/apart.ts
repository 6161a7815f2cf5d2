import type { KeyObject } from 'node:crypto';
import { getCompileCacheDir } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { FactoryError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import type { ChatKeys } from '../keys/keys.ts';
import type { Sought } from './shards.ts';
import type { Hits, IndexState } from './indexer.ts';
import { heardError, type CallName, type Result } from './protocol.ts';
import type { Calls, ThreadData } from './protocol.ts';
import { createThreadCalls, isUnavailable, type ThreadOptions } from './thread-calls.ts';

/**
 * The search index, kept in a thread (`thread-main.ts`). One that ends by itself, or hangs, is begun again, and follows the log from where
 * its file is; what was asked of it is refused, and may be asked again.
 */

export interface SearchIndex {
  start(): void;
  /** Something was committed. */
  wake(): void;
  /** Content of these sessions went: it is taken out by `settled`. */
  lost(session: string): void;
  /** All that was committed before the call is in it, unless that takes too long. */
  caughtUp(): Promise<boolean>;
  /** Errors: `search-index-unavailable`. */
  find(query: Sought): Promise<Hits>;
  /** Words of what went are not in the file, nor beside it. Errors: `search-index-unavailable`. */
  settled(): Promise<void>;
  /** Errors: `search-index-unavailable`. */
  state(): Promise<IndexState>;
  /** Throws the index away and makes it anew in the background. Errors: `search-index-unavailable`. */
  rebuild(): Promise<void>;
  /** Why it is not where the database is, as a code; null: nothing is wrong. */
  trouble(): string | null;
  stop(): Promise<void>;
}

export interface ApartOptions extends ThreadData {
  keys: Pick<ChatKeys, 'byId'>;
  logger: Logger;
  /** Counts threads that ended or hung. */
  restarts?: ThreadOptions['restarts'];
  /** Other code and times, for tests. */
  thread?: URL;
  times?: Partial<typeof TIMES>;
}

const TIMES = {
  /** After a commit, so that many are taken in together. */
  soonMs: 20,
  /** A search waits so long for what was just written. */
  caughtUpMs: 1000,
  ...{ againMs: 100, longestMs: 30_000, absentMs: 5000, stopMs: 10_000 },
  ...{ pingMs: 10_000, mostMissed: 6 },
};
/** What went has to leave the file, whatever happens to one thread. */
const TRIES = 3;

export function createSearchIndex(options: ApartOptions): SearchIndex {
  const { keys, logger, thread = new URL('./thread.ts', import.meta.url) } = options;
  const { databaseUrl, folder, installation, projectId, blobsFolder } = options;
  const times = { ...TIMES, ...options.times };
  const lost = new Set<string>();
  let trouble: string | null = null;
  let soon: NodeJS.Timeout | undefined;
  let stopped = false;

  const threads = createThreadCalls({
    ...{ logger, times, restarts: options.restarts ?? (() => undefined) },
    begin() {
      const compileCache = getCompileCacheDir();
      const workerData: ThreadData = {
        ...{ databaseUrl, folder, installation, projectId, blobsFolder, compileCache },
      };
      return new Worker(thread, { workerData, execArgv: [], name: 'search' });
    },
    hear(message) {
      if (message.kind === 'trouble') trouble = message.code;
      else if (message.kind === 'keys-of')
        threads.say({ kind: 'keys', id: message.id, keys: openKeys(keys, message.numbers) });
      else {
        const { level, fields, error, text } = message;
        logger[level](error === null ? fields : { ...fields, err: heardError(error) }, text);
      }
    },
  });

  const call = <N extends CallName>(name: N, ...args: Parameters<Calls[N]>): Promise<Result<N>> =>
    threads.call(name, args) as Promise<Result<N>>;

  async function settled(): Promise<void> {
    const gone = [...lost];
    lost.clear();
    for (let left = TRIES; ; left -= 1) {
      try {
        return await call('settled', gone);
      } catch (error) {
        if (left > 1 && isUnavailable(error) && !stopped) continue;
        gone.forEach((session) => lost.add(session));
        throw error;
      }
    }
  }

  return {
    settled,
    start: () => threads.start(),
    wake() {
      if (stopped) return;
      soon ??= setTimeout(() => {
        soon = undefined;
        threads.say({ kind: 'wake' });
      }, times.soonMs).unref();
    },
    lost: (session) => void lost.add(session),
    caughtUp() {
      const done = call('caughtUp').catch((error: unknown) => {
        if (isUnavailable(error)) return false;
        throw error;
      });
      return Promise.race([done, sleep(times.caughtUpMs, false, { ref: false })]);
    },
    find: (query) => call('find', query),
    state: () => call('state'),
    rebuild: () => call('rebuild'),
    trouble: () => threads.ended() ?? trouble,
    async stop() {
      stopped = true;
      clearTimeout(soon);
      await threads.stop();
    },
  };
}

function openKeys(keys: Pick<ChatKeys, 'byId'>, numbers: readonly number[]): Map<number, KeyObject> {
  const found = new Map<number, KeyObject>();
  for (const number of numbers) {
    try {
      found.set(number, keys.byId(number));
    } catch (error) {
      // Gone, or not to be opened: whoever reads what it sealed is told.
      if (!(error instanceof FactoryError)) throw error;
    }
  }
  return found;
}

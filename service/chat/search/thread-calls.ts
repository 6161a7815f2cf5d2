import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { FactoryError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { heardError, type FromThread, type ToThread } from './protocol.ts';

/** A thread that is begun again whenever it ends by itself or hangs, and questions to it. */

export interface ThreadCalls {
  start(): void;
  /** Answers what the thread answers. Errors: `search-index-unavailable`, and those of the thread. */
  call(name: (ToThread & { kind: 'call' })['name'], args: readonly unknown[]): Promise<unknown>;
  /** Nothing where there is no thread. */
  say(message: ToThread): void;
  /** The code of why it is not there; null: it is, or is coming for the first time. */
  ended(): string | null;
  stop(): Promise<void>;
}

export interface ThreadOptions {
  begin(): Worker;
  /** What it says by itself. */
  hear(message: Exclude<FromThread, { kind: 'ready' | 'pong' | 'answer' | 'refusal' }>): void;
  /** It ended, or hangs, and is begun again. */
  restarts(why: 'ended' | 'hung'): void;
  logger: Logger;
  times: ThreadTimes;
}

export interface ThreadTimes {
  /** Before it is begun again for the first time; each time that follows at once, twice as long. */
  againMs: number;
  longestMs: number;
  /** So long a question waits for a thread that is not there. */
  absentMs: number;
  /** Between two pings. It hangs when it says nothing for so many: it never works for so long in one piece. */
  pingMs: number;
  mostMissed: number;
  /** So long it is waited for at the end. */
  stopMs: number;
}

interface Asked {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export function createThreadCalls({ begin, hear, restarts, logger, times }: ThreadOptions): ThreadCalls {
  const asked = new Map<number, Asked>();
  let calls = 0;
  let worker: Worker | null = null;
  let code: string | null = null;
  let failures = 0;
  /** It is to come again: after a while, once the one before it is gone. */
  let again: { timer?: NodeJS.Timeout; done: PromiseWithResolvers<void> } | null = null;
  let leaving: Promise<unknown> | null = null;
  let stopped = false;

  function start(): void {
    if (worker || again || stopped) return;
    const begun = (worker = begin());
    begun.unref();
    let reason: unknown = null;
    const watch = watched(begun);
    begun.on('message', (message: FromThread) => {
      watch.alive();
      if (worker === begun) heard(begun, message);
    });
    begun.on('error', (error: unknown) => void (reason = error));
    begun.on('exit', () => {
      watch.end();
      if (worker === begun) lost(reason, 'ended');
      beginAgain();
    });
  }

  /** Counts pings, not time: of a machine that slept, or a service that was busy, nothing was asked. */
  function watched(one: Worker) {
    let missed = 0;
    const timer = setInterval(() => {
      if (missed >= times.mostMissed) {
        clearInterval(timer);
        return hangs(one);
      }
      missed += 1;
      one.postMessage({ kind: 'ping' } satisfies ToThread);
    }, times.pingMs).unref();
    return { alive: () => void (missed = 0), end: () => clearInterval(timer) };
  }

  function hangs(one: Worker): void {
    if (stopped || worker !== one) return;
    const error = new Error(`It answered none of ${times.mostMissed} pings.`);
    lost(Object.assign(error, { code: 'thread-hangs' }), 'hung');
    leaving = one.terminate().finally(() => (leaving = null));
  }

  function lost(reason: unknown, why: 'ended' | 'hung'): void {
    worker = null;
    for (const { reject } of asked.values()) reject(unavailable(reason));
    asked.clear();
    if (stopped) return;
    code = codeOf(reason);
    restarts(why);
    const said = why === 'ended' ? 'ended; it is' : 'hangs; it is ended and';
    logger.error({ err: reason }, `The thread of the search index ${said} begun again.`);
    again = { done: Promise.withResolvers() };
  }

  function beginAgain(): void {
    if (stopped || again === null) return;
    const { done } = again;
    const delay = Math.min(times.againMs * 2 ** failures, times.longestMs);
    failures += 1;
    again.timer = setTimeout(() => {
      again = null;
      start();
      done.resolve();
    }, delay);
  }

  function heard(from: Worker, message: FromThread): void {
    if (message.kind === 'ready') {
      [code, failures] = [null, 0];
    } else if (message.kind === 'answer' || message.kind === 'refusal') {
      const one = asked.get(message.id);
      asked.delete(message.id);
      // At the end it is waited for, after its last answer too.
      if (asked.size === 0 && !stopped) from.unref();
      if (message.kind === 'answer') one?.resolve(message.value);
      else one?.reject(heardError(message.error));
    } else if (message.kind !== 'pong') hear(message);
  }

  async function there(): Promise<Worker> {
    start();
    if (again) await Promise.race([again.done.promise, sleep(times.absentMs, undefined, { ref: false })]);
    if (!worker) throw unavailable(null);
    return worker;
  }

  async function call(
    name: (ToThread & { kind: 'call' })['name'],
    args: readonly unknown[],
  ): Promise<unknown> {
    const to = await there();
    return new Promise((resolve, reject) => {
      const id = ++calls;
      asked.set(id, { resolve, reject });
      // Whoever waits for an answer keeps the process alive.
      to.ref();
      to.postMessage({ kind: 'call', id, name, args } satisfies ToThread);
    });
  }

  async function stop(): Promise<void> {
    stopped = true;
    clearTimeout(again?.timer);
    again?.done.resolve();
    const wait = sleep(times.stopMs, undefined, { ref: false });
    if (leaving) await Promise.race([leaving, wait]);
    const last = worker;
    if (!last) return;
    const gone = new Promise<void>((resolve) => void last.once('exit', () => resolve()));
    const asking = call('stop', []).then(
      () => gone,
      () => undefined,
    );
    await Promise.race([asking, wait]);
    await last.terminate();
  }

  return { start, call, say: (message) => worker?.postMessage(message), ended: () => code, stop };
}

function codeOf(reason: unknown): string {
  const { code } = (reason ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'thread-ended';
}

export const isUnavailable = (error: unknown): boolean =>
  error instanceof FactoryError && error.code === 'search-index-unavailable';

function unavailable(cause: unknown): FactoryError {
  return new FactoryError({
    ...{ code: 'search-index-unavailable', op: 'search', retryable: true, cause: cause ?? undefined },
    message: 'The search index is being started again.',
    hint: 'Search again in a moment; if this stays, the check `search` of the health and the log say why.',
  });
}

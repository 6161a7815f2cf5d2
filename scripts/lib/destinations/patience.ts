import { setTimeout as sleep } from 'node:timers/promises';

/** Asking again where that may help: for how long, and how often. */
export interface Patience {
  /** Of the whole, in ms; a try that could end later is not begun. */
  ms: (error: unknown) => number;
  /** The longest that a try can be silent, in ms. */
  tryMs: number;
  /** Between tries, in ms: doubled from the first to the most, and up to a half taken off, so that clients spread. */
  firstPauseMs: number;
  mostPauseMs: number;
  /** Whether the same call can succeed later. */
  worth: (error: unknown) => boolean;
  signal: AbortSignal;
}

/** Runs `work` until it succeeds or patience is over. Errors: the last one of `work`. */
export async function patiently<T>(work: () => Promise<T>, patience: Patience): Promise<T> {
  const started = performance.now();
  for (let turn = 0; ; turn += 1) {
    try {
      return await work();
    } catch (error) {
      const most = Math.min(patience.firstPauseMs * 2 ** turn, patience.mostPauseMs);
      const pause = most * (1 - Math.random() / 2);
      const until = performance.now() - started + pause + patience.tryMs;
      if (!patience.worth(error) || until > patience.ms(error) || patience.signal.aborted) throw error;
      // Interrupted while it waits, the reason is still the last answer.
      await sleep(pause, undefined, { signal: patience.signal }).catch(() => {
        throw error;
      });
    }
  }
}

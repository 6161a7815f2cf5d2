const STOPS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** One for the process: who listens for each piece of work would have to stop listening after it. */
let asked: AbortController | null = null;

/**
 * A signal for work that has to end: aborted after `ms`, and when the process is asked to stop, so that what was begun
 * is cleaned up. Asked a second time, the process ends at once.
 */
export function deadline(ms: number): AbortSignal {
  asked ??= whenAsked();
  return AbortSignal.any([AbortSignal.timeout(ms), asked.signal]);
}

function whenAsked(): AbortController {
  const controller = new AbortController();
  for (const name of STOPS) process.once(name, () => controller.abort(new Error(`stopped by ${name}`)));
  return controller;
}

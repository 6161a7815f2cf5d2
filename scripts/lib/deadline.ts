const STOPS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * A signal for work that has to end: aborted after `ms`, and when the process is asked to stop, so that what was begun
 * is cleaned up. Asked a second time, the process ends at once.
 */
export function deadline(ms: number): AbortSignal {
  const asked = new AbortController();
  for (const name of STOPS) process.once(name, () => asked.abort(new Error(`stopped by ${name}`)));
  return AbortSignal.any([AbortSignal.timeout(ms), asked.signal]);
}

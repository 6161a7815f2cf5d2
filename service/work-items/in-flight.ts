import * as refuse from './refusals.ts';

/** How long a duplicate waits for the first request's result. */
const IN_FLIGHT_MS = 5000;

/** Requests that name a key, while they are under way. */
export function createInFlight() {
  const inFlight = new Map<string, Promise<unknown>>();

  /** A duplicate of a request that is under way waits for it, then takes its own turn and finds the stored answer. */
  async function once<T>(key: string | undefined, scope: string, run: () => Promise<T>): Promise<T> {
    if (key === undefined) return run();
    const name = `${scope} ${key}`;
    const first = inFlight.get(name);
    if (first) {
      if (!(await settledWithin(first, IN_FLIGHT_MS))) throw refuse.stillRunning(key);
      return run();
    }
    const running = run();
    inFlight.set(name, running);
    try {
      return await running;
    } finally {
      inFlight.delete(name);
    }
  }

  return { once };
}

async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  const answer = await Promise.race([settled, late]);
  clearTimeout(timer);
  return answer;
}

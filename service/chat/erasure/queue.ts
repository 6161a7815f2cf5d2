import { asFactoryError, type FactoryError } from '../../errors.ts';

/** Long work of this process, one after the other; what failed is tried again after a while. */
export interface Queue {
  add(id: string): void;
  /** Resolves when nothing runs and nothing waits but for another try. */
  idle(): Promise<void>;
  /** The step that runs is the last one. */
  stop(): Promise<void>;
}

const AGAIN_MS = 10_000;

export function createQueue(
  work: (id: string, stopped: () => boolean) => Promise<void>,
  failed: (id: string, error: FactoryError) => void,
): Queue {
  let running = Promise.resolve();
  let stopped = false;
  const waiting = new Set<string>();
  const later = new Map<string, NodeJS.Timeout>();

  function add(id: string): void {
    clearTimeout(later.get(id));
    later.delete(id);
    if (stopped || waiting.has(id)) return;
    waiting.add(id);
    running = running.then(async () => {
      waiting.delete(id);
      if (!stopped) await work(id, () => stopped).catch((error: unknown) => tryAgain(id, error));
    });
  }

  function tryAgain(id: string, error: unknown): void {
    failed(id, asFactoryError(error, 'carry on'));
    if (!stopped) later.set(id, setTimeout(() => add(id), AGAIN_MS).unref());
  }

  return {
    add,
    async idle() {
      for (let seen; seen !== running;) {
        seen = running;
        await seen;
      }
    },
    async stop() {
      stopped = true;
      for (const timer of later.values()) clearTimeout(timer);
      await running;
    },
  };
}

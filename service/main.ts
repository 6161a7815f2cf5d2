import { setTimeout as sleep } from 'node:timers/promises';
import type { Express } from 'express';
import { createApp } from './app.ts';
import type { Config } from './config.ts';
import { createContext, type Context, type Overrides } from './context.ts';
import { assertNotFenced } from './epoch.ts';
import { listen, type Listening } from './listen.ts';

/** Of a queue of more items than this, the first answers come before the folder is looked at. */
const LARGE_QUEUE = 1000;
/** By so much: looking at a large folder takes the process for a while, in slices. */
const FIRST_ANSWERS_MS = 200;
/** A folder that is read in this time is in the database before the service says that it is ready. */
const FIRST_READ_MS = 500;

export interface Service {
  context: Context;
  listening: Listening;
  /** Resolves when the queue folder was read once, or could not be. */
  queueRead: Promise<void>;
  /** The work-items folder that the database was filled from until now, where that is gone. */
  movedFrom: string | null;
  close(): Promise<void>;
}

/**
 * Listens first: a start whose place is taken leaves no database behind. Whoever asks before the service can answer waits
 * for it. A host that was replaced does not start: `epoch-fenced`. The caller waits for the signal and closes.
 */
export async function startService(config: Config, overrides: Overrides = {}): Promise<Service> {
  assertNotFenced(config, 'start service');
  const app = Promise.withResolvers<Express | null>();
  const listening = await listen((req, res) => {
    void app.promise.then((answer) => {
      if (answer) answer(req, res);
      else req.destroy();
    });
  }, config.listen);
  try {
    return await serve(config, overrides, listening, app.resolve);
  } catch (error) {
    app.resolve(null);
    await listening.drain();
    throw error;
  }
}

async function serve(
  config: Config,
  overrides: Overrides,
  listening: Listening,
  answerBy: (app: Express) => void,
): Promise<Service> {
  const context = await createContext(config, overrides);
  try {
    const before = await context.queueHome.settle();
    context.listensOn(listening.url);
    await context.people.ensureOwner();
    answerBy(createApp(context));
    const stopping = new AbortController();
    const large = (await context.items.count()) > LARGE_QUEUE;
    const queueRead = sleep(large ? FIRST_ANSWERS_MS : 0, undefined, { signal: stopping.signal })
      .then(() => context.start())
      .catch((error: unknown) => {
        if (!stopping.signal.aborted)
          context.logger.error({ err: error }, 'the queue folder could not be read');
      });
    if (!large) await Promise.race([queueRead, sleep(FIRST_READ_MS, undefined, { ref: false })]);
    const close = async (): Promise<void> => {
      stopping.abort();
      const drained = listening.drain();
      await context.feed.close();
      await drained;
      await context.close();
    };
    return { context, listening, queueRead, movedFrom: before?.path ?? null, close };
  } catch (error) {
    await context.close();
    throw error;
  }
}

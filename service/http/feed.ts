import type { Request, Response } from 'express';
import type { Sessions, SignedIn } from '../access/sessions.ts';
import type { Tokens } from '../access/tokens.ts';
import { FactoryError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Storage } from '../storage/transaction.ts';
import { createEventPages, newestSeq, type EventPage } from './feed-pages.ts';

export interface FeedDependencies {
  storage: Storage;
  projectId: string;
  logger: Logger;
  tokens: Pick<Tokens, 'authenticate'>;
  sessions: Pick<Sessions, 'isOpen'>;
  /** Other times and bounds, for tests. */
  limits?: Partial<typeof LIMITS>;
}

const LIMITS = {
  /** Other processes write too; their events are found by looking. */
  pollMs: 1000,
  /** Commits that follow one another wake the streams once. */
  gatherMs: 20,
  heartbeatMs: 15_000,
  /** A stream ends this soon after its token was revoked or its person signed out. */
  recheckMs: 20_000,
  /** A client that takes nothing for so long is gone. */
  stallMs: 30_000,
  clients: 500,
  clientsOfOne: 50,
};

/** What a stream is made of. */
export interface FeedSource {
  /** `seq` of the newest event. */
  newest(): Promise<number>;
  /** What follows; null: nothing will follow any more, or nothing that the reader may see. */
  after(seq: number): Promise<EventPage | null>;
}

interface Client {
  source: FeedSource;
  req: Request;
  res: Response;
  /** Whose it is, for the bound. */
  owner: string;
  /** `seq` of the last event that was sent or skipped. */
  after: number;
  ended: boolean;
  /** Ends a pause: there may be news, or the end. */
  wake: () => void;
}

/**
 * Live events as server-sent events. A stream reads the events table from where the client was, page by page, so
 * nothing is missed between what it missed and what happens now. Events carry ids, version, lane and type, which
 * everybody who is signed in may read, and no content.
 */
export function createFeed({ storage, projectId, logger, tokens, sessions, limits }: FeedDependencies) {
  const { pollMs, gatherMs, heartbeatMs, recheckMs, stallMs, ...bounds } = { ...LIMITS, ...limits };
  const clients = new Set<Client>();
  const pages = createEventPages(storage.read, projectId);
  const events: FeedSource = { newest: () => newestSeq(storage.read), after: (seq) => pages.after(seq) };
  let timers: NodeJS.Timeout[] = [];
  let gathering: NodeJS.Timeout | null = null;
  let head = 0;
  let closed = false;

  function wakeAll(): void {
    gathering = null;
    pages.outdate();
    for (const client of clients) client.wake();
  }

  /** Tells that a commit of this process wrote events. */
  function notify(): void {
    if (clients.size > 0) gathering ??= setTimeout(wakeAll, gatherMs).unref();
  }

  /** Other sources are asked each time: what happens there need not be an event. */
  async function poll(): Promise<void> {
    const newest = await newestSeq(storage.read);
    if (newest > head) wakeAll();
    head = newest;
    for (const client of clients) if (client.source !== events) client.wake();
  }

  function beat(): void {
    for (const { res } of clients) if (!res.writableNeedDrain) res.write(': still here\n\n');
  }

  /** Whether the credentials that opened the stream would open it now. */
  async function mayStay({ req, res }: Client): Promise<boolean> {
    const signedIn = res.locals.signedIn as SignedIn | undefined;
    if (signedIn) return sessions.isOpen(signedIn.family);
    const token = /^Bearer +(\S+)$/i.exec(req.headers.authorization ?? '')?.[1];
    return token !== undefined && 'principal' in (await tokens.authenticate(token));
  }

  async function recheck(): Promise<void> {
    for (const client of [...clients]) if (!(await mayStay(client))) end(client);
  }

  /** A database that does not answer for a moment ends no stream. */
  function every(ms: number, work: () => Promise<void> | void): NodeJS.Timeout {
    const run = async () => work();
    return setInterval(() => {
      run().catch((error: unknown) =>
        logger.warn({ err: error }, 'live events could not be looked after; tried again'),
      );
    }, ms).unref();
  }

  function add(client: Client): void {
    clients.add(client);
    if (timers.length === 0)
      timers = [every(pollMs, poll), every(heartbeatMs, beat), every(recheckMs, recheck)];
    client.res.once('close', () => end(client));
  }

  function end(client: Client): void {
    client.ended = true;
    client.wake();
    clients.delete(client);
    client.res.end();
    if (clients.size > 0) return;
    for (const timer of timers) clearInterval(timer);
    timers = [];
  }

  async function pump(client: Client): Promise<void> {
    while (!client.ended) {
      // News that come while a page is read must not be slept through.
      const news = new Promise<void>((resolve) => (client.wake = resolve));
      const page = await client.source.after(client.after);
      if (client.ended) return;
      if (page === null) return end(client);
      client.after = page.last;
      if (page.text !== '' && !client.res.write(page.text)) await drained(client, stallMs);
      if (!page.more) await news;
    }
  }

  function admit(owner: string): void {
    const own = [...clients].filter((client) => client.owner === owner).length;
    if (closed) throw refused('stopping', 'The service is stopping.');
    if (clients.size >= bounds.clients || own >= bounds.clientsOfOne)
      throw refused('feed-full', 'Too many streams are open.');
  }

  return {
    notify,
    /** Ends what its credentials would not open now; done every few seconds. */
    recheck,
    clients: () => clients.size,

    /**
     * Streams events after `lastEventId`; without one, those from now on. `source`: of something else than changes of items.
     * Errors: `feed-full`, `stopping`.
     */
    async serve(
      req: Request,
      res: Response,
      owner: string,
      lastEventId: number | null,
      source: FeedSource = events,
    ): Promise<void> {
      admit(owner);
      const newest = await source.newest();
      if (clients.size === 0) head = await newestSeq(storage.read);
      // An id from before a restore may lie in the future of this database.
      const client: Client = {
        source,
        req,
        res,
        owner,
        after: Math.min(lastEventId ?? newest, newest),
        ended: false,
        wake: () => undefined,
      };
      res.set({
        'Content-Type': 'text/event-stream; charset=utf-8',
        'Cache-Control': 'no-store, no-transform',
        'X-Accel-Buffering': 'no',
      });
      if (req.method === 'HEAD' || res.destroyed) return void res.end();
      add(client);
      // The id first: who reconnects before the first event must not miss it.
      res.write(`retry: 2000\nid: ${client.after}\n\n`);
      pump(client).catch((error: unknown) => {
        logger.warn({ err: error }, 'a stream of live events ended; its client resumes');
        end(client);
      });
    },

    /** Ends all streams and takes no more. */
    async close(): Promise<void> {
      closed = true;
      if (gathering) clearTimeout(gathering);
      for (const client of [...clients]) end(client);
    },
  };
}

export type Feed = ReturnType<typeof createFeed>;

/** Waits until the client took what was sent, or is given up. */
async function drained(client: Client, stallMs: number): Promise<void> {
  const { res } = client;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => res.destroy(), stallMs);
    const done = (): void => {
      clearTimeout(timer);
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.once('drain', done).once('close', done);
  });
}

function refused(code: string, message: string): FactoryError {
  return new FactoryError({
    ...{ code, op: 'open live events', message, retryable: true },
    hint: 'Close streams that are not needed, and connect again in a few seconds.',
  });
}

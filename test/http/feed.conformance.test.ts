import { EventEmitter } from 'node:events';
import express, { type Request, type Response } from 'express';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { recordChange, SYSTEM } from '../../service/audit/events.ts';
import { createFeed, type Feed, type FeedDependencies } from '../../service/http/feed.ts';
import { openStorage } from '../../service/storage/open.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './contract.ts';

/** Live events over a real connection, on the engine of the running project. */

let service: TestService;
let databaseUrl: string;

beforeAll(async () => {
  databaseUrl = await createEngineDatabase();
  service = await startService({
    databaseUrl,
    workItems: itemFiles('wi-F-1', 'ready', { title: 'Hidden title' }),
  });
});
afterAll(() => service.close());

interface Received {
  id: number;
  event: string;
  data: { id: string; version: number; lane?: string; type: string; at: string };
}

interface Stream {
  events: Received[];
  /** Everything as it came. */
  text(): string;
  /** The id that the stream started with. */
  start(): number | undefined;
  until(done: (events: Received[]) => boolean): Promise<Received[]>;
  ended: Promise<void>;
  close(): void;
}

const streams: Stream[] = [];
afterEach(() => {
  for (const stream of streams.splice(0)) stream.close();
});

async function open(url: string, headers: Record<string, string>): Promise<Stream> {
  const abort = new AbortController();
  const response = await fetch(url, { headers, signal: abort.signal });
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/event-stream; charset=utf-8',
  ]);
  const events: Received[] = [];
  let text = '';
  let rest = '';
  let start: number | undefined;
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      const part = decoder.decode(chunk as Uint8Array, { stream: true });
      text += part;
      const blocks = (rest + part).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = Object.fromEntries(
          block.split('\n').map((line) => line.split(/: (.*)/).slice(0, 2)),
        ) as Record<string, string | undefined>;
        if (fields['data'])
          events.push({
            id: Number(fields['id']),
            event: fields['event'] ?? '',
            data: JSON.parse(fields['data']) as Received['data'],
          });
        else if (fields['id']) start ??= Number(fields['id']);
      }
    }
  };
  const ended = read().catch(() => undefined);
  const stream: Stream = {
    events,
    text: () => text,
    start: () => start,
    async until(done) {
      const deadline = Date.now() + 10_000;
      while (!done(events)) {
        if (Date.now() > deadline)
          throw new Error(`not received: ${events.length} events\n${text.slice(-500)}`);
        await sleep(5);
      }
      return events;
    },
    ended,
    close: () => abort.abort(),
  };
  streams.push(stream);
  return stream;
}

const openOwn = (headers: Record<string, string> = {}, query = '') =>
  open(`${service.url}/api/events${query}`, { authorization: `Bearer ${service.owner}`, ...headers });

/** Events of an item nobody else uses; their seqs. */
async function write(storage: Storage, count: number, stream: 'item' | 'person' = 'item'): Promise<number[]> {
  const { audit, clock } = service.context;
  const change = (version: number) => ({
    ...{ projectId: 'main', stream, streamId: 'wi-F-loud', version, actor: SYSTEM, at: clock.iso() },
    ...{ type: 'truth-refreshed', payload: { note: 'Hidden note' }, action: 'test' },
  });
  const units = Array.from({ length: count }, (_, index) =>
    storage.write((tx) => recordChange(tx, audit, change(index + 1))),
  );
  return Promise.all(units);
}

const ids = (events: Received[]) => events.map(({ id }) => id);

describe('a stream', () => {
  it('resumes after 1,000 missed events without a gap, while more are written', async () => {
    const first = await openOwn();
    await first.until(() => first.start() !== undefined);
    first.close();
    const missed = await write(service.context.storage, 1000);
    const resumed = await openOwn({ 'last-event-id': String(first.start()) });
    const writing = write(service.context.storage, 300);
    service.context.feed.notify();
    const all = [...missed, ...(await writing)].sort((a, b) => a - b);
    service.context.feed.notify();
    await resumed.until((events) => events.length >= all.length);
    expect(ids(resumed.events)).toEqual(all);
  });

  it('tells of an action at once: id, version, lane and type, and no content', async () => {
    const stream = await openOwn();
    await stream.until(() => stream.start() !== undefined);
    const owner = clientOf(service.url, service.owner);
    await owner('POST /api/control-plane/items/wi-F-1/actions/claim');
    await owner('POST /api/control-plane/items/wi-F-1/actions/cancel', {
      body: { input: { note: 'Hidden note' } },
    });
    const events = await stream.until((seen) => seen.some(({ data }) => data.lane === 'cancelled'));
    const moved = events.find(({ data }) => data.lane === 'cancelled');
    expect(moved).toMatchObject({ event: 'item', data: { id: 'wi-F-1', type: 'lane-moved' } });
    for (const { data } of events) {
      expect(Object.keys(data).sort().join()).toMatch(/^at,id,(lane,)?type,version$/);
    }
    expect(stream.text()).not.toContain('Hidden');
  });

  it('finds what another process wrote, and skips what is not about items', async () => {
    const stream = await openOwn();
    await stream.until(() => stream.start() !== undefined);
    const other = await openStorage(databaseUrl);
    try {
      await write(other, 3, 'person');
      const written = await write(other, 2);
      await stream.until((events) => events.length >= 2);
      expect(ids(stream.events)).toEqual(written.sort((a, b) => a - b));
    } finally {
      await other.close();
    }
  });

  it('takes the last id from the query, too, and one that is not there yet as now', async () => {
    const written = await write(service.context.storage, 3);
    const start = Math.min(...written);
    const stream = await openOwn({}, `?lastEventId=${start}`);
    await stream.until((events) => events.length >= 2);
    expect(ids(stream.events)).toEqual([start + 1, start + 2]);
    const early = await openOwn({ 'last-event-id': '999999999' });
    await early.until(() => early.start() !== undefined);
    const next = await write(service.context.storage, 1);
    service.context.feed.notify();
    await early.until((events) => events.length >= 1);
    expect(ids(early.events)).toEqual(next);
  });

  it.each(['-1', 'x', '1.5', '1e3'])('refuses the last id %s', async (last) => {
    const answer = await clientOf(service.url, service.owner)('GET /api/events', {
      headers: { 'last-event-id': last },
    });
    expect([answer.status, answer.body['problems']]).toEqual([
      400,
      [expect.objectContaining({ path: 'Last-Event-ID' })],
    ]);
  });

  it('needs somebody', async () => {
    expect((await clientOf(service.url, null)('GET /api/events')).status).toBe(401);
  });
});

describe('a feed', () => {
  const servers: { server: Server; feed: Feed }[] = [];
  afterEach(async () => {
    for (const { server, feed } of servers.splice(0)) {
      await feed.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  /** A feed of its own with other times, behind the same credentials. */
  async function start(
    limits: FeedDependencies['limits'],
    family?: string,
  ): Promise<{ url: string; feed: Feed }> {
    const { storage, logger, tokens, sessions } = service.context;
    const feed = createFeed({
      storage,
      projectId: 'main',
      logger,
      tokens,
      sessions,
      ...(limits ? { limits } : {}),
    });
    const app = express();
    app.get('/', async (req, res) => {
      if (family) res.locals.signedIn = { family };
      await feed
        .serve(req, res, 'one', null)
        .catch((error: { code: string }) => res.status(503).send(error.code));
    });
    const server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push({ server, feed });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, feed };
  }

  it('ends the stream of a token that was revoked, and of a sign-in that is over', async () => {
    const token = await service.token({ role: 'planner' });
    const { body: me } = await clientOf(service.url, token)('GET /api/me');
    const byToken = await start({ recheckMs: 20 });
    const stream = await open(byToken.url, { authorization: `Bearer ${token}` });
    await stream.until(() => stream.start() !== undefined);
    await sleep(60);
    expect(byToken.feed.clients()).toBe(1);
    await service.context.tokens.revoke(SYSTEM, me['id'] as string);
    await stream.ended;
    expect(byToken.feed.clients()).toBe(0);

    const cookie = await service.cookie();
    const signedIn = await service.context.sessions.authenticate(cookie.split('=')[1] ?? '');
    if (!signedIn || 'refused' in signedIn) throw new Error('the owner could not sign in');
    const byCookie = await start({ recheckMs: 20 }, signedIn.family);
    const second = await open(byCookie.url, { cookie });
    await sleep(60);
    expect(byCookie.feed.clients()).toBe(1);
    await service.context.sessions.signOut(signedIn);
    await second.ended;
  });

  it('keeps quiet streams alive', async () => {
    const { url } = await start({ heartbeatMs: 10 });
    const stream = await open(url, { authorization: `Bearer ${service.owner}` });
    await stream.until(() => stream.text().includes(': still here'));
    expect(stream.events).toEqual([]);
  });

  it('is bounded, and open again when somebody leaves', async () => {
    const { url, feed } = await start({ clients: 2 });
    const headers = { authorization: `Bearer ${service.owner}` };
    const kept = await Promise.all([open(url, headers), open(url, headers)]);
    const refused = await fetch(url, { headers });
    expect([refused.status, await refused.text()]).toEqual([503, 'feed-full']);
    kept[0]?.close();
    while (feed.clients() > 1) await sleep(5);
    await open(url, headers);
    expect(feed.clients()).toBe(2);
  });

  it('is bounded for one caller', async () => {
    const { url } = await start({ clientsOfOne: 1 });
    await open(url, { authorization: `Bearer ${service.owner}` });
    expect((await fetch(url)).status).toBe(503);
  });

  it('ends all streams when the service stops', async () => {
    const { url, feed } = await start({});
    const stream = await open(url, { authorization: `Bearer ${service.owner}` });
    await feed.close();
    await stream.ended;
    const refused = await fetch(url);
    expect([refused.status, await refused.text()]).toEqual([503, 'stopping']);
  });

  it('gives up a client that takes nothing', async () => {
    const { storage, logger, tokens, sessions } = service.context;
    const feed = createFeed({
      storage,
      projectId: 'main',
      logger,
      tokens,
      sessions,
      limits: { stallMs: 10 },
    });
    const full = Object.assign(new EventEmitter(), {
      ...{ locals: {}, destroyed: false, set: () => full, end: () => full },
      write: (text: string) => !text.includes('data: '),
      destroy: () => full.emit('close'),
    });
    await write(storage, 1);
    await feed.serve({ headers: {} } as Request, full as unknown as Response, 'one', 0);
    expect(feed.clients()).toBe(1);
    while (feed.clients() > 0) await sleep(5);
  });
});

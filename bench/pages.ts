import { Agent } from 'node:http';
import { newToken, signIn } from '../test/process/client.ts';
import { serve } from '../test/process/service.ts';
import type { Place } from '../test/process/service.ts';
import { quantile } from './figures.ts';
import type { Figure, Options } from './figures.ts';
import { discard, fill, itemId, queueOnDisk } from './installation.ts';
import { timed } from './timed.ts';

/** Pages and lists of a large installation beside a small one; one client, one connection, in turns. */

const SMALL = 1000;
const DECISIONS_PER_ITEM = 10;
const REQUESTS = 300;
const WARM_UP = 50;

const PAGES: { what: string; path(n: number): string; goals?: true }[] = [
  { what: 'item page', path: (n) => `/items/${itemId(n)}`, goals: true },
  { what: 'board', path: () => '/', goals: true },
  { what: 'API item', path: (n) => `/api/control-plane/items/${itemId(n)}` },
  { what: 'API actions', path: (n) => `/api/control-plane/items/${itemId(n)}/actions` },
  { what: 'API list of 50', path: () => '/api/control-plane/items?limit=50' },
  { what: 'API search', path: (n) => `/api/control-plane/items?q=item%20${n}` },
  { what: 'history page', path: (n) => `/items/${itemId(n)}/history` },
];

interface Running {
  items: number;
  get(path: string): Promise<number>;
  stop(): Promise<void>;
}

export async function pages(options: Options): Promise<Figure[]> {
  const sizes = [SMALL, options.items];
  const running: Running[] = [];
  try {
    for (const items of sizes) running.push(await start(items, options));
    return await compare(running);
  } finally {
    for (const one of running) await one.stop();
  }
}

async function start(items: number, { say }: Options): Promise<Running> {
  const place = queueOnDisk(items);
  const started = performance.now();
  await fill(place, items, DECISIONS_PER_ITEM);
  say(
    `${items} items with ${items * DECISIONS_PER_ITEM} decisions in ${Math.round(performance.now() - started)} ms`,
  );
  return { items, ...(await connected(place)) };
}

async function connected(place: Place): Promise<Omit<Running, 'items'>> {
  const service = await serve(place);
  const { token } = await newToken(place, 'owner');
  const cookie = await signIn(service.loginLink);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    get: (path) =>
      timed(
        `${service.url}${path}`,
        agent,
        path.startsWith('/api/') ? { authorization: `Bearer ${token}` } : { cookie },
      ),
    async stop() {
      agent.destroy();
      await service.stop();
      discard(place);
    },
  };
}

async function compare(running: readonly Running[]): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { what, path, goals } of PAGES) {
    const times = running.map(() => [] as number[]);
    for (let n = -WARM_UP; n < REQUESTS; n += 1) {
      for (const [index, { items, get }] of running.entries()) {
        const ms = await get(path(1 + ((Math.abs(n) * 7919) % items)));
        if (n >= 0) times[index]?.push(ms);
      }
    }
    const [small = NaN, large = NaN] = times.map((of) => quantile(of, 0.95));
    const ratio = large / small;
    const bench = 'pages';
    figures.push({
      bench,
      what: `${what}: p95`,
      value: large,
      unit: 'ms',
      peer: small,
      ...(goals && { goal: { most: 25 } }),
    });
    if (goals)
      figures.push({
        bench,
        what: `${what}: growth`,
        value: ratio,
        unit: 'x',
        peer: 1,
        ratio,
        goal: { most: 1.3 },
      });
  }
  return figures;
}

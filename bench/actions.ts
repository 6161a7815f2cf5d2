import { newToken } from '../test/process/client.ts';
import { serve } from '../test/process/service.ts';
import { median } from './figures.ts';
import type { Figure, Options } from './figures.ts';
import { discard, itemId, queueOnDisk, startEcho, untilRead } from './installation.ts';
import { assertWrk, measure } from './load.ts';
import type { Load, Measured, Request } from './load.ts';

/** Durable actions over HTTP at 32 clients against a raw Express 5 JSON echo, in turns. */

const CLIENTS = 32;
const ITEMS = 1000;
const BODY = '{"input":{"note":"What was seen, in one sentence."}}';

const act = (n: number, identity: string): Request => ({
  path: `/api/control-plane/items/${itemId(n)}/actions/${identity}`,
  body: BODY,
});
const numbers = Array.from({ length: ITEMS }, (_, n) => n + 1);

/** Once around the lanes: every item that starts in ready, action by action. */
const READY = numbers.filter((n) => n % 6 === 1);
const ROUND = ['start-execution', 'claim', 'release-handoff'].flatMap((identity) =>
  READY.map((n) => act(n, identity)),
);

const WORKS: { what: string; load: Pick<Load, 'requests' | 'keys'>; goals?: true }[] = [
  {
    what: 'record-history, 1,000 items',
    load: { requests: numbers.map((n) => act(n, 'record-history')) },
    goals: true,
  },
  {
    what: 'record-history, with keys',
    load: { requests: numbers.map((n) => act(n, 'record-history')), keys: true },
  },
  { what: 'record-history, one item', load: { requests: [act(1, 'record-history')] } },
  { what: 'movers, queue writes on', load: { requests: ROUND } },
];

export async function actions(options: Options): Promise<Figure[]> {
  assertWrk();
  const place = queueOnDisk(ITEMS);
  const peer = await startEcho();
  const service = await serve(place);
  try {
    const { token } = await newToken(place, 'owner');
    await untilRead(service);
    const headers = { Authorization: `Bearer ${token}` };
    const runs = WORKS.map(() => [] as { ours: Measured; echo: Measured }[]);
    for (let round = 0; round < options.rounds; round += 1) {
      for (const [index, { what, load }] of WORKS.entries()) {
        const shared = { ...load, headers, clients: CLIENTS, seconds: options.seconds };
        const echo = await measure({ ...shared, url: peer.url, pid: peer.pid });
        const ours = await measure({ ...shared, url: service.url, pid: service.pid });
        options.say(`${what}: ${JSON.stringify(ours)}, echo ${JSON.stringify(echo)}`);
        runs[index]?.push({ ours, echo });
      }
    }
    return WORKS.flatMap(({ what, goals }, index) => figuresOf(what, runs[index] ?? [], goals ?? false));
  } finally {
    peer.stop();
    await service.stop();
    discard(place);
  }
}

function figuresOf(what: string, runs: { ours: Measured; echo: Measured }[], goals: boolean): Figure[] {
  const of = (name: keyof Measured, side: 'ours' | 'echo' = 'ours'): number =>
    median(runs.map((run) => run[side][name]));
  const ratio = median(runs.map(({ ours, echo }) => ours.perSecond / echo.perSecond));
  const rate: Figure = {
    bench: 'actions',
    what,
    value: of('perSecond'),
    unit: '/s',
    peer: of('perSecond', 'echo'),
    ratio,
  };
  const p95: Figure = {
    bench: 'actions',
    what: `${what}: p95`,
    value: of('p95Ms'),
    unit: 'ms',
    peer: of('p95Ms', 'echo'),
  };
  const cpu: Figure = {
    bench: 'actions',
    what: `${what}: processor time`,
    value: of('cpuMicros'),
    unit: 'µs',
    peer: of('cpuMicros', 'echo'),
  };
  const failed: Figure = { bench: 'actions', what: `${what}: not 2xx`, value: of('errors'), unit: '' };
  if (goals) Object.assign(rate, { goal: { least: 0.08, of: 'ratio' } });
  if (goals) Object.assign(p95, { goal: { most: 25 } });
  return [rate, p95, cpu, failed];
}

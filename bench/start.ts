import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '../test/process/service.ts';
import type { Place, Service } from '../test/process/service.ts';
import { median } from './figures.ts';
import type { Figure, Options } from './figures.ts';
import { discard, queueOnDisk, startEcho, untilRead } from './installation.ts';
import { rssMiBOf } from './load.ts';
import { parseFloor } from './parse-floor.ts';

/**
 * How long a start and an import take, and what a service at rest holds; beside them a bare Express that starts and
 * rests, and the same records only read and parsed, without a database.
 */

const REST_MS = 10_000;

export async function start(options: Options): Promise<Figure[]> {
  const place = queueOnDisk(options.items);
  try {
    const floor = await parseFloor(place.queue);
    const { importSeconds, importRss } = await firstStart(place);
    const starts: number[] = [];
    const bare: number[] = [];
    // One more than counts: the first writes the compile cache.
    for (let n = 0; n <= options.rounds; n += 1) {
      const { service, ms } = await healthy(place);
      starts.push(ms);
      await untilRead(service);
      await service.stop();
      bare.push(await bareStart());
    }
    options.say(
      `starts in ms: ${starts.map(Math.round).join(', ')}; bare: ${bare.map(Math.round).join(', ')}`,
    );
    const { service } = await healthy(place);
    const peer = await startEcho();
    await sleep(REST_MS);
    const rss = rssMiBOf(service.pid);
    const bareRss = rssMiBOf(peer.pid);
    peer.stop();
    await service.stop();
    const [start, bareMedian] = [median(starts.slice(1)), median(bare.slice(1))];
    const count = options.items.toLocaleString('en');
    return [
      {
        bench: 'start',
        what: `start to healthy, ${count} items`,
        ...besides(start, bareMedian),
        unit: 'ms',
        goal: { most: 700 },
      },
      {
        bench: 'start',
        what: `import of ${count} records`,
        ...besides(importSeconds, floor),
        unit: 's',
        goal: { most: 5 },
      },
      {
        bench: 'start',
        what: `RSS at rest, ${count} items`,
        ...besides(rss, bareRss),
        unit: 'MiB',
        goal: { most: 150 },
      },
      { bench: 'start', what: 'RSS after the import', value: importRss, unit: 'MiB' },
    ];
  } finally {
    discard(place);
  }
}

const besides = (value: number, peer: number) => ({ value, peer, ratio: value / peer });

/** The same of a bare Express. */
async function bareStart(): Promise<number> {
  const started = performance.now();
  const peer = await startEcho();
  await fetch(`${peer.url}/`, { method: 'POST' });
  const ms = performance.now() - started;
  peer.stop();
  return ms;
}

/** From the process's start until it answers. */
async function healthy(place: Place): Promise<{ service: Service; ms: number }> {
  const started = performance.now();
  const service = await serve(place);
  const { status } = await fetch(`${service.url}/api/health`);
  if (status !== 200) throw new Error(`The service answers ${status}.`);
  return { service, ms: performance.now() - started };
}

async function firstStart(place: Place): Promise<{ importSeconds: number; importRss: number }> {
  const { service } = await healthy(place);
  const started = performance.now();
  await untilRead(service);
  const importSeconds = (performance.now() - started) / 1000;
  const importRss = rssMiBOf(service.pid);
  await service.stop();
  return { importSeconds, importRss };
}

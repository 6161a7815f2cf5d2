import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '../test/process/service.ts';
import type { Place, Service } from '../test/process/service.ts';
import { median } from './figures.ts';
import type { Figure, Options } from './figures.ts';
import { discard, queueOnDisk, untilRead } from './installation.ts';
import { rssMiBOf } from './load.ts';

/** How long a start and an import take, and what a service at rest holds. */

const REST_MS = 10_000;

export async function start(options: Options): Promise<Figure[]> {
  const place = queueOnDisk(options.items);
  try {
    const { importSeconds, importRss } = await firstStart(place);
    const starts: number[] = [];
    // One more than counts: the first writes the compile cache.
    for (let n = 0; n <= options.rounds; n += 1) {
      const { service, ms } = await healthy(place);
      starts.push(ms);
      await untilRead(service);
      await service.stop();
    }
    options.say(`starts in ms: ${starts.map(Math.round).join(', ')}`);
    const { service } = await healthy(place);
    await sleep(REST_MS);
    const rss = rssMiBOf(service.pid);
    await service.stop();
    const count = options.items.toLocaleString('en');
    return [
      {
        bench: 'start',
        what: `start to healthy, ${count} items`,
        value: median(starts.slice(1)),
        unit: 'ms',
        goal: { most: 700 },
      },
      {
        bench: 'start',
        what: `import of ${count} records`,
        value: importSeconds,
        unit: 's',
        goal: { most: 5 },
      },
      { bench: 'start', what: `RSS at rest, ${count} items`, value: rss, unit: 'MiB', goal: { most: 150 } },
      { bench: 'start', what: 'RSS after the import', value: importRss, unit: 'MiB' },
    ];
  } finally {
    discard(place);
  }
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

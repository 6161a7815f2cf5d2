import { newToken } from '../test/process/client.ts';
import { serve } from '../test/process/service.ts';
import { median } from './figures.ts';
import type { Figure, Options } from './figures.ts';
import { discard, queueOnDisk, untilRead } from './installation.ts';
import { peakMiB } from './peak.ts';

/** A session of many messages out of one service over HTTP and into another, and the memory that it takes there. */

const MESSAGES = 100_000;
const BATCH = 1000;
const WORDS =
  'The build failed again because a test waits for a clock that nobody moves; run it once more with the seed. ';

async function start() {
  const place = queueOnDisk(1);
  const service = await serve(place);
  await untilRead(service);
  const { token } = await newToken(place, 'owner');
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  const stop = async (): Promise<void> => {
    await service.stop();
    discard(place);
  };
  return { url: service.url, pid: service.pid, headers, stop };
}
type Started = Awaited<ReturnType<typeof start>>;

async function post<T>({ url, headers }: Started, path: string, body: unknown): Promise<T> {
  const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

/** Some hundred bytes each, every tenth with the output of a tool. */
async function fill(service: Started): Promise<string> {
  const { id } = await post<{ id: string }>(service, '/api/sessions', { title: 'Long' });
  const message = (n: number) =>
    n % 10 === 0
      ? {
          role: 'tool',
          parts: [{ type: 'tool-result', toolCallId: `c${n}`, name: 'run', output: { text: WORDS } }],
        }
      : { role: 'user', parts: [{ type: 'text', text: `${n}: ${WORDS.repeat(1 + (n % 4))}` }] };
  for (let from = 0; from < MESSAGES; from += BATCH)
    await post(service, `/api/sessions/${id}/messages:batch`, {
      messages: Array.from({ length: BATCH }, (_, n) => message(from + n)),
    });
  return id;
}

/** Seconds until the last byte, and how many bytes. */
async function takeOut({ url, headers }: Started, id: string, format: string) {
  const started = performance.now();
  const answer = await fetch(`${url}/api/sessions/${id}/export?format=${format}`, { headers });
  let bytes = 0;
  for await (const chunk of answer.body ?? []) bytes += (chunk as Uint8Array).length;
  if (answer.status !== 200) throw new Error(`The export answered ${answer.status}.`);
  return { seconds: (performance.now() - started) / 1000, bytes };
}

/** Straight from the one into the other. */
async function takeOver(from: Started, to: Started, id: string): Promise<number> {
  const out = await fetch(`${from.url}/api/sessions/${id}/export`, { headers: from.headers });
  const started = performance.now();
  const answer = await fetch(`${to.url}/api/sessions/import`, {
    ...{ method: 'POST', duplex: 'half', body: out.body },
    headers: { ...to.headers, 'Content-Type': 'application/x-ndjson' },
  });
  if (answer.status !== 201) throw new Error(`The import answered ${answer.status}: ${await answer.text()}`);
  return (performance.now() - started) / 1000;
}

export async function exports({ rounds, say }: Options): Promise<Figure[]> {
  const [from, to] = [await start(), await start()];
  try {
    say(`appending ${MESSAGES} messages`);
    const id = await fill(from);
    const rates: Record<string, number[]> = { jsonl: [], openai: [] };
    const before = peakMiB(from.pid);
    for (let round = 0; round < rounds; round += 1)
      for (const [format, all] of Object.entries(rates)) {
        const { seconds, bytes } = await takeOut(from, id, format);
        say(`${format}: ${seconds.toFixed(2)} s, ${Math.round(bytes / 2 ** 20)} MiB`);
        all.push(MESSAGES / seconds);
      }
    const grown = peakMiB(from.pid) - before;
    const there = peakMiB(to.pid);
    const seconds = await takeOver(from, to, id);
    const bench = 'export';
    return [
      {
        ...{ bench, what: 'messages, as jsonl', value: median(rates['jsonl'] ?? []), unit: '/s' },
        goal: { least: 50_000 },
      },
      { bench, what: 'messages, as openai', value: median(rates['openai'] ?? []), unit: '/s' },
      { bench, what: 'memory that exports took', value: grown, unit: 'MiB' },
      { bench, what: 'messages imported', value: MESSAGES / seconds, unit: '/s' },
      { bench, what: 'memory that the import took', value: peakMiB(to.pid) - there, unit: 'MiB' },
    ];
  } finally {
    await Promise.all([from.stop(), to.stop()]);
  }
}

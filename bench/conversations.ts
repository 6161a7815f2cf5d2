import { readdirSync, statSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newToken, signIn } from '../test/process/client.ts';
import { serve, type Place, type Service } from '../test/process/service.ts';
import { quantile } from './figures.ts';
import type { Figure, Options } from './figures.ts';
import { discard, queueOnDisk, untilRead } from './installation.ts';
import { timed } from './timed.ts';

/** A session of 100,000 messages, read as a person and as a program; what it takes on disk; a large erasure. */

const LONG = 100_000;
const OF_SUBJECT = 10_000;
const SESSIONS_OF_SUBJECT = 10;
const BATCH = 1000;
const REQUESTS = 200;
const WARM_UP = 20;
const POLL_MS = 20;
const SENTENCES = [
  'The build failed again because a test waits for a clock that nobody moves.',
  'Run it once more with the seed that the report names, and look at the third worker.',
  'It was the cache: a folder of last week was still there and held the old lock file.',
  'Then let us keep the seed in the report and delete the folder before each run.',
];

interface Running {
  place: Place;
  service: Service;
  headers: Record<string, string>;
  cookie: string;
  agent: Agent;
}

export async function conversations({ say }: Options): Promise<Figure[]> {
  const place = queueOnDisk(1);
  const service = await serve(place);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    await untilRead(service);
    const { token } = await newToken(place, 'owner');
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const running = { place, service, headers, cookie: await signIn(service.loginLink), agent };
    const empty = bytesOnDisk(place.data);
    say(`appending ${LONG} messages to one session`);
    const id = await begin(running, {});
    const text = await fill(running, id, LONG);
    await indexed(running);
    const grown = bytesOnDisk(place.data) - empty;
    const read = await transcript(running, id);
    say(`appending ${OF_SUBJECT} messages about somebody`);
    const erased = await erasure(running);
    const bench = 'conversations';
    return [
      ...read,
      { bench, what: 'bytes on disk a message', value: grown / LONG, unit: 'B', peer: text / LONG },
      {
        ...{ bench, what: 'bytes on disk through bytes of text', value: grown / text, unit: 'x' },
        ...{ goal: { most: 3 } },
      },
      {
        ...{ bench, what: `erasure of ${OF_SUBJECT} messages`, value: erased, unit: 's' },
        ...{ goal: { most: 5 } },
      },
    ];
  } finally {
    agent.destroy();
    await service.stop();
    discard(place);
  }
}

async function post<T>({ service, headers }: Running, path: string, body: unknown): Promise<T> {
  const answer = await fetch(`${service.url}${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

async function get<T>({ service, headers }: Running, path: string): Promise<T> {
  const answer = await fetch(`${service.url}${path}`, { headers });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

const begin = async (running: Running, session: object): Promise<string> =>
  (await post<{ id: string }>(running, '/api/sessions', session)).id;

/** Answers how many bytes of text it wrote: one to four sentences a message, each with a number of its own. */
async function fill(running: Running, id: string, count: number): Promise<number> {
  let bytes = 0;
  const message = (n: number) => {
    const sentences = Array.from({ length: 1 + (n % 4) }, (_, i) => SENTENCES[(n + i) % SENTENCES.length]);
    const text = `${n}: ${sentences.join(' ')}`;
    bytes += Buffer.byteLength(text);
    return { role: n % 2 === 0 ? 'user' : 'assistant', parts: [{ type: 'text', text }] };
  };
  for (let from = 0; from < count; from += BATCH)
    await post(running, `/api/sessions/${id}/messages:batch`, {
      messages: Array.from({ length: BATCH }, (_, n) => message(from + n)),
    });
  return bytes;
}

async function indexed(running: Running): Promise<void> {
  for (;;) {
    const { complete } = await get<{ complete: boolean }>(running, '/api/search?q=seed&limit=1');
    if (complete) return;
    await sleep(POLL_MS);
  }
}

/** The database with its log, the blobs and the search index: whatever lies in the data folder. */
function bytesOnDisk(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

async function transcript(running: Running, id: string): Promise<Figure[]> {
  const { service, headers, cookie, agent } = running;
  const anywhere = (n: number): number => 100 + ((n * 7919) % (LONG - 200));
  const ways: [string, (n: number) => string, Record<string, string>][] = [
    ['transcript page, newest', () => `/sessions/${id}`, { cookie }],
    ['transcript page, anywhere', (n) => `/sessions/${id}?before=${anywhere(n)}`, { cookie }],
    ['API page of messages, newest', () => `/api/sessions/${id}/messages?limit=50`, headers],
  ];
  const figures: Figure[] = [];
  for (const [what, path, sent] of ways) {
    const took: number[] = [];
    for (let n = -WARM_UP; n < REQUESTS; n += 1) {
      const ms = await timed(`${service.url}${path(Math.abs(n))}`, agent, sent);
      if (n >= 0) took.push(ms);
    }
    figures.push({
      ...{ bench: 'conversations', what: `${what}: p95`, value: quantile(took, 0.95), unit: 'ms' },
      goal: { most: 25 },
    });
  }
  return figures;
}

/** Seconds from the request until its certificate is there. */
async function erasure(running: Running): Promise<number> {
  for (let n = 0; n < SESSIONS_OF_SUBJECT; n += 1)
    await fill(running, await begin(running, { subjectId: 'somebody' }), OF_SUBJECT / SESSIONS_OF_SUBJECT);
  await indexed(running);
  const started = performance.now();
  const { id } = await post<{ id: string }>(running, '/api/governance/erasures', {
    ...{ subjectId: 'somebody', reason: 'bench' },
  });
  for (;;) {
    const { status } = await get<{ status: string }>(running, `/api/governance/erasures/${id}`);
    if (status === 'done') return (performance.now() - started) / 1000;
    await sleep(POLL_MS);
  }
}

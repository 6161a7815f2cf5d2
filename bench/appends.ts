import { newToken } from '../test/process/client.ts';
import { serve } from '../test/process/service.ts';
import { median } from './figures.ts';
import type { Figure, Options } from './figures.ts';
import { discard, queueOnDisk, startEcho, untilRead } from './installation.ts';
import { assertWrk, measure } from './load.ts';
import type { Load, Measured } from './load.ts';
import { startPocketBase, type PocketBase } from './pocketbase.ts';

/**
 * Durable appends over HTTP at 32 clients, everything on, against a raw Express 5 JSON echo of the same body, in turns;
 * and against PocketBase's record create where Go is there to build it, both on new databases.
 */

const CLIENTS = 32;
const SESSIONS = 64;
const BATCH = 100;
const WORDS =
  'The build failed again because a test waits for a clock that nobody moves; run it once more with the seed. ';

const message = (text: string) => ({ role: 'user', parts: [{ type: 'text', text }] });

interface Work {
  what: string;
  load: Pick<Load, 'requests' | 'keys'>;
  /** Messages of one request. */
  messages: number;
  goals?: boolean;
}

function worksOf(sessions: readonly string[]): Work[] {
  const body = JSON.stringify(message(WORDS.repeat(4)));
  const batch = JSON.stringify({ messages: Array.from({ length: BATCH }, () => message(WORDS)) });
  const to = (ending: string, content: string) =>
    sessions.map((id) => ({ path: `/api/sessions/${id}/messages${ending}`, body: content }));
  return [
    { what: 'append', load: { requests: to('', body), keys: true }, messages: 1, goals: true },
    { what: 'append to one session', load: { requests: to('', body).slice(0, 1), keys: true }, messages: 1 },
    { what: `append by ${BATCH}`, load: { requests: to(':batch', batch) }, messages: BATCH },
  ];
}

export async function appends(options: Options): Promise<Figure[]> {
  assertWrk();
  const place = queueOnDisk(1);
  const peer = await startEcho();
  const service = await serve(place);
  const base = await startPocketBase().catch((error: Error) => {
    options.say(`no PocketBase: ${error.message}`);
    return null;
  });
  try {
    const { token } = await newToken(place, 'owner');
    await untilRead(service);
    const headers = { Authorization: `Bearer ${token}` };
    const sessions = await begin(service.url, headers);
    const works = worksOf(sessions);
    const records: Measured[] = [];
    const runs = works.map(() => [] as { ours: Measured; echo: Measured }[]);
    for (let round = 0; round < options.rounds; round += 1) {
      for (const [index, { what, load }] of works.entries()) {
        const shared = { ...load, headers, clients: CLIENTS, seconds: options.seconds };
        const echo = await measure({ ...shared, url: peer.url, pid: peer.pid });
        const ours = await measure({ ...shared, url: service.url, pid: service.pid });
        options.say(`${what}: ${JSON.stringify(ours)}, echo ${JSON.stringify(echo)}`);
        runs[index]?.push({ ours, echo });
        if (index === 0 && base !== null) records.push(await recordsOf(base, options.seconds));
      }
    }
    const against = pocketBaseFigure(runs[0] ?? [], records);
    return [...works.flatMap((work, index) => figuresOf(work, runs[index] ?? [])), ...against];
  } finally {
    peer.stop();
    await base?.stop();
    await service.stop();
    discard(place);
  }
}

function recordsOf({ url, pid, path }: PocketBase, seconds: number): Promise<Measured> {
  const body = JSON.stringify({ session: 'one', ...message(WORDS.repeat(4)) });
  return measure({ url, pid, requests: [{ path, body }], clients: CLIENTS, seconds });
}

function pocketBaseFigure(runs: readonly { ours: Measured }[], records: readonly Measured[]): Figure[] {
  if (records.length === 0) return [];
  const failed = records.reduce((sum, { errors }) => sum + errors, 0);
  if (failed > 0) throw new Error(`PocketBase refused ${failed} records.`);
  return [
    {
      ...{ bench: 'appends', what: 'append, against PocketBase', unit: '/s' },
      value: median(runs.map(({ ours }) => ours.perSecond)),
      peer: median(records.map(({ perSecond }) => perSecond)),
      ratio: median(runs.map(({ ours }, n) => ours.perSecond / (records[n]?.perSecond ?? NaN))),
      goal: { least: 1.5, of: 'ratio' },
    },
  ];
}

async function begin(url: string, headers: Record<string, string>): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < SESSIONS; n += 1) {
    const answer = await fetch(`${url}/api/sessions`, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: JSON.stringify({ title: `Session ${n}`, subjectId: `subject ${n % 8}` }),
    });
    ids.push(((await answer.json()) as { id: string }).id);
  }
  return ids;
}

function figuresOf({ what, messages, goals }: Work, runs: { ours: Measured; echo: Measured }[]): Figure[] {
  const of = (name: keyof Measured, side: 'ours' | 'echo' = 'ours'): number =>
    median(runs.map((run) => run[side][name]));
  const bench = 'appends';
  const rate: Figure = {
    ...{ bench, what, value: of('perSecond') * messages, unit: '/s' },
    ...{
      peer: of('perSecond', 'echo'),
      ratio: median(runs.map((run) => run.ours.perSecond / run.echo.perSecond)),
    },
  };
  const p95: Figure = {
    bench,
    what: `${what}: p95`,
    value: of('p95Ms'),
    unit: 'ms',
    peer: of('p95Ms', 'echo'),
  };
  const cpu: Figure = {
    ...{ bench, what: `${what}: processor time`, value: of('cpuMicros'), unit: 'µs' },
    peer: of('cpuMicros', 'echo'),
  };
  const thread: Figure = {
    ...{ bench, what: `${what}: of the thread that answers`, value: of('threadMicros'), unit: 'µs' },
    peer: of('threadMicros', 'echo'),
  };
  const failed: Figure = { bench, what: `${what}: not 2xx`, value: of('errors'), unit: '' };
  if (goals) Object.assign(rate, { goal: { least: 0.2, of: 'ratio' } });
  if (goals) Object.assign(p95, { goal: { most: 10 } });
  if (messages > 1) Object.assign(rate, { goal: { least: 20_000 } });
  return [rate, p95, cpu, thread, failed];
}

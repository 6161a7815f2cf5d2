import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { factoryJson, newPlace, serve } from '../process/service.ts';
import type { Place, Service } from '../process/service.ts';
import { callerOf, eventually, newToken } from '../process/client.ts';
import type { Caller } from '../process/client.ts';
import { LANES, ROLES } from './lanes.ts';
import type { Lane, Role } from './lanes.ts';
import type { Random } from './random.ts';

/** What a campaign gets. */
export interface Run {
  /** `postgres`: `postgresUrl` names a server's maintenance database. */
  engine: 'sqlite' | 'postgres';
  postgresUrl?: string | undefined;
  /** Where installations are made; default: the system's temporary folder. */
  below?: string | undefined;
  seed: number;
  count: number;
  /** Of the database, in MiB; default: a small one. */
  size?: number | undefined;
  random: Random;
  /** Talk, for a person who watches. */
  say(text: string): void;
}

/** What a campaign found; an empty `failures` is a pass. */
export interface Outcome {
  failures: string[];
  figures: Record<string, number>;
}

/** An installation under test: its place on disk, the service of the moment, callers of every role. */
export interface Lab {
  place: Place;
  /** The service as last started. */
  service: Service;
  restart(): Promise<void>;
  as(role: Role): Caller;
  ids: string[];
  close(): Promise<void>;
}

/** Items in turn over the lanes that are given, each with two criteria, a pull request and a prompt. */
export function queueOf(
  count: number,
  lanes: readonly Lane[],
): { ids: string[]; files: Record<string, string> } {
  const ids: string[] = [];
  const files: Record<string, string> = {};
  for (let n = 1; n <= count; n += 1) {
    const id = `wi-CA-${n}`;
    const lane = lanes[n % lanes.length] as Lane;
    ids.push(id);
    files[`${lane}/${id}.md`] = recordText(id, lane);
    files[`prompts/${id}.prompt.md`] = `Do what ${id} says.\n`;
  }
  return { ids, files };
}

export function recordText(id: string, lane: Lane, body = `Summary of ${id}.`): string {
  const head = [`id: ${id}`, `title: Campaign item ${id}`, `status: ${lane}`, 'workType: implementation'];
  const rest = [`branch: bf/${id}`, `pr: https://forge.example/team/project/pull/${id.slice(6)}`];
  return `---\n${[...head, ...rest, 'criteria:', '  - First', '  - Second'].join('\n')}\n---\n${body}\n`;
}

export async function openLab(
  run: Run,
  queue: { ids: string[]; files: Record<string, string> },
): Promise<Lab> {
  const databaseUrl = run.engine === 'postgres' ? await createDatabase(run.postgresUrl ?? '') : undefined;
  const place = newPlace({ files: queue.files, databaseUrl, below: run.below });
  const tokens = new Map<Role, string>();
  const lab: Lab = {
    place,
    ids: queue.ids,
    service: await serve(place),
    async restart() {
      lab.service = await serve(place);
    },
    as: (role) => callerOf(() => lab.service.url, tokens.get(role)),
    async close() {
      await lab.service.stop();
      rmSync(place.dir, { recursive: true, force: true });
    },
  };
  for (const role of ROLES) tokens.set(role, (await newToken(place, role)).token);
  await eventually(
    () => lab.as('owner').get('/api/control-plane/items?limit=1'),
    ({ body }) => queue.ids.length === 0 || body?.items?.length === 1,
  );
  await Promise.all(
    queue.ids.map((id) =>
      eventually(
        () => lab.as('owner').get(`/api/control-plane/items/${id}`),
        ({ status }) => status === 200,
      ),
    ),
  );
  return lab;
}

/** Works in a lab of its own. What is thrown becomes a failure that says how the service fares. */
export async function inLab(
  run: Run,
  queue: { ids: string[]; files: Record<string, string> },
  work: (lab: Lab) => Promise<Outcome>,
): Promise<Outcome> {
  const lab = await openLab(run, queue);
  try {
    return await work(lab);
  } catch (error) {
    // Time for a service that crashed to be gone, and for its last words to be here.
    const state = await Promise.race([lab.service.ended, sleep(2000, 'runs on')]);
    const { stack, cause } = error as Error;
    const told = [stack, cause && String((cause as Error).stack), `service: ${JSON.stringify(state)}`];
    return { failures: [[...told, lab.service.stderr().slice(-3000)].join('\n')], figures: {} };
  } finally {
    await lab.close();
  }
}

export async function createDatabase(serverUrl: string): Promise<string> {
  const name = `campaign_${randomUUID().replaceAll('-', '')}`;
  await onServer(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

export async function onServer(serverUrl: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

export interface Verified {
  ok: boolean;
  size: number;
  problems: { code: string; message: string }[];
}

export async function verifyAudit(
  place: Place,
  ...args: string[]
): Promise<{ code: number | null; answer: Verified }> {
  return factoryJson<Verified>(place, 'verify-audit', ...args);
}

/** What is wrong with the log, in words. */
export async function auditFailures(place: Place): Promise<string[]> {
  const { code, answer } = await verifyAudit(place);
  if (code === 0 && answer.ok) return [];
  return (answer.problems ?? [])
    .slice(0, 10)
    .map((problem) => `verify-audit: ${problem.code}: ${problem.message}`);
}

/** Where a visible file of this item lies: `<lane>/<id>.md` for each lane that has one. */
export function recordsOf(place: Place, id: string): { lane: Lane; status: string | null }[] {
  return LANES.flatMap((lane) => {
    const path = join(place.queue, lane, `${id}.md`);
    if (!existsSync(path)) return [];
    return [{ lane, status: /^status: *(\S+)$/m.exec(readFileSync(path, 'utf8'))?.[1] ?? null }];
  });
}

/** Items whose one record is not in their lane with the lane as its status. */
function strayRecords(place: Place, lanes: ReadonlyMap<string, Lane>): string[] {
  return [...lanes].flatMap(([id, lane]) => {
    const found = recordsOf(place, id);
    const right = found.length === 1 && found[0]?.lane === lane && found[0].status === lane;
    return right ? [] : [`${id} is in lane ${lane}, its records: ${JSON.stringify(found)}`];
  });
}

/** The same once the outbox had its time. */
export async function strayInTheEnd(place: Place, lanes: ReadonlyMap<string, Lane>): Promise<string[]> {
  const look = async (): Promise<string[]> => strayRecords(place, lanes);
  return eventually(look, (stray) => stray.length === 0).catch(look);
}

/** Text of every file below a folder, hidden ones too. */
export function* textsBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) yield readFileSync(join(entry.parentPath, entry.name), 'utf8');
  }
}

export async function lanesNow(caller: Caller, ids: readonly string[]): Promise<Map<string, Lane>> {
  const entries = await Promise.all(
    ids.map(
      async (id) => [id, (await caller.get(`/api/control-plane/items/${id}`)).body?.lane as Lane] as const,
    ),
  );
  return new Map(entries);
}

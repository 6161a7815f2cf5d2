import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { permissionsOf } from '../service/access/roles.ts';
import { loadConfig } from '../service/config-load.ts';
import { createContext } from '../service/context.ts';
import { createLogger } from '../service/logger.ts';
import { LANES } from '../service/work-items/types.ts';
import type { Principal } from '../service/work-items/types.ts';
import { factoryJson, newPlace } from '../test/process/service.ts';
import type { Place, Service } from '../test/process/service.ts';

/** Installations with many items, and the peer. */

/** Actions that wait for a commit together while decisions are made. */
const AT_ONCE = 128;
const POLL_MS = 20;

export const itemId = (n: number): string => `wi-BE-${n}`;

/** Records of usual size, in turn over all lanes, each with a prompt. */
export function queueFiles(items: number): Record<string, string> {
  const files: Record<string, string> = {};
  for (let n = 1; n <= items; n += 1) {
    const id = itemId(n);
    const lane = LANES[n % LANES.length] ?? 'backlog';
    const head = [`id: ${id}`, `title: Bench item ${n} with a title of usual length`, `status: ${lane}`];
    const rest = ['workType: implementation', `branch: bf/${id}`, 'validation: ./scripts/validate-local.sh'];
    const criteria = [1, 2, 3, 4].map(
      (c) => `  - Criterion ${c} of ${id} says what has to be shown, in one sentence.`,
    );
    const text = [...head, ...rest, `pr: https://forge.example/a/b/pull/${n}`, 'criteria:', ...criteria].join(
      '\n',
    );
    files[`${lane}/${id}.md`] =
      `---\n${text}\n---\n\n${`Summary of ${id}, some sentences long. `.repeat(8)}\n`;
    files[`prompts/${id}.prompt.md`] = `# ${id}\n\n${'Do this, then that, and show it. '.repeat(40)}\n`;
  }
  return files;
}

/** A place with a queue that no service has read yet. */
export function queueOnDisk(items: number): Place {
  return newPlace({ files: queueFiles(items), env: { FACTORY_LOG_LEVEL: 'warn' } });
}

/** Imports the queue and makes `perItem` decisions about each item, as real actions. Fails unless the log verifies. */
export async function fill(place: Place, items: number, perItem: number): Promise<void> {
  const loaded = loadConfig(place.dir, place.env);
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems));
  const context = await createContext(loaded.config, { logger: createLogger('silent') });
  try {
    const id = await context.people.ensureOwner();
    const permissions = permissionsOf(['owner']);
    const owner: Principal = {
      kind: 'person',
      id,
      name: 'Owner',
      personId: id,
      roles: ['owner'],
      permissions,
    };
    await context.start();
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let n = next++; n < items * perItem; n = next++)
        await context.items.act(owner, itemId(1 + (n % items)), 'refresh-truth');
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    await context.close();
  }
  const { answer } = await factoryJson<{ ok: boolean; problems: unknown[] }>(place, 'verify-audit');
  if (!answer.ok)
    throw new Error(`The seeded log does not verify: ${JSON.stringify(answer.problems).slice(0, 500)}`);
}

/** Resolves when the whole queue is in the database: health says so while it is read for the first time. */
export async function untilRead({ url }: Service): Promise<void> {
  for (;;) {
    const health = (await (await fetch(`${url}/api/health`)).json()) as Health;
    if (!health.checks.queue.detail.includes('for the first time')) return;
    await sleep(POLL_MS);
  }
}

interface Health {
  checks: { queue: { detail: string } };
}

export function discard(place: Place): void {
  rmSync(place.dir, { recursive: true, force: true });
}

export interface Peer {
  url: string;
  pid: number;
  stop(): void;
}

export async function startEcho(): Promise<Peer> {
  const entry = fileURLToPath(new URL('echo.ts', import.meta.url));
  const child = spawn(process.execPath, [entry], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { url: line.toString().trim(), pid: child.pid ?? 0, stop: () => child.stdin.end() };
}

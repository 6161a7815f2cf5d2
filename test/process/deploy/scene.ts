import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readFileSync, rmSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { deploy, LIMITS, rollback } from '../../../scripts/lib/deploy/engine.ts';
import type { Limits } from '../../../scripts/lib/deploy/engine.ts';
import { folderHost } from '../../../scripts/lib/deploy/host/folder-host.ts';
import type { Layout } from '../../../scripts/lib/deploy/host/layout.ts';
import { processes } from '../../../scripts/lib/deploy/host/processes.ts';
import { readHistory } from '../../../service/jobs/deploy-history.ts';
import { archiveSource } from '../../../scripts/lib/deploy/source.ts';
import type { DeployRecord } from '../../../service/jobs/deploy-history.ts';
import type { DeployHost, Lock } from '../../../scripts/lib/deploy/types.ts';

/** A host of plain processes in a folder, whatever deploys on it, and the requests that come meanwhile. */

/** Times for a busy machine that still end soon. */
export const QUICK: Limits = {
  gates: { ...LIMITS.gates, startMs: 15_000, replyMs: 2_000, rounds: 2 },
  watch: { ...LIMITS.watch, ms: 600, everyMs: 20, windowMs: 2_000 },
  reserveBytes: 1,
};

export interface Scene {
  layout: Layout;
  host: DeployHost;
  deploy(archive: string, how?: How): Promise<{ record: DeployRecord; lines: string[] }>;
  rollback(to?: string, how?: How): Promise<{ record: DeployRecord; lines: string[] }>;
  live(): Promise<string | null>;
  lock(): Lock;
  history(): DeployRecord[];
  close(): Promise<void>;
}

export interface How {
  limits?: Limits;
  host?: DeployHost;
  steal?: string;
  noWayBack?: string;
  by?: string;
  say?: (line: string) => void;
}

export function sceneOf(layout: Layout): Scene {
  const supervisor = processes(layout);
  const host = folderHost(layout, supervisor);
  const asked = ({ limits = QUICK, steal, by = 'a test', say }: How, lines: string[]) => ({
    ...{ environment: layout.environment, by, steal: steal ?? null, limits },
    say: (line: string) => {
      lines.push(line);
      say?.(line);
    },
  });
  return {
    layout,
    host,
    async deploy(archive, how = {}) {
      const lines: string[] = [];
      const source = await archiveSource(layout, createReadStream(archive), archive);
      const request = { ...asked(how, lines), noWayBack: how.noWayBack ?? null };
      return { record: await deploy(how.host ?? host, source, request), lines };
    },
    async rollback(to, how = {}) {
      const lines: string[] = [];
      return { record: await rollback(how.host ?? host, to ?? null, asked(how, lines)), lines };
    },
    live: async () => (await host.facts()).live,
    lock: () => JSON.parse(readFileSync(layout.lock, 'utf8')) as Lock,
    history: () => readHistory(readFileSync(layout.history, 'utf8')),
    async close() {
      for (const release of await supervisor.running()) await supervisor.stop(release);
      rmSync(layout.base.replace(/\/srv\/.*/, ''), { recursive: true, force: true });
    },
  };
}

const DEPLOYER = fileURLToPath(new URL('deployer.ts', import.meta.url));

/** Deploys in a process of its own; answers how that ended. `killed`: at which call to the host, before or after it. */
export async function deployApart(
  { base }: Layout,
  archive: string,
  killed: readonly [call: string, when: string] = ['', ''],
): Promise<unknown[]> {
  const root = base.replace(/\/srv\/.*/, '');
  const args = [DEPLOYER, root, archive, ...killed];
  return once(spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }), 'exit');
}

export interface Load {
  /** What went wrong; nothing is tried twice by the clients. */
  failed: string[];
  /** How often the proxy had to try again; a switch alone makes that necessary never. */
  retried(): number;
  /** Of all answers, ms. */
  times: number[];
  /** Release -> how many answers came from it. */
  from: Map<string, number>;
  stop(): Promise<void>;
}

/**
 * Clients that ask without a pause, through a proxy as Caddy is configured: a new connection to the live socket for each
 * request, and another try for 5 s where nobody answers at all.
 */
export async function load(liveSocket: string, clients: number): Promise<Load> {
  let retried = 0;
  const proxy = createServer((incoming, outgoing) => {
    void through(liveSocket, incoming.url ?? '/', () => (retried += 1)).then(
      ({ status, body }) => outgoing.writeHead(status).end(body),
      (error: Error) => outgoing.writeHead(502).end(error.message),
    );
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  const result = { failed: [] as string[], times: [] as number[], from: new Map<string, number>() };
  let going = true;
  async function client(): Promise<void> {
    while (going) {
      const began = performance.now();
      const { status, body } = await ask({ port, agent, path: '/work' }).catch((error: Error) => ({
        ...{ status: 0, body: error.message },
      }));
      result.times.push(performance.now() - began);
      if (status === 200) result.from.set(body, (result.from.get(body) ?? 0) + 1);
      else result.failed.push(`${status} ${body}`);
    }
  }
  const all = Array.from({ length: clients }, client);
  return {
    ...result,
    retried: () => retried,
    async stop() {
      going = false;
      await Promise.all(all);
      agent.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

async function through(
  socketPath: string,
  path: string,
  again: () => void,
): Promise<{ status: number; body: string }> {
  for (const until = performance.now() + 5_000; ; await sleep(50)) {
    try {
      return await ask({ socketPath, path, agent: false });
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (!['ECONNREFUSED', 'ENOENT'].includes(code) || performance.now() > until) throw error;
      again();
    }
  }
}

const ask = (options: object): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    request(options, (answer) => {
      text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
    })
      .on('error', reject)
      .end();
  });

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { goProgram } from '../test/helpers/go-program.ts';

/**
 * PocketBase with one collection that anybody may write to: no sign-in, no audit log, no encryption, and SQLite with
 * `synchronous=NORMAL`, under which a power cut takes the last commits.
 */

const PROGRAM = {
  name: 'pocketbase',
  module: 'github.com/pocketbase/pocketbase/examples/base',
  version: '0.36.0',
};
const ADMIN = ['bench@example.com', 'bench-password-1'] as const;
const READY_MS = 20_000;
const POLL_MS = 50;

export interface PocketBase {
  url: string;
  pid: number;
  /** Where records of a message are made. */
  path: string;
  stop(): Promise<void>;
}

/** On a new database. Errors: where it cannot be built or does not start. */
export async function startPocketBase(): Promise<PocketBase> {
  const program = goProgram(PROGRAM);
  const dir = mkdtempSync(join(tmpdir(), 'factory-pocketbase-'));
  // It keeps what was made by hand beside its data, for the next one.
  const places = ['--dir', join(dir, 'data'), '--migrationsDir', join(dir, 'migrations')];
  execFileSync(program, ['superuser', 'upsert', ...ADMIN, ...places], { stdio: 'ignore' });
  const host = `127.0.0.1:${await freePort()}`;
  const child = spawn(program, ['serve', '--http', host, ...places], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://${host}`;
  const stop = async (): Promise<void> => {
    child.kill();
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await ready(url);
    await makeCollection(url);
    return { url, pid: child.pid ?? 0, path: '/api/collections/messages/records', stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function ready(url: string): Promise<void> {
  const until = performance.now() + READY_MS;
  for (;;) {
    const answer = await fetch(`${url}/api/health`).catch(() => null);
    if (answer?.ok) return;
    if (performance.now() > until) throw new Error('PocketBase did not start.');
    await sleep(POLL_MS);
  }
}

async function makeCollection(url: string): Promise<void> {
  const [identity, password] = ADMIN;
  const { token } = await post<{ token: string }>(
    `${url}/api/collections/_superusers/auth-with-password`,
    { identity, password },
    '',
  );
  const fields = [
    { name: 'session', type: 'text' },
    { name: 'role', type: 'text' },
    { name: 'parts', type: 'json', maxSize: 2_000_000 },
    { name: 'created', type: 'autodate', onCreate: true },
  ];
  await post(`${url}/api/collections`, { name: 'messages', type: 'base', createRule: '', fields }, token);
}

async function post<T>(url: string, body: unknown, token: string): Promise<T> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: token },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

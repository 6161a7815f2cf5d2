import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where Debian puts the server's own programs; `psql` alone is not enough. */
const DEBIAN_ROOT = '/usr/lib/postgresql';
const START_TIMEOUT_MS = 30_000;

export const POSTGRES_HINT = 'Install the server: apt-get install postgresql';

/** Folder of the newest installed server's programs, or null. */
export function findPostgres(): string | null {
  if (!existsSync(DEBIAN_ROOT)) return null;
  const versions = readdirSync(DEBIAN_ROOT).sort((a, b) => Number(b) - Number(a));
  const found = versions.find((version) => existsSync(join(DEBIAN_ROOT, version, 'bin', 'initdb')));
  return found === undefined ? null : join(DEBIAN_ROOT, found, 'bin');
}

interface User {
  uid: number;
  gid: number;
}

/** Postgres refuses to run as root: then its own user runs it, or `nobody`. Null: we are not root. */
function serverUser(): User | null {
  if (process.getuid?.() !== 0) return null;
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error('Neither the user postgres nor nobody exists, and Postgres does not run as root.');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function initialise(bin: string, folder: string, user: User | null): string {
  const data = join(folder, 'data');
  const args = ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '-E', 'UTF8', '--locale=C'];
  const result = spawnSync(join(bin, 'initdb'), args, { ...user, cwd: folder, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`initdb failed: ${result.error?.message ?? result.stderr}`);
  return data;
}

/**
 * The arguments in front of the server's own: the kernel stops it when this process dies, however that happens,
 * so an aborted run leaves no server behind. `setpriv` is part of every Debian; it also drops root.
 */
function keeper(user: User | null): string[] {
  const drop = user === null ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
  return ['setpriv', ...drop, '--pdeathsig=INT'];
}

/** Settings of a server whose data nobody needs after the run. */
function settings(sockets: string, port: number): string[] {
  const values = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: sockets,
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: 200,
    timezone: 'UTC',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function untilReady(bin: string, port: number, child: ChildProcess, log: () => string): Promise<void> {
  const giveUp = Date.now() + START_TIMEOUT_MS;
  while (spawnSync(join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]).status !== 0) {
    if (child.exitCode !== null || Date.now() > giveUp) throw new Error(`Postgres did not start:\n${log()}`);
    await sleep(50);
  }
}

export interface PostgresServer {
  /** `postgres://…` of its maintenance database. */
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/**
 * Starts a server of its own on a fresh folder and a free port; `socket`: it listens on one beside its port. Errors: what
 * the server itself said.
 */
export async function startPostgres(bin: string, { socket = true } = {}): Promise<PostgresServer> {
  const user = serverUser();
  const folder = mkdtempSync(join(tmpdir(), 'factory-postgres-'));
  if (user !== null) chownSync(folder, user.uid, user.gid);
  const data = initialise(bin, folder, user);
  const port = await freePort();
  const own = settings(socket ? folder : '', port);
  const [command, ...args] = [...keeper(user), join(bin, 'postgres'), '-D', data, ...own];
  const child = spawn(command ?? '', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    // SIGINT is Postgres' fast shutdown: open connections are ended.
    child.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(bin, port, child, () => log);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, pid: child.pid ?? 0, stop };
}

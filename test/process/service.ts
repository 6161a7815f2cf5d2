import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The real command line and the real service process, as a stranger starts them. */

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LAUNCHER = join(ROOT, 'scripts/launch.mjs');
const READY_MS = 30_000;
const STOP_MS = 15_000;

/** An installation on disk: its folders and the environment that its processes get. */
export interface Place {
  /** Working folder of the processes; holds everything else. */
  dir: string;
  data: string;
  queue: string;
  env: Record<string, string>;
}

export interface PlaceOptions {
  /** Path below the work-items folder -> text. Absent: no such folder. */
  files?: Record<string, string> | undefined;
  env?: Record<string, string> | undefined;
  databaseUrl?: string | undefined;
  /** Where the installation's folder is made; default: the system's temporary folder. */
  below?: string | undefined;
}

/** A new installation that nothing has run in. */
export function newPlace({ files, env = {}, databaseUrl, below = tmpdir() }: PlaceOptions = {}): Place {
  const dir = mkdtempSync(join(below, 'factory-place-'));
  const place = { dir, data: join(dir, 'data'), queue: join(dir, 'work-items') };
  const database: Record<string, string> =
    databaseUrl === undefined ? {} : { FACTORY_DATABASE_URL: databaseUrl };
  if (files) writeFiles(place.queue, files);
  // Whoever tests something else does not want jobs beside it.
  return { ...place, env: { FACTORY_PORT: '0', FACTORY_JOBS: 'off', ...database, ...env } };
}

export function writeFiles(folder: string, files: Record<string, string | Buffer>): void {
  for (const [path, text] of Object.entries(files)) {
    const full = join(folder, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
}

/** Nothing of the caller's own FACTORY_ variables, and no terminal. */
function environment(place: Place): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), NO_COLOR: '1', ...place.env };
}

/** The channel makes the child end with us: the launcher kills itself when it closes. */
export function launch(
  place: Place,
  args: readonly string[],
  nodeArgs: readonly string[] = [],
): ChildProcess {
  return spawn(process.execPath, [...nodeArgs, LAUNCHER, ...args], {
    cwd: place.dir,
    env: environment(place),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Ran extends Ended {
  stdout: string;
  stderr: string;
}

/** Runs `factory <args>` to its end. */
export async function factory(place: Place, ...args: string[]): Promise<Ran> {
  const child = launch(place, args);
  const output = collect(child);
  const ended = await whenEnded(child);
  return { ...ended, ...output() };
}

/** Runs `factory <args> --json` and parses its one document. Throws what it wrote where that is none. */
export async function factoryJson<T>(
  place: Place,
  ...args: string[]
): Promise<{ code: number | null; answer: T }> {
  const { code, stdout, stderr } = await factory(place, ...args, '--json');
  try {
    return { code, answer: JSON.parse(stdout) as T };
  } catch {
    throw new Error(
      `factory ${args.join(' ')} --json ended with ${code} and no document:\n${stdout}\n${stderr}`,
    );
  }
}

export interface Service {
  readonly pid: number;
  readonly url: string;
  readonly loginLink: string;
  stdout(): string;
  stderr(): string;
  /** Resolves when the process is gone. */
  readonly ended: Promise<Ended>;
  /** Ends it as an operator does; answers how it ended and after how many ms. */
  stop(signal?: NodeJS.Signals): Promise<Ended & { ms: number }>;
  /** kill -9 */
  kill(): Promise<void>;
}

export interface NotStarted extends Ran {
  pid: number;
}

/** Starts `serve --json`; resolves when it printed its line, or with how it ended instead. */
export async function tryServe(
  place: Place,
  nodeArgs: readonly string[] = [],
): Promise<Service | NotStarted> {
  const child = launch(place, ['serve', '--json'], nodeArgs);
  const output = collect(child);
  const ended = whenEnded(child);
  const line = await Promise.race([
    firstLine(child),
    ended,
    sleep(READY_MS, 'late' as const, { ref: false }),
  ]);
  if (typeof line === 'object') return { ...line, ...output(), pid: child.pid ?? 0 };
  if (line === 'late') {
    child.kill('SIGKILL');
    throw new Error(`The service was not ready within ${READY_MS} ms:\n${output().stderr}`);
  }
  const { listening, loginLink, error } = JSON.parse(line) as {
    listening: string;
    loginLink: string;
    error?: unknown;
  };
  if (error !== undefined) return { ...(await ended), ...output(), pid: child.pid ?? 0 };
  return {
    pid: child.pid ?? 0,
    url: listening,
    loginLink,
    ended,
    stdout: () => output().stdout,
    stderr: () => output().stderr,
    async stop(signal = 'SIGTERM') {
      const started = performance.now();
      child.kill(signal);
      const late = sleep(STOP_MS, null, { ref: false }).then(() => void child.kill('SIGKILL'));
      const how = await Promise.race([ended, late.then(() => ended)]);
      return { ...how, ms: performance.now() - started };
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Starts the service and kills it after `ms`, wherever it is then. */
export async function startAndKill(place: Place, ms: number): Promise<void> {
  const child = launch(place, ['serve', '--json']);
  const ended = whenEnded(child);
  await sleep(ms);
  child.kill('SIGKILL');
  await ended;
}

/** `tryServe` where a start is expected; throws what stderr said otherwise. */
export async function serve(place: Place, nodeArgs: readonly string[] = []): Promise<Service> {
  const started = await tryServe(place, nodeArgs);
  if ('url' in started) return started;
  throw new Error(
    `The service ended with ${started.code ?? started.signal}:\n${started.stdout}\n${started.stderr}`,
  );
}

function collect(child: ChildProcess): () => { stdout: string; stderr: string } {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  return () => ({ stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
}

function whenEnded(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
  });
}

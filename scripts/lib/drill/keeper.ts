/**
 * Between a drill and the application that it starts. It leads a process group, in a network of its own where the system
 * gives one: it ends the group when the drill is gone, however that came, and asks the application from inside.
 * Argument: JSON of `KeeperTask`; DRILL_ENVIRONMENT: that of the application, as JSON. Its output is its own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface KeeperTask {
  /** Program and arguments. */
  command: [string, ...string[]];
  cwd: string;
  /** The network is its own, and has no loopback yet. */
  apart: boolean;
}

/** `apart`: nothing but this machine's loopback can be reached. */
export type KeeperMessage =
  | { kind: 'started'; apart: boolean }
  | { kind: 'ended'; how: string }
  | { kind: 'answered'; url: string; status: number }
  | { kind: 'unanswered'; url: string; why: string };

const EVERY_MS = 100;
const ANSWER_MS = 5_000;

const tell = (message: KeeperMessage): void => void process.send?.(message);
const endAll = (): void => void process.kill(-process.pid, 'SIGKILL');

process.once('disconnect', endAll);
// The application ends at it; the keeper tells how.
process.on('SIGTERM', () => undefined);

const task = JSON.parse(process.argv[2] ?? '') as KeeperTask;
if (task.apart) spawnSync('ip', ['link', 'set', 'lo', 'up'], { stdio: 'ignore' });
const isLoopback = (one: { internal: boolean }): boolean => one.internal;
const apart = Object.values(networkInterfaces()).every((found) => found?.every(isLoopback));
const [program, ...args] = task.command;
const child = spawn(program, args, {
  cwd: task.cwd,
  env: JSON.parse(process.env['DRILL_ENVIRONMENT'] ?? '') as Record<string, string>,
  stdio: ['ignore', 'inherit', 'inherit'],
});
let ended = false;
const end = (how: string): void => {
  ended = true;
  tell({ kind: 'ended', how });
  // What it started and left behind goes with it; told first.
  setTimeout(endAll, EVERY_MS);
};
child.once('spawn', () => tell({ kind: 'started', apart: task.apart && apart }));
child.once('error', (error) => end(error.message));
child.once('exit', (code, signal) => end(signal ?? `exit ${code}`));

/** Asks until the answer is 2xx, or the application is gone. */
process.on('message', ({ url }: { url: string }) => void ask(url));

async function ask(url: string): Promise<void> {
  for (; !ended; await sleep(EVERY_MS)) {
    try {
      const { status } = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'manual' });
      if (status >= 200 && status < 300) return tell({ kind: 'answered', url, status });
      tell({ kind: 'unanswered', url, why: `status ${status}` });
    } catch (error) {
      const { message, cause } = error as Error;
      tell({ kind: 'unanswered', url, why: cause instanceof Error ? cause.message : message });
    }
  }
}

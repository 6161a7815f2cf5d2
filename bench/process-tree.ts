import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMicrosOf } from './load.ts';

export interface Measured {
  seconds: number;
  /** User and system time of the process and all below it, as far as looking every 50 ms sees it. */
  cpuSeconds: number;
  /** The most that the processes held together; pages that they share count once (PSS). */
  memoryMiB: number;
  stdout: string;
}

const EVERY_MS = 50;

/** Waits for a process, and measures it and all that it starts. Errors: where it does not end with 0. */
export async function measure(what: string, child: ChildProcess): Promise<Measured> {
  const started = performance.now();
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  const [stdout, stderr] = [text(child.stdout!), text(child.stderr!)];
  const cpu = new Map<number, number>();
  let memoryMiB = 0;
  let running = true;
  const watching = (async () => {
    for (; running; await sleep(EVERY_MS)) {
      const pids = treeOf(child.pid ?? 0);
      for (const pid of pids) cpu.set(pid, quietly(() => cpuMicrosOf(pid)) ?? cpu.get(pid) ?? 0);
      memoryMiB = Math.max(
        memoryMiB,
        pids.reduce((sum, pid) => sum + (quietly(() => pssMiBOf(pid)) ?? 0), 0),
      );
    }
  })();
  const code = await ended;
  const seconds = (performance.now() - started) / 1000;
  running = false;
  await watching;
  if (code !== 0) throw new Error(`${what} ended with ${code}:\n${await stderr}${await stdout}`);
  const cpuSeconds = [...cpu.values()].reduce((sum, micros) => sum + micros, 0) / 1e6;
  return { seconds, cpuSeconds, memoryMiB, stdout: await stdout };
}

function treeOf(pid: number): number[] {
  const below = quietly(() =>
    readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    ),
  );
  return [pid, ...(below ?? []).flatMap(treeOf)];
}

function pssMiBOf(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024;
}

/** A process may be gone between two looks. */
function quietly<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}

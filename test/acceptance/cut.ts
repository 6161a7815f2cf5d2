import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from '../process/service.ts';
import type { Place } from '../process/service.ts';

/** How a command ended. */
export interface Cut {
  /** It was still running when it was killed, or when the trouble came. */
  midway: boolean;
  /** Null: it was killed. */
  exit: number | null;
}

/** A command in a process of its own, to its end; or killed after `ms`. */
export async function spawned(place: Place, args: readonly string[], ms?: number): Promise<Cut> {
  const child = launch(place, args);
  const over = endOf(child);
  if (ms !== undefined) {
    await sleep(ms);
    child.kill('SIGKILL');
  }
  return over;
}

export async function endOf(child: ChildProcess): Promise<Cut> {
  // Nobody reads what it says; a full pipe would hold it.
  for (const output of [child.stdout, child.stderr]) output?.resume();
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { midway: signal === 'SIGKILL', exit: code };
}

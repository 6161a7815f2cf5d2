import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';

/**
 * A process of our own for what blocks a thread; killed at once when the signal is aborted. It takes its code from the
 * compile cache of this process: without it, reading TypeScript alone takes 17 MiB.
 */
export function forkQuietly(entry: string, args: readonly string[], signal: AbortSignal): ChildProcess {
  const cache = getCompileCacheDir();
  return fork(entry, args, {
    execArgv: [],
    env: cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    signal,
    killSignal: 'SIGKILL',
  });
}

import { spawn } from 'node:child_process';
import type { Claim } from '../jobs/leases.ts';

/** Of what a child writes its end is kept, in characters. */
const TALK = 16_384;
/** From being asked to end until it is ended. */
const GRACE_MS = 1500;

export interface Ended {
  /** Null: by a signal, or it did not start. */
  code: number | null;
  /** The end of what it wrote to stderr. */
  talk: string;
}

/** Does a claimed run in a process of its own; never rejects. */
export type RunChild = (held: Claim, signal: AbortSignal) => Promise<Ended>;

/**
 * `command`: the factory command line, a program and its first arguments; `env`: of the time when the service started. The
 * channel makes the child end with this process, however that ends.
 */
export function childRunner(command: readonly string[], env: NodeJS.ProcessEnv): RunChild {
  const [program = '', ...before] = command;
  return ({ job, runId }, signal) =>
    new Promise((resolve) => {
      const child = spawn(program, [...before, 'jobs', 'run', job, '--claim', runId], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        env,
      });
      let talk = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        talk = (talk + text).slice(-TALK);
      });
      let late: NodeJS.Timeout | undefined;
      const stop = (): void => {
        child.kill('SIGTERM');
        late = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      };
      const end = (code: number | null): void => {
        clearTimeout(late);
        signal.removeEventListener('abort', stop);
        resolve({ code, talk });
      };
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
      child.once('error', (error) => {
        talk += error.message;
        end(null);
      });
      child.once('close', end);
    });
}

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { FactoryError } from '../../../../service/errors.ts';
import { acquireLock } from '../../../../service/storage/process-lock.ts';
import { lockLost } from '../run.ts';
import { claimed, FREE, freed, holds, renewed } from '../rules/lock.ts';
import type { Lock } from '../types.ts';
import { writeBeside } from './links.ts';

/**
 * The deploy lock in a file. Whoever reads and then writes it does so under a lock of the operating system, which a dead
 * process never leaves behind: the lease can only change hands between two of these moments.
 */
export interface LockFile {
  claim(claim: { owner: string; release: string; steal: string | null }): Promise<Lock>;
  renew(token: number): Promise<boolean>;
  release(token: number): Promise<void>;
  /** Does `work` while nobody can take the lock. Errors: `lock-lost`. */
  whileHeld(token: number, target: string, work: () => void): Promise<void>;
}

/** The moments are short. */
const WAIT_MS = 10_000;

export function lockFile(path: string, now: () => number): LockFile {
  const read = (): Lock => {
    try {
      return { ...FREE, ...(JSON.parse(readFileSync(path, 'utf8')) as Lock) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return FREE;
      throw error;
    }
  };
  const write = (lock: Lock): void => writeBeside(path, `${JSON.stringify(lock)}\n`);
  async function exclusively<T>(work: () => T): Promise<T> {
    const moment = await acquireLock(`${path}.moment`, { what: 'deploy lock', waitMs: WAIT_MS, now });
    try {
      return work();
    } finally {
      moment.release();
    }
  }
  return {
    claim: (claim) =>
      exclusively(() => {
        const lock = read();
        const mine = { ...claim, host: hostname(), pid: process.pid };
        const result = claimed(lock, mine, { now: now(), alive: isAlive(lock) });
        if ('holder' in result) throw running(path, result.holder);
        write(result.lock);
        return result.lock;
      }),
    renew: (token) =>
      exclusively(() => {
        const lock = read();
        if (!holds(lock, token)) return false;
        write(renewed(lock, now()));
        return true;
      }),
    release: (token) =>
      exclusively(() => {
        const lock = read();
        if (holds(lock, token)) write(freed(lock));
      }),
    whileHeld: (token, target, work) =>
      exclusively(() => {
        if (!holds(read(), token)) throw lockLost(target);
        work();
      }),
  };
}

/** Null: it is on another machine, or nobody is. */
function isAlive({ host, pid }: Lock): boolean | null {
  if (pid === null || host !== hostname()) return null;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function running(target: string, holder: string): FactoryError {
  return new FactoryError({
    ...{ code: 'deploy-running', op: 'take deploy lock', target, retryable: true },
    message: `A deploy is going on: ${holder}.`,
    hint: 'Wait until it ends. Where it hangs, take the lock and say why: --steal REASON; it will switch nothing afterwards.',
  });
}

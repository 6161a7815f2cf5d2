import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { FactoryError } from '../errors.ts';

/** Who holds a lock, for people. */
export interface LockOwner {
  what: string;
  pid: number;
  host: string;
  since: string;
}

export interface ProcessLock {
  release(): void;
}

const POLL_MS = 200;

/**
 * One process at a time, on one machine. The lock is SQLite's own on a file of nothing else: the system takes it from
 * a process that dies, however that happens, so none is ever left behind. `<path>.json` names the owner.
 * Errors: `locked`, with the owner, after `waitMs`.
 */
export async function acquireLock(
  path: string,
  {
    what,
    waitMs,
    now,
    onWait,
  }: { what: string; waitMs: number; now: () => number; onWait?: (owner: LockOwner | null) => void },
): Promise<ProcessLock> {
  const handle = new Database(path, { timeout: 0 });
  const until = performance.now() + waitMs;
  for (let told = false; ; told = true) {
    try {
      handle.exec('BEGIN EXCLUSIVE');
      break;
    } catch (error) {
      const busy = error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY');
      if (!busy || performance.now() >= until) handle.close();
      if (!busy) throw error;
      if (performance.now() >= until) throw locked(path, ownerOf(path));
      if (!told) onWait?.(ownerOf(path));
      await sleep(POLL_MS);
    }
  }
  const owner: LockOwner = { what, pid: process.pid, host: hostname(), since: new Date(now()).toISOString() };
  writeFileSync(`${path}.json`, `${JSON.stringify(owner)}\n`);
  return { release: () => void handle.close() };
}

function ownerOf(path: string): LockOwner | null {
  try {
    return JSON.parse(readFileSync(`${path}.json`, 'utf8')) as LockOwner;
  } catch {
    // Not written yet; the lock itself is what counts.
    return null;
  }
}

function locked(target: string, owner: LockOwner | null): FactoryError {
  const who = owner
    ? `${owner.what}, process ${owner.pid} on ${owner.host} since ${owner.since}`
    : 'another process';
  return new FactoryError({
    code: 'locked',
    op: 'take lock',
    target,
    message: `The lock is held by ${who}.`,
    hint: 'Wait until it is done, or stop that process; a dead one holds no lock.',
    retryable: true,
    details: { owner },
  });
}

import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from '../../../service/folders.ts';
import { acquireLock } from '../../../service/storage/process-lock.ts';

/** Where a drill works: a folder of its own, which holds a database in plain text for as long as the drill takes. */

const WORK = /^work-[0-9a-f-]{36}$/;
const LOCK_WAIT_MS = 60_000;

export interface Workplace {
  folder: string;
  /** For a unix socket; its path must be short. */
  socket: string;
  /** Of the restored database; null: a SQLite file in the folder. */
  databaseUrl: string | null;
}

const socketFolder = (name: string): string => join(tmpdir(), `bf-drill-${name.slice(-12)}`);

/** One drill at a time below `folder`; what a killed one left is removed. Errors: `locked`. */
export async function inWorkplace<T>(
  folder: string,
  say: (text: string) => void,
  work: (place: Workplace) => Promise<T>,
): Promise<T> {
  makeFolder(folder, 0o700);
  const lock = await acquireLock(join(folder, 'lock'), {
    ...{ what: 'factory drill', waitMs: LOCK_WAIT_MS, now: Date.now },
    onWait: (owner) => say(`Waiting for ${owner ? `process ${owner.pid}` : 'another drill'} to end.`),
  });
  try {
    // Whoever holds the lock is alone: another folder is that of a process that was killed.
    for (const name of readdirSync(folder)) if (WORK.test(name)) remove(folder, name);
    const name = `work-${randomUUID()}`;
    try {
      makeFolder(join(folder, name), 0o700);
      makeFolder(socketFolder(name), 0o700);
      const socket = join(socketFolder(name), 's');
      return await work({ folder: join(folder, name), socket, databaseUrl: null });
    } finally {
      remove(folder, name);
    }
  } finally {
    lock.release();
  }
}

function remove(folder: string, name: string): void {
  rmSync(join(folder, name), { recursive: true, force: true });
  rmSync(socketFolder(name), { recursive: true, force: true });
}

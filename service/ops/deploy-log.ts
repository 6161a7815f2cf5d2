import { open } from 'node:fs/promises';
import { readHistory, type Deploys } from '../jobs/deploy-history.ts';

/** The end of the log is enough for every page: a deploy takes about 3 kB. */
const TAIL_BYTES = 256 * 1024;

/** The newest deploys of this host. Never throws: a log that cannot be read is said to be that. `path` null: there is none. */
export async function readDeploys(path: string | null, limit: number): Promise<Deploys> {
  if (path === null) return { log: 'none', deploys: [] };
  try {
    return { log: 'read', deploys: readHistory(await tailOf(path)).slice(0, limit) };
  } catch (error) {
    return { log: (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'none' : 'unreadable', deploys: [] };
  }
}

async function tailOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8');
  } finally {
    await file.close();
  }
}

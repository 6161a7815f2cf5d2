import { access, constants, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Destination as Configured } from '../../../service/config.ts';
import { asFactoryError } from '../../../service/errors.ts';
import { nothingKnown } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { callsIn } from '../../../service/folder-calls.ts';
import { folderError } from './folder.ts';
import type { Env } from './s3-client.ts';

/** What a destination can do, tried out with one small object that is removed again where that is allowed. */

/** Never throws: what keeps a destination from being used stands in `error`. */
export async function probeDestination(configured: Configured, env: Env, now: Date): Promise<Capabilities> {
  const found = nothingKnown(configured, now.toISOString());
  try {
    if (configured.kind === 'folder') await probeFolder(configured, found);
    else await (await import('./s3-probe.ts')).probeBucket(configured, env, found);
  } catch (error) {
    found.error = asFactoryError(error, 'probe destination');
  }
  return found;
}

async function probeFolder({ path, giveUpMs }: Folder, found: Capabilities): Promise<void> {
  Object.assign(found, { versioning: 'off', lock: 'off' });
  const { signal } = new AbortController();
  const call: Call = (work) => callsIn(path).call(work, { signal, ms: giveUpMs });
  try {
    const above = await call(() => nearestFolder(path));
    // One that is not there yet is left so: the first backup makes it, where that can be done.
    if (above === path) await probeThere(path, found, call);
    else await call(() => access(above, constants.W_OK | constants.X_OK));
    Object.assign(found, { write: true, read: above !== path || found.read, delete: true });
    const { bavail, blocks, bsize } = await call(() => statfs(above));
    found.space = { free: bavail * bsize, total: blocks * bsize };
  } catch (error) {
    throw folderError('probe', path, error);
  }
}

type Folder = Extract<Configured, { kind: 'folder' }>;
type Call = <T>(work: () => Promise<T>) => Promise<T>;

async function probeThere(path: string, found: Capabilities, call: Call): Promise<void> {
  const file = join(path, '.factory-doctor-probe');
  try {
    await call(() => writeFile(file, 'probe', { mode: 0o600 }));
    found.write = true;
    found.read = (await call(() => readFile(file, 'utf8'))) === 'probe';
  } catch (error) {
    // A full disk keeps the name, and none of what belongs below it.
    await call(() => rm(file, { force: true })).catch(() => undefined);
    throw error;
  }
  await call(() => rm(file));
}

/** The folder, or the nearest one above it that exists. Errors: `ENOTDIR`. */
async function nearestFolder(path: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return path;
    throw Object.assign(new Error(`${path} is a file`), { code: 'ENOTDIR' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    return nearestFolder(dirname(path));
  }
}

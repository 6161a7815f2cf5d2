import { access, constants, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Destination as Configured } from '../../../service/config.ts';
import { asFactoryError } from '../../../service/errors.ts';
import { nothingKnown } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { folderError } from './folder.ts';
import type { Env } from './s3-client.ts';

/** What a destination can do, tried out with one small object that is removed again where that is allowed. */

/** Never throws: what keeps a destination from being used stands in `error`. */
export async function probeDestination(configured: Configured, env: Env, now: Date): Promise<Capabilities> {
  const found = nothingKnown(configured, now.toISOString());
  try {
    if (configured.kind === 'folder') await probeFolder(configured.path, found);
    else await (await import('./s3-probe.ts')).probeBucket(configured, env, found);
  } catch (error) {
    found.error = asFactoryError(error, 'probe destination');
  }
  return found;
}

async function probeFolder(path: string, found: Capabilities): Promise<void> {
  Object.assign(found, { versioning: 'off', lock: 'off' });
  try {
    if (existsSync(path)) await probeThere(path, found);
    else await probeAbove(path, found);
  } catch (error) {
    throw folderError('probe', path, error);
  }
}

async function probeThere(path: string, found: Capabilities): Promise<void> {
  const file = join(path, '.factory-doctor-probe');
  try {
    await writeFile(file, 'probe', { mode: 0o600 });
    found.write = true;
    found.read = (await readFile(file, 'utf8')) === 'probe';
  } catch (error) {
    // A full disk keeps the name, and none of what belongs below it.
    await rm(file, { force: true }).catch(() => undefined);
    throw error;
  }
  await rm(file);
  found.delete = true;
  found.space = await spaceOf(path);
}

async function spaceOf(path: string): Promise<Capabilities['space']> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { free: bavail * bsize, total: blocks * bsize };
}

/** A folder that is not there yet is left so: the first backup makes it, where that can be done. */
async function probeAbove(path: string, found: Capabilities): Promise<void> {
  const above = nearestAbove(path);
  if (!statSync(above).isDirectory())
    throw Object.assign(new Error(`${above} is a file`), { code: 'ENOTDIR' });
  await access(above, constants.W_OK | constants.X_OK);
  Object.assign(found, { write: true, read: true, delete: true, space: await spaceOf(above) });
}

function nearestAbove(path: string): string {
  const above = dirname(path);
  return existsSync(above) || above === path ? above : nearestAbove(above);
}

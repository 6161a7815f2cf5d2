import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Config, Destination } from './config.ts';
import { callsIn } from './folder-calls.ts';

export const SAME_DISK = 'same disk: not a backup';

/** Somebody waits for the page that says it. */
const ANSWER_MS = 2_000;
const UNSTOPPED = new AbortController().signal;

/** How the device of a path is asked for, and for how long the answer is waited for. */
interface Asking {
  device: (path: string) => Promise<number>;
  ms: number;
}
const ASKING: Asking = { device: async (path) => (await stat(path)).dev, ms: ANSWER_MS };

/**
 * Whether a destination goes with the disk that its database goes with. A bucket never does; of a Postgres database, the
 * data folder's disk counts, which is the one that this machine would lose. A folder that gives no answer, as on a mount
 * whose server is gone, is on another disk than a database that answers.
 */
export async function isOnSameDisk(
  destination: Destination,
  { databaseUrl, dataDir }: Pick<Config, 'databaseUrl' | 'dataDir'>,
  { device, ms }: Asking = ASKING,
): Promise<boolean> {
  if (destination.kind !== 'folder') return false;
  const { path } = destination;
  const database = databaseUrl.startsWith('sqlite:') ? dirname(databaseUrl.slice('sqlite:'.length)) : dataDir;
  try {
    const there = await callsIn(path).call(() => deviceOf(path, device), { signal: UNSTOPPED, ms });
    return there === (await deviceOf(database, device));
  } catch {
    return false;
  }
}

/** What is not there, or is hidden from this user, comes on the disk of what is above it. */
const ABOVE = new Set(['ENOENT', 'ENOTDIR', 'EACCES']);

async function deviceOf(path: string, device: Asking['device']): Promise<number> {
  try {
    return await device(path);
  } catch (error) {
    if (!ABOVE.has((error as NodeJS.ErrnoException).code ?? '') || dirname(path) === path) throw error;
    return deviceOf(dirname(path), device);
  }
}

/** Those of some destinations that go with the database's disk, by their addresses. */
export async function onSameDisk(
  destinations: readonly Destination[],
  config: Pick<Config, 'databaseUrl' | 'dataDir'>,
  asking: Asking = ASKING,
): Promise<ReadonlySet<string>> {
  const found = await Promise.all(
    destinations.map(async (one) => ((await isOnSameDisk(one, config, asking)) ? [one.url] : [])),
  );
  return new Set(found.flat());
}

import { randomBytes } from 'node:crypto';
import { databaseUrl, openDatabases } from '../../../service/storage/postgres-databases.ts';
import type { Databases } from '../../../service/storage/postgres-databases.ts';

/**
 * A database on the server of `url` that is there for `work` alone: dropped when that ends, unless it was renamed. The
 * process holds a claim on its name; one whose process was killed has none, and the next scratch database drops it.
 * Errors: `database-unreachable`, `database-refused`.
 */
export async function withScratchDatabase<T>(
  url: string,
  work: (scratch: { name: string; url: string }, databases: Databases) => Promise<T>,
): Promise<T> {
  const databases = await openDatabases(url);
  try {
    await removeLeftBehind(databases);
    const name = `factory_scratch_${randomBytes(8).toString('hex')}`;
    await databases.claim(name);
    await databases.create(name);
    try {
      return await work({ name, url: databaseUrl(url, name) }, databases);
    } finally {
      await databases.drop(name);
    }
  } finally {
    await databases.close();
  }
}

/** Those that nobody claims. */
async function removeLeftBehind(databases: Databases): Promise<void> {
  for (const name of await databases.scratches()) if (await databases.claim(name)) await databases.drop(name);
}

import type { Config } from '../config.ts';
import { OWN_NAME, readFacts } from '../jobs/facts.ts';
import { lastRestore } from '../restored/pause.ts';
import type { Storage } from '../storage/transaction.ts';

/**
 * After a restore in place a backup is owed at once: until one of the new epoch lies in a destination, nobody who reads
 * there can tell what a replaced host still uploads from what counts.
 */
export function createNewEpoch({ config, storage }: { config: Pick<Config, 'backup'>; storage: Storage }) {
  let sentSince: string | null = null;

  return {
    /** Whether none was sent since the last restore. */
    async isOwed(): Promise<boolean> {
      const restored = await lastRestore(storage.read);
      if (restored === null || restored.restoredAt === sentSince) return false;
      const facts = await readFacts(storage.read, OWN_NAME);
      // Only this host's own backups cover; the newest one there may be of the other host.
      const isSent = config.backup.destinations.some(
        ({ url }) => Date.parse(facts.get(url)?.covered?.at ?? '') >= Date.parse(restored.restoredAt),
      );
      if (isSent) sentSince = restored.restoredAt;
      return !isSent;
    },
  };
}

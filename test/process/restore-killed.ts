import { loadConfig } from '../../service/config-load.ts';
import { fetchBlobs } from '../../scripts/lib/backup/fetch-blobs.ts';
import { bringBack, blobsOf, waitingBlobs } from '../../scripts/lib/restore/seat-blobs.ts';
import { readCatalog } from '../../scripts/lib/backup/catalog.ts';
import { pick } from '../../scripts/lib/backup/pick.ts';
import { openDestination } from '../../scripts/lib/destinations/open.ts';
import { highest } from '../../scripts/lib/restore/highest.ts';
import { journals } from '../../scripts/lib/restore/journal.ts';
import { putBack } from '../../scripts/lib/restore/put-back.ts';
import type { PutBack } from '../../scripts/lib/restore/put-back.ts';
import { identitiesFor } from '../../scripts/lib/backup/keys.ts';
import { targetOf } from '../../scripts/lib/restore-target.ts';
import { seatOf } from '../../scripts/lib/restore/seats.ts';

/** A restore in place, or the undo of the last one, that kills its process before one of its steps. */

const [, , dir = '', environment = '{}', last = '', why = 'restore'] = process.argv;
const env = JSON.parse(environment) as Record<string, string>;
const loaded = loadConfig(dir, env);
if (!('config' in loaded)) throw new Error(JSON.stringify(loaded.problems));
const { config } = loaded;
const signal = AbortSignal.timeout(60_000);
const seat = await seatOf(config);
const context = { cwd: dir, env, progress: () => undefined };

async function restore(): Promise<
  Pick<PutBack, 'why' | 'backupId' | 'sequence' | 'takenAt' | 'from' | 'make'>
> {
  const [from] = config.backup.destinations;
  if (from === undefined) throw new Error('no destination');
  const destination = await openDestination(from, env);
  const catalog = await readCatalog(destination, 'factory', { signal });
  const { entry, base } = pick(catalog, 'newest', Date.now());
  const { backupId, sequence, startedAt: takenAt } = entry.manifest;
  const identities = identitiesFor(config, undefined);
  return {
    ...{ why: 'restore', backupId, sequence, takenAt, from: destination.url },
    make: async (to) => {
      const job = { destination, entry, base, identities, signal };
      await fetchBlobs(job, entry, waitingBlobs(config), blobsOf(config));
      await targetOf(seat.target(to), config, context).write(job);
    },
  };
}

function undo(): Awaited<ReturnType<typeof restore>> {
  const done = journals(config).findLast(({ state }) => state === 'done');
  const before = done?.before;
  if (!done || !before) throw new Error('nothing to undo');
  const { backupId, at: takenAt } = done;
  return {
    ...{ why: 'undo', backupId, sequence: 0, takenAt, from: before },
    make: async (to) => {
      bringBack(config, done);
      await seat.copy(before, to);
    },
  };
}

await putBack({
  ...(why === 'undo' ? undo() : await restore()),
  ...{ config, seat, newKey: false },
  known: await highest(config, 'factory', [], [], { env, say: () => undefined }),
  now: Date.now,
  say: () => undefined,
  step(name) {
    if (name === last) process.kill(process.pid, 'SIGKILL');
  },
});

import { loadConfig } from '../../service/config-load.ts';
import { readCatalog } from '../../scripts/lib/backup/catalog.ts';
import { pick } from '../../scripts/lib/backup/pick.ts';
import { openDestination } from '../../scripts/lib/destinations/open.ts';
import { putBack } from '../../scripts/lib/restore/put-back.ts';
import { identitiesFor } from '../../scripts/lib/backup/keys.ts';
import { targetOf } from '../../scripts/lib/restore-target.ts';
import { seatOf } from '../../scripts/lib/restore/seats.ts';

/** A restore in place that kills its process before one of its steps. */

const [, , dir = '', env = '{}', last = ''] = process.argv;
const loaded = loadConfig(dir, JSON.parse(env) as Record<string, string>);
if (!('config' in loaded)) throw new Error(JSON.stringify(loaded.problems));
const { config } = loaded;
const signal = AbortSignal.timeout(60_000);
const [from] = config.backup.destinations;
if (from === undefined) throw new Error('no destination');
const destination = await openDestination(from, {});
const catalog = await readCatalog(destination, 'factory', { signal });
const { entry, base } = pick(catalog, 'newest', Date.now());
const { backupId, sequence, startedAt: takenAt } = entry.manifest;
const identities = identitiesFor(config, undefined);

const seat = await seatOf(config);
const context = { cwd: dir, env: process.env, progress: () => undefined };

await putBack({
  ...{ config, seat, why: 'restore', backupId, sequence, takenAt, from: destination.url, newKey: false },
  known: { epoch: 0, sequence },
  make: (to) =>
    targetOf(seat.target(to), config, context).write({ destination, entry, base, identities, signal }),
  now: Date.now,
  say: () => undefined,
  step(name) {
    if (name === last) process.kill(process.pid, 'SIGKILL');
  },
});

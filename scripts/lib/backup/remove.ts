import type { Destination } from '../destinations/destination.ts';
import { objectsOf } from './catalog.ts';
import type { Entry } from './catalog.ts';
import type { PrunePlan } from './prune.ts';

/** The manifest goes first: cut off anywhere, no catalog lists a backup that lacks a part. */
export async function removeBackup(
  destination: Destination,
  { key, manifest, wraps = [] }: Entry,
  signal: AbortSignal,
): Promise<void> {
  await destination.delete(key, { signal });
  const rest = [
    ...objectsOf(manifest.objects),
    ...wraps.flatMap(({ key: statement, object }) => [{ key: statement }, object]),
  ];
  for (const object of rest) await destination.delete(object.key, { signal });
}

/**
 * Removes what a plan names, in the order of the plan: cut off anywhere, what is still listed rests on what is still there.
 * `progress` gets what goes next.
 */
export async function removePlanned(
  destination: Destination,
  entries: readonly Entry[],
  { delete: gone, leftovers }: Pick<PrunePlan, 'delete' | 'leftovers'>,
  { signal, progress }: { signal: AbortSignal; progress: (text: string) => void },
): Promise<void> {
  const byId = new Map(entries.map((entry) => [entry.manifest.backupId, entry]));
  for (const [n, backupId] of gone.entries()) {
    progress(`Deleting ${n + 1} of ${gone.length}: ${backupId}`);
    const entry = byId.get(backupId);
    if (entry) await removeBackup(destination, entry, signal);
  }
  for (const key of leftovers) await destination.delete(key, { signal });
}

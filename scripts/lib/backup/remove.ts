import type { Destination } from '../destinations/destination.ts';
import { objectsOf } from './catalog.ts';
import type { Entry } from './catalog.ts';

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

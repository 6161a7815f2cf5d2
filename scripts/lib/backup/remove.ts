import type { Destination } from '../destinations/destination.ts';
import { objectsOf } from './catalog.ts';
import type { Entry } from './catalog.ts';

/** The manifest goes first: cut off anywhere, no catalog lists a backup that lacks a part. */
export async function removeBackup(
  destination: Destination,
  { key, manifest }: Entry,
  signal: AbortSignal,
): Promise<void> {
  await destination.delete(key, { signal });
  for (const object of objectsOf(manifest.objects)) await destination.delete(object.key, { signal });
}

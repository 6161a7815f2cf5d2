import { fencedOff } from '../../../service/epoch.ts';
import { FactoryError } from '../../../service/errors.ts';
import { lastEpoch } from '../../../service/plausible.ts';
import type { Destination, Limits } from '../destinations/destination.ts';
import { fetchManifest } from '../backup/catalog.ts';
import { markedEpoch, readMarks } from './epoch-mark.ts';
import type { BackupJob } from '../backup/job.ts';
import { publicKeyOf } from '../backup/manifest.ts';
import type { Found } from '../backup/send.ts';
import { isTrusted } from '../backup/signers.ts';

/** Whether another machine took over, as the destinations tell. */

/** Manifests looked at in each destination: the newest ones, so that no round costs more than these. */
const LOOKED_AT = 3;

/**
 * Throws `epoch-fenced` where a destination has a mark or a backup of a newer epoch. A destination that does not answer
 * tells nothing; readers ignore what is sent to it meanwhile.
 */
export async function assertNotReplaced(job: BackupJob, found: readonly Found[]): Promise<void> {
  const { epoch, signal } = job;
  const trusted = [publicKeyOf(job.signing), ...(job.trusted ?? [])];
  for (const { destination, newest, sizes } of found) {
    const newer = await newerEpoch(destination, { newest, sizes }, { epoch, trusted, signal });
    if (newer !== null) throw fencedOff({ ...newer, url: destination.url }, epoch, 'make backup');
  }
}

/**
 * What shows that somebody who counts has begun a newer epoch; null: nothing. `newest`: manifests, the newest first;
 * `sizes`: bytes by key of all that is listed.
 */
export async function newerEpoch(
  destination: Destination,
  { newest, sizes }: Pick<Found, 'newest' | 'sizes'>,
  { epoch, trusted, signal }: { epoch: number; trusted: readonly string[] } & Limits,
): Promise<{ epoch: number; backupId: string } | null> {
  const marks = [...sizes]
    .filter(([key]) => (markedEpoch(key) ?? 0) > epoch)
    .map(([key, bytes]) => ({ key, bytes, storedAt: '' }));
  const marked = (await readMarks(destination, marks, { signal }).catch(unreadable)) ?? [];
  const newer = marked.map(({ manifest }) => manifest);
  for (const stored of newest.slice(0, LOOKED_AT)) {
    const manifest = await fetchManifest(destination, stored, { signal }).catch(unreadable);
    if (manifest !== null && manifest.epoch > epoch) newer.push(manifest);
  }
  const counting = newer.filter(({ signature }) => isTrusted(signature.publicKey, trusted));
  // One that no host comes to says that somebody has the signing key, and not that another machine took over.
  const last = lastEpoch(
    counting.map((one) => one.epoch),
    epoch,
  );
  return counting.find((one) => one.epoch <= last) ?? null;
}

/** What is no manifest, or cannot be read now, says nothing of an epoch. */
function unreadable(error: unknown): null {
  if (error instanceof FactoryError) return null;
  throw error;
}

import { fencedOff } from '../../../service/epoch.ts';
import { FactoryError } from '../../../service/errors.ts';
import { fetchManifest } from './catalog.ts';
import type { BackupJob } from './job.ts';
import { publicKeyOf } from './manifest.ts';
import type { Found } from './send.ts';

/** Whether another machine took over, as the destinations tell. */

/** Manifests looked at in each destination: the newest ones of others, so that no round costs more than these. */
const LOOKED_AT = 3;

/**
 * Throws `epoch-fenced` where a destination has a backup of a newer epoch. A destination that does not answer tells
 * nothing; readers ignore what is sent to it meanwhile.
 */
export async function assertNotReplaced(job: BackupJob, found: readonly Found[]): Promise<void> {
  const accepted = [publicKeyOf(job.signing), ...(job.trusted ?? [])];
  for (const { destination, newest } of found) {
    for (const stored of newest.slice(0, LOOKED_AT)) {
      const manifest = await fetchManifest(destination, stored, job).catch(unreadable);
      if (manifest === null || manifest.epoch <= job.epoch) continue;
      if (!accepted.includes(manifest.signature.publicKey)) continue;
      const { epoch, backupId } = manifest;
      throw fencedOff({ epoch, backupId, url: destination.url }, job.epoch, 'make backup');
    }
  }
}

/** What is no manifest, or cannot be read now, says nothing of an epoch. */
function unreadable(error: unknown): null {
  if (error instanceof FactoryError) return null;
  throw error;
}

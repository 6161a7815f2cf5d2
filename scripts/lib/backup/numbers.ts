import { asFactoryError } from '../../../service/errors.ts';
import { lastEpoch, lastSequence } from '../../../service/plausible.ts';
import { inParallel } from '../parallel.ts';
import { fetchManifest } from './catalog.ts';
import { firstVersions, inFirstVersions } from './first-version.ts';
import { parseManifestKey, prefixesOf } from './format.ts';
import type { Manifest } from './format.ts';
import type { BackupJob } from './job.ts';
import { publicKeyOf } from './manifest.ts';
import type { Found } from './send.ts';
import { isTrusted } from './signers.ts';
import type { State } from './state.ts';

/**
 * The number of the next backup. Numbers order backups, so the next one has to be above every one that was ever sent. What
 * this machine remembers can be lost, or be that of an old copy of its folder: in every run the destinations that answer
 * are asked as well. That costs nothing as long as none has a name with a higher number than the one that is remembered.
 */

const AT_ONCE = 16;

type Asking = Pick<BackupJob, 'name' | 'signal' | 'signing' | 'epoch'> & Partial<Pick<BackupJob, 'trusted'>>;

/** Numbers above `above` of backups there that this installation, or one that it trusts, signed. Errors: `destination-failed`. */
export async function ownNumbers(
  { destination, newest }: Pick<Found, 'destination' | 'newest'>,
  { name, signal, signing, epoch: own, trusted = [] }: Asking,
  above: number,
): Promise<number[]> {
  const higher = newest.filter(({ key }) => (parseManifestKey(key)?.sequence ?? 0) > above);
  if (higher.length === 0) return [];
  const accepted = [publicKeyOf(signing), ...trusted];
  const { versions } = await firstVersions(destination, prefixesOf(name), { signal });
  const from = inFirstVersions(destination, versions);
  const manifests: Manifest[] = [];
  await inParallel(higher, AT_ONCE, async (stored) => {
    try {
      const manifest = await fetchManifest(from, stored, { signal });
      if (isTrusted(manifest.signature.publicKey, accepted)) manifests.push(manifest);
    } catch (error) {
      // What is no manifest says nothing; one that cannot be read now may say anything.
      if (!OF_THE_MANIFEST.test(asFactoryError(error, 'read manifest').code)) throw error;
    }
  });
  const last = lastEpoch(
    manifests.map(({ epoch }) => epoch),
    own,
  );
  return manifests.filter(({ epoch }) => epoch <= last).map(({ sequence }) => sequence);
}

const OF_THE_MANIFEST = /^(manifest-|backup-foreign$)/;

/** Each destination that answered with the numbers that count there; one that cannot tell them has not answered. */
export async function withNumbers(found: readonly Found[], job: BackupJob, state: State): Promise<Found[]> {
  // Nobody can have sent anything with a key that was made just now.
  if (job.isFirst && state.sequence === 0) return [...found];
  return Promise.all(
    found.map(async (one) => {
      if (one.error !== null) return one;
      try {
        return { ...one, numbers: await ownNumbers(one, job, lastSequence([state.sequence])) };
      } catch (error) {
        return { ...one, error: asFactoryError(error, 'read manifests') };
      }
    }),
  );
}

/**
 * Left free where this machine remembers nothing and a destination does not answer: it may have more than the others, and its
 * backups must not come after this one. An observer tells the gap, which is better than an older backup that is restored.
 */
const UNKNOWN = 1000;

/** Above all that is known here, and all that the destinations that answered have. */
export function nextSequence(
  { sequence }: Pick<State, 'sequence'>,
  found: readonly Pick<Found, 'numbers' | 'error'>[],
  { epochSince, isFirst = false }: Pick<BackupJob, 'epochSince' | 'isFirst'>,
): number {
  const known = [sequence, (epochSince ?? 1) - 1, ...found.flatMap(({ numbers = [] }) => numbers)];
  const free = !isFirst && sequence === 0 && found.some(({ error }) => error !== null) ? UNKNOWN : 0;
  return lastSequence(known.filter((number) => number > 0)) + free + 1;
}

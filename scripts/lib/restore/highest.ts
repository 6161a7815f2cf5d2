import { join } from 'node:path';
import type { Config } from '../../../service/config.ts';
import { readEpoch } from '../../../service/epoch.ts';
import { lastEpoch, lastSequence } from '../../../service/plausible.ts';
import { readCatalog } from '../backup/catalog.ts';
import type { Catalog } from '../backup/catalog.ts';
import { isTrusted } from '../backup/signers.ts';
import { readState } from '../backup/state.ts';
import { trustedSigners } from '../backup/trust.ts';
import { openDestination } from '../destinations/open.ts';
import type { VerbContext } from '../verb.ts';

const ASKED_MS = 60_000;

/**
 * The highest epoch and sequence that this machine and every destination that answers know of, of signers that count.
 * What a new epoch sends comes after all of them.
 */
export async function highest(
  config: Config,
  name: string,
  catalogs: readonly Catalog[],
  trust: readonly string[],
  { env, say }: Pick<VerbContext, 'env' | 'say'>,
): Promise<{ epoch: number; sequence: number }> {
  const trusted = trustedSigners(config, trust);
  const others = config.backup.destinations.filter(({ url }) => catalogs.every((one) => one.url !== url));
  const asked = await Promise.all(
    others.map(async (one) => {
      try {
        const signal = AbortSignal.timeout(ASKED_MS);
        return await readCatalog(await openDestination(one, env), name, { signal }, trusted);
      } catch (error) {
        say(`${one.url} does not answer, so its backups are not counted: ${(error as Error).message}`);
        return null;
      }
    }),
  );
  const manifests = [...catalogs, ...asked]
    .flatMap((catalog) => catalog?.manifests ?? [])
    .filter(({ signature }) => isTrusted(signature.publicKey, trusted));
  // One that took over and has sent nothing yet.
  const marks = [...catalogs, ...asked]
    .flatMap((catalog) => catalog?.marks ?? [])
    .map(({ manifest }) => manifest)
    .filter(({ signature }) => isTrusted(signature.publicKey, trusted));
  const own = readEpoch(config);
  const { sequence } = readState(join(config.dataDir, 'backup', name), own.epoch);
  return {
    epoch: lastEpoch(
      [...manifests, ...marks].map(({ epoch }) => epoch),
      own.epoch,
    ),
    // Each catalog told for itself what is plausible; one that has nothing else has nothing to compare with.
    sequence: lastSequence(
      [
        ...[sequence, (own.since ?? 1) - 1],
        ...manifests.map((one) => one.sequence),
        ...marks.map((one) => one.sequence - 1),
      ].filter((one) => one > 0),
    ),
  };
}

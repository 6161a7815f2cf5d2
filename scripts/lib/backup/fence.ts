import type { Manifest } from './format.ts';

/**
 * Which backups come from a host that was replaced. Pure.
 *
 * A restore in place begins a new epoch, whose backups say from which sequence on it counts. What an older epoch has at
 * that sequence or above was uploaded by a host that did not know; what it has below is as good as before. Sequences
 * decide, not times: clocks differ between hosts. Only backups of the same signer, or of one that the reader trusts,
 * can put others aside, else whoever may upload could hide all of them.
 */

export interface Dated {
  manifest: Pick<Manifest, 'backupId' | 'sequence' | 'epoch' | 'epochSince'> & {
    signature: Pick<Manifest['signature'], 'publicKey'>;
  };
}

/** Of those that no reader takes: the epoch that put them aside. */
export function fencedBackups(
  entries: readonly Dated[],
  trusted: readonly string[] = [],
): Map<string, number> {
  const bumps = entries.flatMap(({ manifest: { epoch, epochSince, signature } }) =>
    epochSince === undefined ? [] : [{ epoch, since: epochSince, by: signature.publicKey }],
  );
  const unique = [...new Map(bumps.map((bump) => [`${bump.by} ${bump.epoch} ${bump.since}`, bump])).values()];
  const found = new Map<string, number>();
  for (const { manifest } of entries) {
    const own = manifest.signature.publicKey;
    const over = unique.filter(
      ({ epoch, since, by }) =>
        epoch > manifest.epoch && manifest.sequence >= since && (by === own || trusted.includes(by)),
    );
    if (over.length > 0) found.set(manifest.backupId, Math.max(...over.map(({ epoch }) => epoch)));
  }
  return found;
}

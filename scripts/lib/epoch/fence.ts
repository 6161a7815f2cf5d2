import type { Manifest } from '../backup/format.ts';
import { isTrusted } from '../backup/signers.ts';

/**
 * Which backups come from a host that was replaced. Pure.
 *
 * A restore in place begins a new epoch, whose backups say from which sequence on it counts. What an older epoch has at
 * that sequence or above was uploaded by a host that did not know; what it has below is as good as before. Sequences
 * decide, not times: clocks differ between hosts. Only backups of the same signer, or of one that the reader trusts,
 * can put others aside, else whoever may upload could hide all of them. And none puts aside what its destination had, by
 * the destination's own clock, an hour before anything of that epoch: a stolen signing key must not hide the past.
 */

/** A replaced host may send until a mark, or of an older release the first backup, shows its successor; a mark comes within minutes. */
const UNTOLD_MS = 60 * 60_000;

export interface Dated {
  /** By the destination's clock; absent: not known. */
  storedAt?: string;
  manifest: Pick<Manifest, 'backupId' | 'sequence' | 'epoch' | 'epochSince'> & {
    signature: Pick<Manifest['signature'], 'publicKey'>;
  };
}

/** Of those that no reader takes: the epoch that put them aside. */
export function fencedBackups(
  entries: readonly Dated[],
  trusted: readonly string[] = [],
): Map<string, number> {
  const unique = new Map<string, { epoch: number; since: number; by: string; from: number }>();
  for (const { manifest, storedAt = '' } of entries) {
    const { epoch, epochSince: since, signature } = manifest;
    if (since === undefined) continue;
    const key = `${signature.publicKey} ${epoch} ${since}`;
    const from = Math.min(unique.get(key)?.from ?? Infinity, Date.parse(storedAt) || -Infinity);
    unique.set(key, { epoch, since, by: signature.publicKey, from });
  }
  const found = new Map<string, number>();
  for (const { manifest, storedAt = '' } of entries) {
    const own = manifest.signature.publicKey;
    const at = Date.parse(storedAt) || Infinity;
    const over = [...unique.values()].filter(
      ({ epoch, since, by, from }) =>
        epoch > manifest.epoch &&
        manifest.sequence >= since &&
        at >= from - UNTOLD_MS &&
        (by === own || isTrusted(by, trusted)),
    );
    if (over.length > 0) found.set(manifest.backupId, Math.max(...over.map(({ epoch }) => epoch)));
  }
  return found;
}

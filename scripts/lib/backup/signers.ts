import { FactoryError } from '../../../service/errors.ts';
import { fingerprint } from '../../../service/jobs/recovery-key.ts';
import type { Catalog } from './catalog.ts';

/** `trusted`: public keys, or their fingerprints. */
export const isTrusted = (signer: string, trusted: readonly string[]): boolean =>
  trusted.includes(signer) || trusted.includes(fingerprint(signer));

/**
 * Whose backups are restored. Whoever may write to a destination can put signed manifests there; only those of a signer
 * that the reader knows are an answer. Pure.
 *
 * `trusted`: public keys as a recovery kit carries them, or their fingerprints; that of this machine is one of them.
 * Only where there is none at all, and all backups of all these catalogs are of one signer, that one is taken: whoever
 * asked for these
 * destinations asked for their backups, and is told who signed them. Errors: `signer-unknown`.
 */
export function ofSigners(catalogs: readonly Catalog[], trusted: readonly string[]): Catalog[] {
  const entries = catalogs.flatMap((one) => one.entries);
  const signers = new Set(entries.map(({ manifest }) => manifest.signature.publicKey));
  const known = [...signers].filter((one) => isTrusted(one, trusted));
  if (signers.size === 0 || (trusted.length === 0 && signers.size === 1)) return [...catalogs];
  const holding = catalogs.filter((one) => one.entries.length > 0).map(({ url }) => url);
  if (known.length === 0) throw unknown(holding.join(', '), [...signers]);
  return catalogs.map((catalog) => ofKnown(catalog, known));
}

function ofKnown(catalog: Catalog, known: readonly string[]): Catalog {
  const own = catalog.entries.filter(({ manifest }) => known.includes(manifest.signature.publicKey));
  const others = catalog.entries.filter((entry) => !own.includes(entry));
  const problems = others.map(({ key, manifest }) => ({
    key,
    error: foreign(key, manifest.signature.publicKey),
  }));
  return { ...catalog, entries: own, problems: [...catalog.problems, ...problems] };
}

function unknown(target: string, signers: readonly string[]): FactoryError {
  return new FactoryError({
    code: 'signer-unknown',
    op: 'read catalog',
    target,
    message: `The backups there are signed by ${signers.length} ${signers.length === 1 ? 'signer, which was neither named nor is known here' : 'signers, none of which was named or is known here'}: ${signers.map((one) => fingerprint(one)).join(', ')}.`,
    hint: 'Say which one is yours, by the public key or fingerprint of your recovery kit: --trust KEY.',
    details: { signers },
  });
}

function foreign(target: string, signer: string): FactoryError {
  return new FactoryError({
    code: 'signer-foreign',
    op: 'read catalog',
    target,
    message: `${target} is signed by ${fingerprint(signer)}, which is not trusted here.`,
    hint: 'Look who else writes to this destination; --trust KEY takes that signer’s backups.',
  });
}

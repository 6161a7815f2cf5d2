import { FactoryError } from '../../../service/errors.ts';
import { lastEpoch, lastSequence } from '../../../service/plausible.ts';
import type { Manifest } from '../backup/format.ts';

/**
 * Manifests whose numbers no host comes to. A signature tells who wrote a number, not that it is real: with a stolen key
 * somebody can sign the largest one that there is, and what follows it would have none left. Of each signer on its own:
 * another one's low numbers must not make real ones look too high. Pure.
 */

type Numbered = Pick<Manifest, 'epoch' | 'sequence'> & {
  signature: Pick<Manifest['signature'], 'publicKey'>;
};

/** Why each of those that are not plausible is not. */
export function implausible<T extends Numbered>(manifests: readonly T[]): Map<T, string> {
  const why = new Map<T, string>();
  for (const all of Map.groupBy(manifests, ({ signature }) => signature.publicKey).values()) {
    const epoch = lastEpoch(all.map((one) => one.epoch));
    const real = all.filter((one) => one.epoch <= epoch);
    const sequence = lastSequence(real.map((one) => one.sequence));
    for (const one of all) {
      if (one.epoch > epoch) why.set(one, `epoch ${one.epoch}; the highest one before it is ${epoch}`);
      else if (one.sequence > sequence)
        why.set(one, `number ${one.sequence}; the highest one before it is ${sequence}`);
    }
  }
  return why;
}

export function implausibleNumber(target: string, why: string): FactoryError {
  return new FactoryError({
    code: 'manifest-implausible',
    op: 'read catalog',
    target,
    message: `${target} says that it is of ${why}. No host comes to that.`,
    hint: 'It decides nothing. Whoever wrote it has the key that signs backups: look who was on the host, and delete it.',
  });
}

import { FactoryError } from '../../../service/errors.ts';
import { lastSequence } from '../../../service/plausible.ts';
import type { Catalog } from './catalog.ts';
import { parseManifestKey } from './format.ts';

/** What lies in a destination as a backup and is none, as far as its name tells what it was. Pure. */

export interface Unusable {
  backupId: string;
  sequence: number;
  /** Begun at this time, in ms, to the second. */
  at: number;
  error: FactoryError;
}

/** Put aside on purpose: a replaced host's, those of a signer that does not count here, and numbers that no host comes to. */
const NOT_OURS = new Set(['backup-fenced', 'signer-foreign', 'manifest-implausible']);

type Problems = Pick<Catalog, 'problems'>;

/** The newest first. */
export function unusable({ problems }: Problems): Unusable[] {
  return problems
    .flatMap(({ key, error }): Unusable[] => {
      const place = parseManifestKey(key);
      if (place === null) return [];
      const { stem, sequence } = place;
      return [{ backupId: stem, sequence, at: timeOf(stem), error }];
    })
    .sort((a, b) => b.sequence - a.sequence);
}

/** Something newer that cannot be used means that the newest backup is not what would be restored. */
export function newerThan(catalog: Problems, sequence: number): Unusable[] {
  const newer = unusable(catalog).filter((one) => one.sequence > sequence && !NOT_OURS.has(one.error.code));
  // Whoever may write there can put any number into a name.
  const last = lastSequence([sequence, ...newer.map((one) => one.sequence)].filter((number) => number > 0));
  return newer.filter((one) => one.sequence <= last);
}

/** Why there is no answer, where something lies there that would have been one. */
export function whyUnusable({ backupId, error }: Pick<Unusable, 'backupId' | 'error'>): FactoryError {
  const { code, message, hint, retryable, details } = error;
  return new FactoryError({
    ...{ code, op: 'find backup', target: backupId, retryable, details, cause: error },
    message: `${backupId} cannot be restored: ${message}`,
    hint,
  });
}

/** `full/app/20260501T020304Z-000042` */
function timeOf(stem: string): number {
  const [, ...parts] = /(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-\d+$/.exec(stem) ?? [];
  const [year, month, day, hour, minute, second] = parts;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

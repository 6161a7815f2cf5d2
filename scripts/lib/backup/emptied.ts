import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import { assertExists } from '../destinations/open.ts';
import type { Limits } from '../destinations/destination.ts';
import type { Catalog } from './catalog.ts';
import { noBackup } from './pick.ts';
import type { Read } from './read.ts';

/**
 * A destination that holds nothing looks well. It is where nothing was sent yet; else its address is misspelt, or its disk
 * is not mounted, and whoever looks has to be told.
 */

interface Known {
  /** With `--from`: whoever names a place means one that holds something. */
  typed: boolean;
  /** Destinations that this machine sent backups to. */
  sent: ReadonlySet<string>;
  /** Another destination holds backups of the same name. */
  others: boolean;
}

const UNMOUNTED = 'Mount it; where it is new, the next backup makes it.';

/** Why an empty destination should not be empty; null: it holds something, or nothing was sent there yet. */
export async function whyEmptied(
  { destination, catalog, replicas, url }: Read,
  { typed, sent, others }: Known,
  limits: Limits,
): Promise<FactoryError | null> {
  if (destination === null || catalog === null) return null;
  if (!isNothing(catalog) || replicas.length + catalog.otherNames.length > 0) return null;
  try {
    if (typed) return (await destination.exists?.(limits)) === false ? noFolder(url) : noBackup(catalog);
    if (others || sent.has(url)) await assertExists(destination, UNMOUNTED, limits);
    return null;
  } catch (error) {
    return asFactoryError(error, 'read catalog');
  }
}

const noFolder = (target: string): FactoryError =>
  new FactoryError({
    ...{ code: 'backup-none', op: 'find backup', target, details: { otherNames: [] } },
    message: `There is no folder ${target}, and so no backup.`,
    hint: 'Check the address; a disk has to be mounted.',
  });

/** Nothing of the name that was asked for. */
export const isNothing = ({ entries, problems, leftovers }: Catalog): boolean =>
  entries.length + problems.length + leftovers.length === 0;

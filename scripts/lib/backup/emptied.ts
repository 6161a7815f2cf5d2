import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import { EMPTIED, OWN_NAME } from '../../../service/jobs/facts.ts';
import { shellWord } from '../command.ts';
import { assertExists } from '../destinations/open.ts';
import type { Destination, Limits, Stored } from '../destinations/destination.ts';
import { listBackups, readCatalog } from './catalog.ts';
import type { Catalog } from './catalog.ts';
import { MANIFEST_SUFFIX } from './format.ts';
import { noBackup } from './pick.ts';
import type { Read } from './read.ts';
import { isTrusted } from './signers.ts';

/**
 * A destination that holds nothing looks well. It is where nothing was stored yet; else its address is misspelt, its disk
 * is not mounted, or somebody emptied it, and whoever looks has to be told. Nothing is sent there: a mount point on the
 * root disk would take it all, and look like a backup elsewhere.
 */

export interface Holding {
  name: string;
  /** The last backup that this machine stored, by address: see `stored.ts`. */
  stored: ReadonlyMap<string, string>;
  /** Whose backups count; none: anybody's. */
  trusted: readonly string[];
}

/**
 * Why a destination should hold backups of this installation, and holds none. Null: it holds one, or none was stored there.
 * `listed`: its manifests. They are read only where the last one that was stored is not among them. Errors:
 * `destination-failed`.
 */
export async function whyEmptied(
  destination: Destination,
  listed: readonly Stored[],
  holding: Holding,
  limits: Limits,
): Promise<FactoryError | null> {
  const { name, stored, trusted } = holding;
  const last = stored.get(destination.url);
  if (last === undefined || listed.some(({ key }) => key === last + MANIFEST_SUFFIX)) return null;
  if (listed.length === 0) return emptied(destination, name, last, limits);
  return emptiedIn(destination, await readCatalog(destination, name, limits, trusted), holding, limits);
}

/** Errors: `destination-emptied`, `destination-failed`. */
export async function assertHolds(destination: Destination, holding: Holding, limits: Limits): Promise<void> {
  if (!holding.stored.has(destination.url)) return;
  const { manifests } = await listBackups(destination, holding.name, limits);
  const error = await whyEmptied(destination, manifests, holding, limits);
  if (error !== null) throw error;
}

/** The same of a catalog that was read. */
export async function emptiedIn(
  destination: Destination,
  catalog: Catalog,
  { stored, trusted }: Holding,
  limits: Limits,
): Promise<FactoryError | null> {
  const last = stored.get(destination.url);
  if (last === undefined || holdsOwn(catalog, last, trusted)) return null;
  return emptied(destination, catalog.name, last, limits);
}

/** Whether it has any backup of this installation, one that cannot be used among them. */
function holdsOwn(
  { manifests, problems }: Pick<Catalog, 'manifests' | 'problems'>,
  last: string,
  trusted: readonly string[],
): boolean {
  const isOwn = (signer: string): boolean => trusted.length === 0 || isTrusted(signer, trusted);
  return (
    manifests.some(({ signature }) => isOwn(signature.publicKey)) ||
    problems.some(({ key }) => key === last + MANIFEST_SUFFIX)
  );
}

async function emptied(
  destination: Destination,
  name: string,
  last: string,
  limits: Limits,
): Promise<FactoryError> {
  const { url: target } = destination;
  const isThere = destination.exists === undefined || (await destination.exists(limits));
  const what = isThere
    ? `${target} holds none of the backups`
    : `There is no folder ${target}, and none of the backups`;
  const check =
    destination.exists === undefined
      ? 'Look whether this is the right bucket; where it keeps versions, `npx factory restore --hidden` finds what was deleted.'
      : 'Mount its disk.';
  const of = name === OWN_NAME ? '' : ` --db FILE --name ${name}`;
  return new FactoryError({
    ...{ code: EMPTIED, op: 'read catalog', target, retryable: true },
    message: `${what} that were stored there; the last one was ${last}.`,
    hint: `${check} Nothing is sent there before that. If it was emptied on purpose: \`npx factory backup${of} --emptied ${shellWord(target)}\` begins anew there.`,
  });
}

interface Known extends Holding {
  /** With `--from`: whoever names a place means one that holds something. */
  typed: boolean;
  /** Another destination holds backups of the same name. */
  others: boolean;
}

const UNMOUNTED = 'Mount it; where it is new, the next backup makes it.';

/** Why a destination that was read should not be as empty as it is; null: it holds something, or nothing was stored there yet. */
export async function whyNothing(
  { destination, catalog, replicas, url }: Read,
  { typed, others, ...holding }: Known,
  limits: Limits,
): Promise<FactoryError | null> {
  if (destination === null || catalog === null) return null;
  try {
    const error = await emptiedIn(destination, catalog, holding, limits);
    if (error !== null) return error;
    if (!isNothing(catalog) || replicas.length + catalog.otherNames.length > 0) return null;
    if (typed) return (await destination.exists?.(limits)) === false ? noFolder(url) : noBackup(catalog);
    if (others) await assertExists(destination, UNMOUNTED, limits);
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

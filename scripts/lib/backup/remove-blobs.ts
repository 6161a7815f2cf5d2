import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import type { Destination } from '../destinations/destination.ts';
import { inParallel } from '../parallel.ts';
import { claim } from './blob-claim.ts';
import { fetchManifest, leftoversIn } from './catalog.ts';
import type { Catalog } from './catalog.ts';
import { parseManifestKey, prefixesOf, stemOfPart } from './format.ts';
import type { Manifest } from './format.ts';
import { takeNeeded } from './prune-blobs.ts';
import type { BlobPlan, Going } from './prune-blobs.ts';

/** Well below the time for which a claim counts. */
export const REMOVE_MS = 30 * 60_000;
const AT_ONCE = 8;

export interface RemovedBlobs {
  gone: Going[];
  /** Why the others of the plan stay; null: all went. */
  kept: string | null;
}

interface Removing {
  /** As the plan was made from. */
  catalog: Pick<Catalog, 'name' | 'manifests' | 'leftovers' | 'versions' | 'later' | 'url'>;
  signal: AbortSignal;
  progress: (text: string) => void;
}

/**
 * Takes away what a plan names, but for what a backup needs that has begun since. Cut off anywhere, what is still named is
 * still there. Errors: those of the destination, `prune-claim-refused`.
 */
export async function removeBlobs(
  destination: Destination,
  { objects }: Pick<BlobPlan, 'objects'>,
  { catalog, signal, progress }: Removing,
): Promise<RemovedBlobs> {
  if (objects.length === 0) return { gone: [], kept: null };
  const keys = objects.map(({ key }) => key);
  const release = await claim(destination, { name: catalog.name, keys }, { signal }).catch(
    (error: unknown) => {
      throw whyNotClaimed(catalog.url, error);
    },
  );
  const going = new Map(objects.map((one) => [one.key, one]));
  const kept = await whyKept(destination, going, { catalog, signal });
  const gone = kept?.all === true ? [] : [...going.values()];
  let done = 0;
  await inParallel(gone, AT_ONCE, async ({ key }) => {
    progress(`Deleting attachments: ${done} of ${gone.length}`);
    await destination.delete(key, { signal });
    done += 1;
  });
  // After an error a delete may still be on its way: then the claim stays, and counts until it is old.
  await release();
  return { gone, kept: kept?.why ?? null };
}

/** What has begun or ended since the plan takes what it needs out of `going`, or keeps all. Null: nothing has. */
async function whyKept(
  destination: Destination,
  going: Map<string, unknown>,
  { catalog, signal }: Pick<Removing, 'catalog' | 'signal'>,
): Promise<{ all: boolean; why: string } | null> {
  const { name } = catalog;
  const [full = '', diff = ''] = prefixesOf(name);
  const listed = (
    await Promise.all([full, diff].map((prefix) => destination.list(prefix, { signal })))
  ).flat();
  const known = new Set([
    ...catalog.manifests.map(({ backupId }) => backupId),
    ...catalog.leftovers.map(({ key }) => stemOfPart(key)),
  ]);
  const begun = leftoversIn(listed).find(({ key }) => !known.has(stemOfPart(key)));
  if (begun !== undefined) return { all: true, why: `a backup is being made: ${stemOfPart(begun.key)}` };
  const ended = listed.filter(({ key }) => {
    const place = parseManifestKey(key);
    return place !== null && !known.has(place.stem);
  });
  const manifests: Manifest[] = [];
  try {
    for (const stored of ended) manifests.push(await fetchManifest(destination, stored, { signal }));
  } catch (error) {
    return { all: true, why: asFactoryError(error, 'read manifest').message };
  }
  const before = going.size;
  const unreadable = await takeNeeded(destination, going, { manifests, catalog, signal });
  if (unreadable !== null) return { all: true, why: unreadable };
  if (going.size === before) return null;
  return { all: false, why: `a backup that was made meanwhile needs ${before - going.size} of them` };
}

function whyNotClaimed(target: string, cause: unknown): unknown {
  if (!(cause instanceof FactoryError) || cause.code !== 'destination-forbidden') return cause;
  return new FactoryError({
    ...{ code: 'prune-claim-refused', op: 'prune backups', target, cause },
    message: `This key may not write in ${target}: which attachments go has to be said there before they do.`,
    hint: 'Give the key that prunes the right to write below blobs/. Backups of the plan are deleted, attachments stay.',
  });
}

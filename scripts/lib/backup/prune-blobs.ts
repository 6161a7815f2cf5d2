import { asFactoryError } from '../../../service/errors.ts';
import type { Destination, Stored } from '../destinations/destination.ts';
import { inParallel } from '../parallel.ts';
import { blobKey, blobPrefix, isClaim, isShared } from './blob-list.ts';
import type { Catalog } from './catalog.ts';
import { readBlobList } from './fetch-blobs.ts';
import type { Versions } from './first-version.ts';
import { stemOfPart } from './format.ts';
import type { Manifest } from './format.ts';
import { LEFTOVER_MS } from './prune.ts';

/**
 * Which attachments may go: those that no backup names that stays, and that have been there for a day, which no run takes.
 * Where anything could name them that cannot be read, or is not there yet, all stay.
 */

/** An attachment, or a list of them. */
export type Going = Pick<Stored, 'key' | 'bytes'>;

export interface BlobPlan {
  objects: Going[];
  /** Why nothing goes although something could; null: nothing stands in the way. */
  refused: string | null;
}

const NOTHING: BlobPlan = { objects: [], refused: null };

export interface Planning {
  catalog: Catalog;
  /** Backups that go before them, by id. */
  gone: readonly string[];
  /** Why nothing at all may go now; null: the times are in order. */
  untimely: string | null;
  /** In ms; ages are counted from it. */
  now: number;
  /** Full backups are kept for so long, in ms. */
  retentionMs: number;
  signal: AbortSignal;
}

/** With claims of prunes that were killed. Errors: those of listing. */
export async function planBlobs(
  destination: Destination,
  planning: Planning,
): Promise<{ plan: BlobPlan; claims: string[] }> {
  const { catalog, now, signal } = planning;
  if (!catalog.hasBlobs) return { plan: NOTHING, claims: [] };
  const listed = await destination.list(blobPrefix(catalog.name), { signal });
  const old = listed.filter(({ storedAt }) => now - Date.parse(storedAt) > LEFTOVER_MS);
  const claims = planning.untimely === null ? old.filter(({ key }) => isClaim(key)) : [];
  return {
    plan: await planOf(
      destination,
      old.filter(({ key }) => isShared(key)),
      planning,
    ),
    claims: claims.map(({ key }) => key),
  };
}

async function planOf(
  destination: Destination,
  old: readonly Stored[],
  planning: Planning,
): Promise<BlobPlan> {
  const { catalog, gone, signal } = planning;
  const left = new Map(old.map((one) => [one.key, one]));
  const stay = catalog.manifests.filter(({ backupId }) => !gone.includes(backupId));
  const unreadable = await takeNeeded(destination, left, { manifests: stay, catalog, signal });
  if (left.size === 0) return NOTHING;
  const refused = planning.untimely ?? whyUnknown(planning) ?? unreadable;
  if (refused !== null) return { ...NOTHING, refused };
  return { objects: [...left.values()].map(({ key, bytes }) => ({ key, bytes })), refused };
}

/** Why others than the manifests that were read could need attachments. */
function whyUnknown({ catalog, now, retentionMs }: Planning): string | null {
  const [unread] = catalog.unread;
  if (unread !== undefined)
    return `${unread} cannot be read, and may need them: look at it with backups verify, and take it away if it is no backup`;
  // A prune hides none so young.
  const hidden = catalog.hidden?.find(
    ({ key, storedAt }) => key.startsWith('full/') && now - Date.parse(storedAt) <= retentionMs,
  );
  if (hidden !== undefined) return `${hidden.key} was hidden by somebody, and may need them`;
  const begun = catalog.leftovers.find(({ storedAt }) => now - Date.parse(storedAt) <= LEFTOVER_MS);
  if (begun !== undefined)
    return `a backup is being made, or was cut off less than a day ago: ${stemOfPart(begun.key)}`;
  return null;
}

const AT_ONCE = 8;

/**
 * Takes what backups need out of `left`. Answers why one of them could need the rest, too; null: all lists were read, or
 * nothing is left.
 */
export async function takeNeeded(
  destination: Destination,
  left: Map<string, unknown>,
  {
    manifests,
    catalog: { versions, later },
    signal,
  }: { manifests: readonly Manifest[]; catalog: Versions; signal: AbortSignal },
): Promise<string | null> {
  let unreadable: string | null = null;
  await inParallel(spread(distinct(manifests)), AT_ONCE, async (manifest) => {
    if (left.size === 0 || Array.isArray(manifest.blobs)) return;
    const { key } = manifest.blobs.list;
    left.delete(key);
    try {
      const files = await readBlobList({ destination, signal }, { manifest, versions, later });
      for (const { file } of files) if (file !== null) left.delete(blobKey(manifest.name, file.sha256));
    } catch (error) {
      const { message } = asFactoryError(error, 'read list of attachments');
      unreadable ??= `the list of the attachments of ${manifest.backupId} cannot be read: ${message}`;
    }
  });
  return unreadable;
}

/** One of each list. */
function distinct(manifests: readonly Manifest[]): Manifest[] {
  const lists = manifests.map((one) => [Array.isArray(one.blobs) ? '' : one.blobs.list.key, one] as const);
  return [...new Map(lists).values()];
}

/** The newest and the oldest first: together they name nearly all, and then no other list is read. */
function spread(manifests: readonly Manifest[]): Manifest[] {
  const [oldest, ...rest] = manifests.toSorted((a, b) => a.sequence - b.sequence);
  const newest = rest.pop();
  return [newest, oldest, ...rest].filter((one) => one !== undefined);
}

import { buffer } from 'node:stream/consumers';
import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import type { Destination, Limits, Stored } from '../destinations/destination.ts';
import { MANIFEST_SUFFIX, parseManifestKey, prefixesOf, stemOfPart } from './format.ts';
import type { Manifest } from './format.ts';
import { MAX_MANIFEST_BYTES, readManifest } from './manifest.ts';

/** A backup as a destination shows it: the manifest counts, and only where every object of it is there. */
export interface Entry {
  manifest: Manifest;
  key: string;
  /** When the destination itself says that the manifest was written. */
  storedAt: string;
  /** Of all its objects, the manifest with them. */
  bytes: number;
}

export interface Catalog {
  url: string;
  /** By sequence. */
  entries: Entry[];
  /** What lies there and is no backup that could be restored. */
  problems: { key: string; error: FactoryError }[];
  /** Objects of ours without a manifest: of a run that was cut off, or is going on. */
  leftovers: Stored[];
}

/** Backups as the names of their manifests give them: cheap, and not checked. */
export async function listBackups(
  destination: Destination,
  name: string,
  limits: Limits,
): Promise<{ backupId: string; sequence: number }[]> {
  const listed = (
    await Promise.all(prefixesOf(name).map((prefix) => destination.list(prefix, limits)))
  ).flat();
  return listed.flatMap(({ key }) => {
    const place = parseManifestKey(key);
    return place ? [{ backupId: place.stem, sequence: place.sequence }] : [];
  });
}

/** Reads the catalog of a name. Errors: `destination-failed`. */
export async function readCatalog(destination: Destination, name: string, limits: Limits): Promise<Catalog> {
  const listed = (
    await Promise.all(prefixesOf(name).map((prefix) => destination.list(prefix, limits)))
  ).flat();
  const sizes = new Map(listed.map(({ key, bytes }) => [key, bytes]));
  const entries: Entry[] = [];
  const problems: Catalog['problems'] = [];
  for (const stored of listed.filter(({ key }) => key.endsWith(MANIFEST_SUFFIX))) {
    try {
      const manifest = await fetchManifest(destination, stored, limits);
      assertComplete(manifest, sizes, stored.key);
      entries.push({
        manifest,
        key: stored.key,
        storedAt: stored.storedAt,
        bytes: bytesOf(manifest) + stored.bytes,
      });
    } catch (error) {
      problems.push({ key: stored.key, error: asFactoryError(error, 'read manifest') });
    }
  }
  entries.sort((a, b) => a.manifest.sequence - b.manifest.sequence);
  return { url: destination.url, entries, problems, leftovers: leftoversIn(listed) };
}

function leftoversIn(listed: readonly Stored[]): Stored[] {
  const whole = new Set(listed.map(({ key }) => parseManifestKey(key)?.stem));
  return listed.filter(({ key }) => {
    const stem = stemOfPart(key);
    return stem !== null && !whole.has(stem);
  });
}

async function fetchManifest(
  destination: Destination,
  { key, bytes }: Stored,
  limits: Limits,
): Promise<Manifest> {
  const place = parseManifestKey(key);
  if (place === null || bytes > MAX_MANIFEST_BYTES) throw foreign(key);
  const manifest = readManifest((await buffer(await destination.get(key, limits))).toString('utf8'), key);
  const { kind, name, sequence, backupId } = manifest;
  const same =
    kind === place.kind && name === place.name && sequence === place.sequence && backupId === place.stem;
  if (!same) throw foreign(key);
  return manifest;
}

function assertComplete({ objects }: Manifest, sizes: ReadonlyMap<string, number>, target: string): void {
  for (const { key, bytes } of objectsOf(objects)) {
    const found = sizes.get(key);
    if (found === bytes) continue;
    throw new FactoryError({
      code: 'backup-incomplete',
      op: 'read catalog',
      target,
      message: found === undefined ? `${key} is missing.` : `${key} has ${found} bytes, not ${bytes}.`,
      hint: 'This backup cannot be restored from here; take another one, or another destination.',
    });
  }
}

/** The objects that a manifest names. */
export const objectsOf = (objects: Manifest['objects']) =>
  Object.values(objects).filter((object) => object !== null);

function bytesOf({ objects }: Manifest): number {
  return objectsOf(objects).reduce((sum, { bytes }) => sum + bytes, 0);
}

function foreign(target: string): FactoryError {
  return new FactoryError({
    code: 'backup-foreign',
    op: 'read catalog',
    target,
    message: `${target} is no manifest of a backup that belongs at this place.`,
    hint: 'Nothing is done with it. Look who else writes to this destination.',
  });
}

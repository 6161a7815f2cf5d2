import { buffer } from 'node:stream/consumers';
import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import type { Destination, Limits, Stored } from '../destinations/destination.ts';
import { readMarks } from '../epoch/epoch-mark.ts';
import { fencedBackups } from '../epoch/fence.ts';
import type { Dated } from '../epoch/fence.ts';
import { blobListKey, blobPrefix } from './blob-list.ts';
import { firstVersions, inFirstVersions } from './first-version.ts';
import type { Versions } from './first-version.ts';
import { ALL_PREFIXES, MANIFEST_SUFFIX, parseManifestKey, prefixesOf, stemOfPart } from './format.ts';
import type { Manifest } from './format.ts';
import { implausible, implausibleNumber } from '../epoch/implausible.ts';
import { MAX_MANIFEST_BYTES, readManifest } from './manifest.ts';
import { readWraps } from './rewrapped.ts';
import type { Rewrapped } from './rewrapped.ts';
import { inParallel } from '../parallel.ts';

/** A backup as a destination shows it: the manifest counts, and only where every object of it is there. */
export interface Entry extends Versions {
  manifest: Manifest;
  key: string;
  /** When the destination itself says that the manifest was written. */
  storedAt: string;
  /** Of all its objects, the manifest with them. */
  bytes: number;
  /** Further key objects of this backup, the newest first; absent: none. */
  wraps?: readonly Rewrapped[];
  /** Its first key object is still there; absent: it is. */
  firstKeyHeld?: boolean;
}

export interface Catalog extends Pick<Versions, 'later'> {
  url: string;
  /** Of the database whose backups these are. */
  name: string;
  /** By epoch, and by sequence within it. */
  entries: Entry[];
  /** Uploads of a host that was replaced: told among the problems, and never restored. */
  fenced: Entry[];
  /** Epochs that a restore in place said it began, whoever signed that; absent: none. */
  marks?: readonly Dated[];
  /** Differentials that are whole, but for the full backup that they rest on: told among the problems, and never restored. */
  baseless: Entry[];
  /** Every manifest there with numbers that count, also of backups that cannot be restored: no later one takes them again. */
  manifests: Manifest[];
  /** What lies there and is no backup that could be restored. */
  problems: { key: string; error: FactoryError }[];
  /** Objects of ours without a manifest: of a run that was cut off, or is going on. */
  leftovers: Stored[];
  /** Manifests that cannot be read, or do not count: nobody knows which attachments they name. */
  unread: string[];
  /** Something lies below `blobs/` for this name. */
  hasBlobs: boolean;
  /** Manifests that somebody hid, or a prune did, where the place keeps what was hidden; absent: none are known. */
  hidden?: readonly Stored[];
  /** As in an entry. */
  versions: ReadonlyMap<string, string>;
  /** Where nothing at all is of the name that was asked for: the names that there are. */
  otherNames: string[];
}

/** The manifests of a name, the bytes of every object by key, and when the last was written: cheap, and nothing is read. */
export async function listBackups(
  destination: Destination,
  name: string,
  limits: Limits,
): Promise<{ manifests: Stored[]; sizes: Map<string, number>; latest: number }> {
  const listed = (
    await Promise.all(prefixesOf(name).map((prefix) => destination.list(prefix, limits)))
  ).flat();
  return {
    manifests: listed.filter(({ key }) => parseManifestKey(key) !== null),
    sizes: new Map(listed.map(({ key, bytes }) => [key, bytes])),
    latest: latestOf(listed),
  };
}

/** In ms, by the destination's clock. */
export const latestOf = (listed: readonly Stored[]): number =>
  listed.reduce((latest, { storedAt }) => Math.max(latest, Date.parse(storedAt)), 0);

/** So many small objects are read at once: a thousand fakes must not hold up a restore. */
const AT_ONCE = 16;

/**
 * Reads the catalog of a name; with `hidden` also what was hidden, where the place keeps it. Epochs of `trusted` signers
 * count for the backups of others, too.
 * Errors: `destination-failed`.
 */
export async function readCatalog(
  destination: Destination,
  name: string,
  limits: Limits & { hidden?: boolean },
  trusted: readonly string[] = [],
): Promise<Catalog> {
  const {
    stored: listed,
    versions,
    later,
    hidden,
  } = await firstVersions(destination, prefixesOf(name), limits);
  const from = inFirstVersions(destination, versions);
  const sizes = new Map(listed.map(({ key, bytes }) => [key, bytes]));
  const entries: Entry[] = [];
  const problems: Catalog['problems'] = [];
  const manifests = listed.filter(({ key }) => key.endsWith(MANIFEST_SUFFIX));
  const wraps = await readWraps(from, listed, limits);
  const read = new Map<Manifest, Stored>();
  await inParallel(manifests, AT_ONCE, async (stored) => {
    try {
      read.set(await fetchManifest(from, stored, limits), stored);
    } catch (error) {
      problems.push({ key: stored.key, error: asFactoryError(error, 'read manifest') });
    }
  });
  const marked = await readMarks(from, listed, limits);
  // Before anything else: what is not plausible must not count in any way.
  const wrong = implausible<Dated['manifest']>([...read.keys(), ...marked.map(({ manifest }) => manifest)]);
  for (const [manifest, why] of wrong) {
    // A mark has the name of its object for an id.
    const key = read.get(manifest as Manifest)?.key ?? manifest.backupId;
    problems.push({ key, error: implausibleNumber(key, why) });
    read.delete(manifest as Manifest);
  }
  const marks = marked.filter(({ manifest }) => !wrong.has(manifest));
  for (const [manifest, { key, storedAt, bytes }] of read) {
    const own = wraps.get(manifest.backupId) ?? [];
    const error = whyIncomplete(manifest, { sizes, later, rewrapped: own.length > 0 }, key);
    if (error !== null) {
      problems.push({ key, error });
      continue;
    }
    const firstKeyHeld = sizes.has(manifest.objects.key.key);
    const all = bytesOf(manifest) + bytes;
    entries.push({ manifest, key, storedAt, bytes: all, wraps: own, firstKeyHeld, versions, later });
  }
  entries.sort((a, b) => inTurn(a.manifest, b.manifest) || (a.key < b.key ? -1 : 1));
  const fenced = fencedBackups([...entries, ...marks], trusted);
  for (const { manifest, key } of entries) {
    const epoch = fenced.get(manifest.backupId);
    if (epoch !== undefined) problems.push({ key, error: ofReplacedHost(key, manifest.epoch, epoch) });
  }
  const valid = entries.filter(({ manifest }) => !fenced.has(manifest.backupId));
  const baseless = withoutBase(valid);
  for (const { manifest, key } of baseless) problems.push({ key, error: baseMissing(key, manifest) });
  problems.sort((a, b) => (a.key < b.key ? -1 : 1));
  return {
    url: destination.url,
    name,
    entries: valid.filter((entry) => !baseless.includes(entry)),
    baseless,
    fenced: entries.filter(({ manifest }) => fenced.has(manifest.backupId)),
    marks,
    manifests: [...read.keys()],
    problems,
    leftovers: leftoversIn(listed),
    unread: unreadIn(manifests, read),
    hasBlobs: listed.some(({ key }) => key.startsWith(blobPrefix(name))),
    hidden: hidden.filter(({ key }) => parseManifestKey(key) !== null),
    ...{ versions, later },
    // It helps people only: a key that may not list more than its own name is as good.
    otherNames: listed.length === 0 ? await namesIn(destination, limits).catch(() => []) : [],
  };
}

/** Of what has backups there. */
async function namesIn(destination: Destination, limits: Limits): Promise<string[]> {
  const listed = await Promise.all(ALL_PREFIXES.map((prefix) => destination.list(prefix, limits)));
  return [...new Set(listed.flat().flatMap(({ key }) => parseManifestKey(key)?.name ?? []))].sort();
}

/** What a replaced host still sent before its successor's first backup comes before all of the successor's. */
export const inTurn = (a: Manifest, b: Manifest): number => a.epoch - b.epoch || a.sequence - b.sequence;

function unreadIn(manifests: readonly Stored[], read: ReadonlyMap<Manifest, Stored>): string[] {
  const known = new Set([...read.values()].map(({ key }) => key));
  return manifests.map(({ key }) => key).filter((key) => !known.has(key));
}

export function leftoversIn(listed: readonly Stored[]): Stored[] {
  const whole = new Set(listed.map(({ key }) => parseManifestKey(key)?.stem));
  return listed.filter(({ key }) => {
    const stem = stemOfPart(key);
    return stem !== null && !whole.has(stem);
  });
}

/** The manifest that lies at `key`. Errors: `backup-foreign`, and those of reading a manifest. */
export async function fetchManifest(
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
  const own =
    objectsOf(manifest.objects).every((object) => object.key.startsWith(`${backupId}.`)) &&
    sharedOf(manifest).every((list) => list.key === blobListKey(name, list.sha256));
  if (!same || !own) throw foreign(key);
  return manifest;
}

/**
 * Null: every object is there. `rewrapped`: another key object does the work of the first one, which may be gone. Of a list
 * that has several versions any may be the right one.
 */
function whyIncomplete(
  manifest: Manifest,
  {
    sizes,
    later,
    rewrapped,
  }: { sizes: ReadonlyMap<string, number>; later: ReadonlyMap<string, unknown>; rewrapped: boolean },
  target: string,
): FactoryError | null {
  const { objects } = manifest;
  for (const { key, bytes } of [...objectsOf(objects), ...sharedOf(manifest)]) {
    const found = sizes.get(key);
    if (found === bytes || later.has(key) || (rewrapped && key === objects.key.key)) continue;
    return new FactoryError({
      code: 'backup-incomplete',
      op: 'read catalog',
      target,
      message: found === undefined ? `${key} is missing.` : `${key} has ${found} bytes, not ${bytes}.`,
      hint: 'This backup cannot be restored from here; take another one, or another destination.',
    });
  }
  return null;
}

/** A differential is the pages that changed since a full backup: without that one, whole and as it was, it is nothing. */
function withoutBase(entries: readonly Entry[]): Entry[] {
  const full = new Map(
    entries.flatMap(({ manifest: { backupId, kind, source } }) =>
      kind === 'full' ? [[backupId, source.sha256]] : [],
    ),
  );
  return entries.filter(({ manifest: { base } }) => base !== null && full.get(base.backupId) !== base.sha256);
}

function baseMissing(target: string, { base }: Manifest): FactoryError {
  return new FactoryError({
    code: 'base-missing',
    op: 'read catalog',
    target,
    message: `${target} rests on ${base?.backupId}, which is not there as it was.`,
    hint: 'Restore an earlier backup, or from another destination; `npx factory backup --full` makes one that rests on nothing.',
  });
}

/** The objects that a manifest names. */
export const objectsOf = (objects: Manifest['objects']) =>
  Object.values(objects).filter((object) => object !== null);

/** What it names and other backups may name as well. */
const sharedOf = ({ blobs }: Manifest) => (Array.isArray(blobs) ? [] : [blobs.list]);

function bytesOf({ objects }: Manifest): number {
  return objectsOf(objects).reduce((sum, { bytes }) => sum + bytes, 0);
}

function ofReplacedHost(target: string, epoch: number, newer: number): FactoryError {
  return new FactoryError({
    code: 'backup-fenced',
    op: 'read catalog',
    target,
    message: `${target} was uploaded in epoch ${epoch} after epoch ${newer} had begun, by a host that was replaced.`,
    hint: 'No restore takes it unasked. With its whole id `restore --to FILE --backup ID` gives it to be looked at, and `restore --in-place --backup ID --plan` says how to put it in place. Stop the host that was replaced, and take its key for the destination away.',
  });
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

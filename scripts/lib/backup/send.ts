import { asFactoryError } from '../../../service/errors.ts';
import type { FactoryError } from '../../../service/errors.ts';
import type { Content, Destination, Stored } from '../destinations/destination.ts';
import { sharedThere } from './blob-claim.ts';
import { listBackups } from './catalog.ts';
import { KEY_SUFFIX } from './format.ts';
import type { Ahead } from './ahead.ts';
import type { State } from './state.ts';
import { damagedIn, readVerified } from './verified.ts';

/** Each destination on its own: what one does not do is no matter of the others. */

export interface Sent {
  url: string;
  status: 'ok' | 'failed';
  error?: FactoryError;
}

/** What each destination answered when it was asked what it holds. */
export interface Found {
  destination: Destination;
  /** Bytes by key, of every object of the name. */
  sizes: ReadonlyMap<string, number>;
  /** Backups that a check found damaged there. */
  damaged: ReadonlySet<string>;
  /** When the last of them was written, in ms, by the destination's own clock; absent: it did not answer. */
  latest?: number;
  /** Manifests, the newest by the destination's own time first. */
  newest: Stored[];
  /** Of backups there that count, where they are above what is remembered here; absent: nobody looked. */
  numbers?: readonly number[];
  error: FactoryError | null;
  /** Of one that had not answered when the backup went on: what it answers. */
  late?: Promise<Found>;
}

export interface Parcel {
  key: string;
  content: Content;
  /** Named by its own digest, so that it may be there already. */
  shared?: 'blob' | 'list';
}

export interface Sending {
  name: string;
  signal: AbortSignal;
  progress: (text: string) => void;
}

/** `folder`: of what is remembered. */
export async function ask(
  destination: Destination,
  { name, signal, folder }: Pick<Sending, 'name' | 'signal'> & { folder: string },
): Promise<Found> {
  const damaged = damagedIn(readVerified(folder)[destination.url]);
  try {
    const { manifests, sizes, latest } = await listBackups(destination, name, { signal });
    const newest = manifests.sort((a, b) => Date.parse(b.storedAt) - Date.parse(a.storedAt));
    return { destination, newest, sizes, latest, damaged, error: null };
  } catch (error) {
    const failed = asFactoryError(error, 'list destination');
    return { destination, newest: [], sizes: new Map(), damaged, error: failed };
  }
}

/** A backup as it was sent. */
export interface SentBackup {
  backupId: string;
  /** Bytes by key, its manifest with them; absent: an older release sent it. */
  objects?: Record<string, number> | undefined;
}

/**
 * Whether each destination still has every object of a backup in its size, and nobody found it damaged there. One that
 * does not answer is told apart; it does not make a backup necessary.
 */
export function everywhere(found: readonly Found[], { backupId, objects }: SentBackup): boolean {
  if (objects === undefined) return false;
  return found.every(
    ({ error, sizes, damaged }) =>
      error !== null ||
      (!damaged.has(backupId) &&
        Object.entries(objects).every(
          ([key, bytes]) =>
            sizes.get(key) === bytes || (key === backupId + KEY_SUFFIX && hasOtherKey(sizes, backupId)),
        )),
  );
}

/** Whether each destination holds the last backup, and the full one that it may rest on. */
export function holdsLast({ last, full }: Pick<State, 'last' | 'full'>, found: readonly Found[]): boolean {
  return last !== null && everywhere(found, last) && (full === null || everywhere(found, full));
}

/** Another key object does the work of the first one. */
function hasOtherKey(sizes: ReadonlyMap<string, number>, backupId: string): boolean {
  return [...sizes.keys()].some((key) => key.startsWith(`${backupId}.key-`) && key.endsWith('.age'));
}

export function sentTo({ url }: Destination, error: FactoryError | null): Sent {
  return error === null ? { url, status: 'ok' } : { url, status: 'failed', error };
}

/**
 * In order: a backup exists where its manifest lies, and that comes last. The first parcel, its data, may be there. What is
 * shared is looked for when the backup's own parts lie there: from then on no prune takes it away.
 */
export async function send(
  { destination, error, latest = 0 }: Pick<Found, 'destination' | 'error' | 'latest'>,
  parcels: readonly Parcel[],
  backupId: string,
  { name, signal, progress, ahead }: Sending & { ahead: Pick<Ahead, 'has'> },
): Promise<Sent> {
  if (error !== null) return sentTo(destination, error);
  const needed = parcels.filter(({ shared }) => shared !== undefined).map(({ key }) => key);
  let there: ReadonlyMap<string, number> | null = null;
  try {
    for (const [index, { key, content, shared }] of parcels.entries()) {
      progress(`Sending ${backupId} to ${destination.url}: ${percent(index, parcels.length)}`);
      if (index === 0 && (await ahead.has(destination))) continue;
      if (shared !== undefined) there ??= await sharedThere(destination, { name, needed, latest, signal });
      if (shared !== undefined && there?.get(key) === bytesOf(content)) continue;
      await destination.put(key, content, { signal });
    }
    return sentTo(destination, null);
  } catch (error) {
    return sentTo(destination, asFactoryError(error, 'send backup'));
  }
}

export const bytesOf = (content: Content): number =>
  'data' in content ? content.data.length : content.bytes;
export const percent = (done: number, total: number): string =>
  `${Math.floor((100 * done) / Math.max(total, 1))} %`;

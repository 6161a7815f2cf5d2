import { asFactoryError } from '../../../service/errors.ts';
import type { FactoryError } from '../../../service/errors.ts';
import type { Content, Destination, Stored } from '../destinations/destination.ts';
import { sharedThere } from './blob-claim.ts';
import { listBackups } from './catalog.ts';
import { damagedThere, NOTHING_DAMAGED } from './damaged-objects.ts';
import type { DamagedThere } from './damaged-objects.ts';
import { KEY_SUFFIX } from './format.ts';
import type { Ahead } from './ahead.ts';
import { sendShared } from './send-shared.ts';
import type { State } from './state.ts';
import { damagedIn, lackingIn, readVerified } from './verified.ts';

/** Each destination on its own: what one does not do is no matter of the others. */

export interface Sent {
  url: string;
  status: 'ok' | 'failed';
  error?: FactoryError;
  /** Shared objects that were damaged there, and are right again. */
  sentAgain?: string[];
}

/** What each destination answered when it was asked what it holds. */
export interface Found {
  destination: Destination;
  /** Bytes by key, of every object of the name. */
  sizes: ReadonlyMap<string, number>;
  /** Backups that a check found damaged there. */
  damaged: ReadonlySet<string>;
  /** Those of them that are damaged in what they share with others, and in nothing else: a differential can rest on one. */
  lacking: ReadonlySet<string>;
  /** Shared objects that a check found damaged or missing there, by key. */
  damagedObjects: DamagedThere;
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
  const verified = readVerified(folder)[destination.url];
  const known = {
    ...{ destination, damaged: damagedIn(verified), lacking: lackingIn(verified) },
    damagedObjects: damagedThere(folder, destination.url),
  };
  try {
    const { manifests, sizes, latest } = await listBackups(destination, name, { signal });
    const newest = manifests.sort((a, b) => Date.parse(b.storedAt) - Date.parse(a.storedAt));
    return { ...known, newest, sizes, latest, error: null };
  } catch (error) {
    const failed = asFactoryError(error, 'list destination');
    return { ...known, newest: [], sizes: new Map(), error: failed };
  }
}

/** A backup as it was sent. */
export interface SentBackup {
  backupId: string;
  /** Bytes by key, its manifest with them; absent: an older release sent it. */
  objects?: Record<string, number> | undefined;
  /** What it shares with others has to be whole as well: it is not only what another one rests on. */
  shared?: boolean;
}

/**
 * Whether each destination still has every object of a backup in its size, and nobody found it damaged there. One that
 * does not answer is told apart; it does not make a backup necessary.
 */
export function everywhere(
  found: readonly Found[],
  { backupId, objects, shared = false }: SentBackup,
): boolean {
  if (objects === undefined) return false;
  return found.every(
    ({ error, sizes, damaged, lacking }) =>
      error !== null ||
      ((!damaged.has(backupId) || (lacking.has(backupId) && !shared)) &&
        Object.entries(objects).every(
          ([key, bytes]) =>
            sizes.get(key) === bytes || (key === backupId + KEY_SUFFIX && hasOtherKey(sizes, backupId)),
        )),
  );
}

/** Whether each destination holds the last backup, and the full one that it may rest on. */
export function holdsLast({ last, full }: Pick<State, 'last' | 'full'>, found: readonly Found[]): boolean {
  const isHeld = last !== null && everywhere(found, { ...last, shared: true });
  return isHeld && (full === null || everywhere(found, full));
}

/** Another key object does the work of the first one. */
function hasOtherKey(sizes: ReadonlyMap<string, number>, backupId: string): boolean {
  return [...sizes.keys()].some((key) => key.startsWith(`${backupId}.key-`) && key.endsWith('.age'));
}

export function sentTo({ url }: Destination, error: FactoryError | null): Sent {
  return error === null ? { url, status: 'ok' } : { url, status: 'failed', error };
}

type ToSend = Pick<Found, 'destination' | 'error' | 'latest'> & Partial<Pick<Found, 'damagedObjects'>>;

/**
 * In order: a backup exists where its manifest lies, and that comes last. The first parcel, its data, may be there. What is
 * shared is looked for when the backup's own parts lie there: from then on no prune takes it away.
 */
export async function send(
  { destination, error, latest = 0, damagedObjects: damaged = NOTHING_DAMAGED }: ToSend,
  parcels: readonly Parcel[],
  backupId: string,
  { name, signal, progress, ahead }: Sending & { ahead: Pick<Ahead, 'has'> },
): Promise<Sent> {
  if (error !== null) return sentTo(destination, error);
  const needed = parcels.filter(({ shared }) => shared !== undefined).map(({ key }) => key);
  const sentAgain: string[] = [];
  let there: ReadonlyMap<string, number> | null = null;
  try {
    for (const [index, parcel] of parcels.entries()) {
      const { key, content, shared } = parcel;
      progress(`Sending ${backupId} to ${destination.url}: ${percent(index, parcels.length)}`);
      if (index === 0 && (await ahead.has(destination))) continue;
      if (shared === undefined) {
        await destination.put(key, content, { signal });
        continue;
      }
      there ??= await sharedThere(destination, { name, needed, latest, signal });
      if (await sendShared(parcel, { destination, there, damaged, signal })) sentAgain.push(key);
    }
    return { ...sentTo(destination, null), ...(sentAgain.length === 0 ? {} : { sentAgain }) };
  } catch (error) {
    return sentTo(destination, asFactoryError(error, 'send backup'));
  }
}

export const bytesOf = (content: Content): number =>
  'data' in content ? content.data.length : content.bytes;
export const percent = (done: number, total: number): string =>
  `${Math.floor((100 * done) / Math.max(total, 1))} %`;

import { asFactoryError } from '../../../service/errors.ts';
import type { FactoryError } from '../../../service/errors.ts';
import type { Content, Destination, Stored } from '../destinations/destination.ts';
import { listBackups } from './catalog.ts';

/** Each destination on its own: what one does not do is no matter of the others. */

export interface Sent {
  url: string;
  status: 'ok' | 'failed';
  error?: FactoryError;
}

/** What each destination answered when it was asked what it holds. */
export interface Found {
  destination: Destination;
  backups: Set<string>;
  /** Manifests, the newest by the destination's own time first. */
  newest: Stored[];
  error: FactoryError | null;
}

export interface Parcel {
  key: string;
  content: Content;
}

export interface Sending {
  name: string;
  signal: AbortSignal;
  progress: (text: string) => void;
}

export async function ask(destination: Destination, { name, signal }: Sending): Promise<Found> {
  try {
    const listed = await listBackups(destination, name, { signal });
    const newest = listed
      .map(({ stored }) => stored)
      .sort((a, b) => Date.parse(b.storedAt) - Date.parse(a.storedAt));
    return { destination, newest, backups: new Set(listed.map(({ backupId }) => backupId)), error: null };
  } catch (error) {
    return { destination, newest: [], backups: new Set(), error: asFactoryError(error, 'list destination') };
  }
}

/** A destination that does not answer is told apart; it does not make a backup necessary. */
export function everywhere(found: readonly Found[], backupId: string): boolean {
  return found.every(({ error, backups }) => error !== null || backups.has(backupId));
}

export function sentTo({ url }: Destination, error: FactoryError | null): Sent {
  return error === null ? { url, status: 'ok' } : { url, status: 'failed', error };
}

/** In order: a backup exists where its manifest lies, and that comes last. */
export async function send(
  { destination, error }: Found,
  parcels: readonly Parcel[],
  backupId: string,
  { signal, progress }: Sending,
): Promise<Sent> {
  if (error !== null) return sentTo(destination, error);
  try {
    for (const [index, { key, content }] of parcels.entries()) {
      progress(`Sending ${backupId} to ${destination.url}: ${percent(index, parcels.length)}`);
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

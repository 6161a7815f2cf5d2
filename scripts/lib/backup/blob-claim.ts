import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { FactoryError } from '../../../service/errors.ts';
import type { Destination, Limits, Stored } from '../destinations/destination.ts';
import { blobPrefix, claimKey, isClaim, isShared, MAX_LIST_BYTES } from './blob-list.ts';
import { latestOf } from './catalog.ts';

/**
 * A prune and a backup agree without a lock. A backup first puts its own parts there, then looks what is claimed, and relies
 * on nothing of that. A prune first claims what it takes away, then looks for backups that have begun or ended meanwhile, and
 * leaves what they could rely on. Whichever is second sees the other.
 */

/** A prune has ended long before: `REMOVE_MS` is its limit. */
export const CLAIM_MS = 2 * 60 * 60_000;

/** Names what is about to go; answers what takes the claim back. */
export async function claim(
  destination: Destination,
  { name, keys }: { name: string; keys: readonly string[] },
  { signal }: Limits,
): Promise<() => Promise<void>> {
  const key = claimKey(name, randomUUID());
  await destination.put(key, { data: Buffer.from(keys.map((one) => `${one}\n`).join('')) }, { signal });
  return () => destination.delete(key, { signal });
}

export interface Needing {
  name: string;
  /** Keys that this backup relies on, or writes. */
  needed: readonly string[];
  /** When anything was last written there, by the destination's clock. */
  latest: number;
  signal: AbortSignal;
}

/** Bytes by key of what is shared there, and stays for this backup. Errors: `attachments-going`, those of the destination. */
export async function sharedThere(
  destination: Destination,
  needing: Needing,
): Promise<ReadonlyMap<string, number>> {
  const { name, latest, signal } = needing;
  const listed = await destination.list(blobPrefix(name), { signal });
  const now = Math.max(latest, latestOf(listed));
  const claims = listed.filter(({ key, storedAt }) => isClaim(key) && now - Date.parse(storedAt) < CLAIM_MS);
  for (const one of claims) {
    const claimed = await readClaim(destination, one, signal);
    // Its prune has ended, and what was listed before may be gone.
    if (claimed === null) return sharedThere(destination, needing);
    if (needing.needed.some((key) => claimed.has(key))) throw going(destination.url);
  }
  return new Map(listed.map(({ key, bytes }) => [key, bytes]));
}

/** Null: it is not there any more. One that is not whole claims all that could be. */
async function readClaim(
  destination: Destination,
  { key, bytes }: Stored,
  signal: AbortSignal,
): Promise<Pick<Set<string>, 'has'> | null> {
  if (bytes > MAX_LIST_BYTES) return { has: () => true };
  try {
    const lines = (await buffer(await destination.get(key, { signal }))).toString('latin1').split('\n');
    const isWhole = lines.pop() === '' && lines.every(isShared);
    return isWhole ? new Set(lines) : { has: () => true };
  } catch (error) {
    if (error instanceof FactoryError && error.code === 'destination-object-missing') return null;
    throw error;
  }
}

const going = (target: string): FactoryError =>
  new FactoryError({
    ...{ code: 'attachments-going', op: 'send backup', target, retryable: true },
    message: `A prune is taking attachments away from ${target} that this backup needs.`,
    hint: 'The next run sends them again, when the prune has ended. One that was killed is waited for two hours.',
  });

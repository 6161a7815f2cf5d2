import { hash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { asFactoryError } from '../../../service/errors.ts';
import { isTrusted } from '../backup/signers.ts';
import type { Destination, Stored } from '../destinations/destination.ts';
import { droppedKeys, unusableKeys } from './dropped.ts';
import { MAX_REPLICA_BYTES, oldReplicas, openReplica, replicaNumber } from './replica.ts';
import type { Replica } from './replica.ts';
import type { SentReplica } from './send-replica.ts';

/**
 * Which copies of the keyring may go. An older one goes only for a newer one that is known to be whole, because whoever may
 * write to a destination can put anything there under a newer name. It is known by the machine that sent it, which
 * remembers what it sent, and by whoever can open it. Where neither can be told, all stay.
 */

export interface Knowing {
  /** What this machine sent. */
  sent: readonly SentReplica[];
  /** Private keys that are at hand; none: nothing is opened. */
  identities: readonly string[];
  /** Public keys or fingerprints of signers. */
  trusted: readonly string[];
  now: number;
  windowMs: number;
  signal: AbortSignal;
}

export interface OldCopies {
  /** Those that may go. */
  old: string[];
  /** Why some stay, or do not count; null: nothing is to be said. */
  kept: string | null;
}

export async function oldCopies(
  destination: Destination,
  listed: readonly Stored[],
  knowing: Knowing,
): Promise<OldCopies> {
  const { now, windowMs } = knowing;
  const copies = listed
    .filter(({ key }) => replicaNumber(key) !== null)
    .sort((a, b) => (replicaNumber(b.key) ?? 0) - (replicaNumber(a.key) ?? 0));
  const aged = copies.filter(({ storedAt }) => now - Date.parse(storedAt) >= windowMs);
  const read = reader(destination, knowing);
  let whole: Stored | undefined;
  for (const one of aged) {
    // Nothing is older than the last one, so nothing goes for it.
    if (one === copies.at(-1)) break;
    if (!(await isWhole(one, copies.slice(copies.indexOf(one) + 1), read, knowing))) continue;
    whole = one;
    break;
  }
  const dated = copies.map(({ key, storedAt }) => {
    return { key, storedAt: Date.parse(storedAt), whole: key === whole?.key };
  });
  const [first] = aged;
  const wouldGo = first !== undefined && first !== copies.at(-1);
  const kept = wouldGo && first !== whole ? whyKept(first.key, knowing) : null;
  return { old: oldReplicas(dated, now, windowMs), kept };
}

function whyKept(key: string, { identities }: Knowing): string {
  const next =
    identities.length === 0
      ? 'where its private key is, --identity FILE and --trust KEY tell'
      : 'it does not open, its signer is not trusted here, or it lacks keys that an older one has, or has others';
  return `no copy of the keyring goes for ${key}, which is not known to be whole: ${next}`;
}

interface Reading {
  bytes(one: Stored): Promise<Buffer | null>;
  /** Null: it does not open, nor do its keys, or it is signed by somebody else. */
  opened(one: Stored): Promise<Replica | null>;
}

/** Each is fetched and opened once. */
function reader(destination: Destination, { identities, trusted, signal }: Knowing): Reading {
  const opened = new Map<string, Promise<Replica | null>>();
  const bytes = async ({ key, bytes: size }: Stored): Promise<Buffer | null> =>
    size > MAX_REPLICA_BYTES ? null : buffer(await destination.get(key, { signal }));
  const open = async (one: Stored): Promise<Replica | null> => {
    try {
      const sealed = await bytes(one);
      const replica = sealed && (await openReplica(sealed, identities, one.key));
      const counts = replica !== null && isTrusted(replica.signature.publicKey, trusted);
      return counts && unusableKeys(replica) === null ? replica : null;
    } catch (error) {
      const known = asFactoryError(error, 'read copy of the keyring');
      if (/^(identity-wrong|ciphertext-|keyring-copy-)/.test(known.code)) return null;
      throw error;
    }
  };
  return {
    bytes,
    opened: (one) => {
      const found = opened.get(one.key) ?? open(one);
      opened.set(one.key, found);
      return found;
    },
  };
}

async function isWhole(
  one: Stored,
  older: readonly Stored[],
  { bytes, opened }: Reading,
  { sent, identities }: Knowing,
): Promise<boolean> {
  const own = sent.find(({ key }) => key === one.key);
  if (own !== undefined) {
    const found = await bytes(one);
    if (found !== null && hash('sha256', found) === own.sha256) return true;
  }
  if (identities.length === 0) return false;
  const replica = await opened(one);
  if (replica === null) return false;
  // All that would go, not the one before it alone: two bad copies in a row agree with each other.
  for (const before of older) {
    const other = await opened(before);
    if (other !== null && lacksKeys(other, replica)) return false;
  }
  return true;
}

/** Keys that cannot be counted are not known to be there. */
function lacksKeys(older: Replica, newer: Replica): boolean {
  try {
    return droppedKeys(older, newer) !== null;
  } catch {
    return true;
  }
}

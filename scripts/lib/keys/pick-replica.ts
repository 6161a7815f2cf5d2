import { buffer } from 'node:stream/consumers';
import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import { fingerprint } from '../../../service/jobs/recovery-key.ts';
import { isTrusted } from '../backup/signers.ts';
import type { Destination, Stored } from '../destinations/destination.ts';
import { droppedKeys, unusableKeys } from './dropped.ts';
import { openReplica, replicaNumber } from './replica.ts';
import type { Replica } from './replica.ts';

/**
 * Which copy of a keyring is taken: the newest that opens and agrees with the older ones. Somebody who had the host can sign
 * copies and put them under newer names, as many as they like, but puts none among those that were stored before; so what
 * was stored first counts against what came later.
 */

/** Copies that a candidate is compared with: the first that was stored, and others spread over all. */
const WITNESSES = 24;

export interface Picked {
  replica: Replica;
  key: string;
  passedOver: { key: string; error: FactoryError }[];
}

export interface Picking {
  from: Destination;
  identities: readonly string[];
  /** Public keys or fingerprints of signers; none: any. */
  trusted: readonly string[];
  signal: AbortSignal;
}

/** Errors: why the newest does not open, where none does. */
export async function pickReplica(copies: readonly Stored[], picking: Picking): Promise<Picked> {
  const refused = new Map<string, FactoryError>();
  const open = opener(picking, refused);
  const accepted: Copy[] = [];
  const check = async (one: Stored): Promise<Copy | null> => {
    const copy = await open(one);
    if (copy === null || accepted.includes(copy)) return copy;
    const problem = accepted.map((other) => contradiction(copy, other)).find((found) => found !== null);
    if (problem !== undefined) refused.set(one.key, contradicting(one.key, problem));
    return problem === undefined ? copy : null;
  };
  for (const one of spread([...copies].sort(byTime))) {
    const copy = await check(one);
    if (copy !== null) accepted.push(copy);
  }
  for (const one of [...copies].sort((a, b) => numberOf(b) - numberOf(a))) {
    const copy = await check(one);
    if (copy === null) continue;
    const passedOver = [...refused]
      .map(([key, error]) => ({ key, error }))
      .filter(({ key }) => (replicaNumber(key) ?? 0) > copy.number);
    return { replica: copy.replica, key: one.key, passedOver };
  }
  throw [...refused.values()].at(-1) ?? new TypeError('there was no copy to try');
}

interface Copy {
  replica: Replica;
  number: number;
}

const numberOf = ({ key }: Stored): number => replicaNumber(key) ?? 0;

/** Copies of one moment, as of a destination that was copied, by their numbers. */
const byTime = (a: Stored, b: Stored): number =>
  Date.parse(a.storedAt) - Date.parse(b.storedAt) || numberOf(a) - numberOf(b);

function spread(copies: readonly Stored[]): Stored[] {
  const step = Math.max(1, copies.length / WITNESSES);
  const places = Array.from({ length: Math.min(WITNESSES, copies.length) }, (_, n) => Math.floor(n * step));
  return places.map((at) => copies[at]).filter((one) => one !== undefined);
}

const contradiction = (one: Copy, other: Copy): string | null =>
  one.number > other.number
    ? droppedKeys(other.replica, one.replica)
    : droppedKeys(one.replica, other.replica);

/** Each is fetched once; one that does not open is among the refused. Errors: of the destination. */
function opener(
  { from, identities, trusted, signal }: Picking,
  refused: Map<string, FactoryError>,
): (one: Stored) => Promise<Copy | null> {
  const found = new Map<string, Copy | null>();
  const read = async (one: Stored): Promise<Copy | null> => {
    const { key } = one;
    try {
      const replica = await openReplica(await buffer(await from.get(key, { signal })), identities, key);
      assertTrusted(replica, trusted, key);
      const problem = unusableKeys(replica);
      if (problem !== null) throw contradicting(key, problem);
      return { replica, number: numberOf(one) };
    } catch (error) {
      const known = asFactoryError(error, 'restore keyring');
      if (!/^(identity-wrong|ciphertext-|keyring-copy-|signer-)/.test(known.code)) throw error;
      refused.set(key, known);
      return null;
    }
  };
  return async (one) => {
    const known = found.get(one.key);
    if (known !== undefined) return known;
    const copy = await read(one);
    found.set(one.key, copy);
    return copy;
  };
}

function contradicting(target: string, why: string): FactoryError {
  return new FactoryError({
    ...{ code: 'keyring-copy-lacking', op: 'restore keyring', target },
    message: `${target} is not taken: ${why}.`,
    hint: 'An earlier copy was taken. Find out who wrote this one: somebody who can write there may want content to be lost.',
  });
}

function assertTrusted(
  { signature: { publicKey } }: Replica,
  trusted: readonly string[],
  target: string,
): void {
  if (trusted.length === 0 || isTrusted(publicKey, trusted)) return;
  throw new FactoryError({
    code: 'signer-foreign',
    op: 'restore keyring',
    target,
    message: `${target} is signed by ${fingerprint(publicKey)}, which --trust does not name.`,
    hint: 'Look who else writes to this destination.',
  });
}

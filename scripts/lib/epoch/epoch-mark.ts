import type { KeyObject } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { z } from 'zod';
import { canonicalJson } from '../../../service/canonical-json.ts';
import { publicKeyOf, signatureFits, signatureOf } from '../../../service/ed25519.ts';
import { FactoryError } from '../../../service/errors.ts';
import { fingerprint } from '../../../service/jobs/recovery-key.ts';
import type { Destination, Limits, Stored } from '../destinations/destination.ts';
import { inParallel } from '../parallel.ts';
import type { Dated } from './fence.ts';

/**
 * A small signed object that a restore in place leaves in each destination, as soon as its epoch has begun:
 *
 *   full/<name>/epoch-<epoch>-<since>-<fingerprint of the signer>.json
 *
 * Backups of the new epoch may be days away, because they wait for somebody. The time that counts is the destination's own,
 * of this object: a time that a manifest claims could hide the past from whoever has the signing key. It lies where
 * backups do, so that no further listing is needed and older releases pass it by.
 */

const MARK = /^full\/([a-z0-9][a-z0-9_-]{0,62})\/epoch-(\d{6,15})-(\d{6,15})-[0-9a-f]{16}\.json$/;
const FORMAT = 'build-factory/epoch/1';
const DOMAIN = 'build-factory/epoch/1\n';
const MAX_BYTES = 4 * 1024;
const AT_ONCE = 16;

const schema = z.strictObject({
  format: z.literal(FORMAT),
  name: z.string(),
  epoch: z.int().positive(),
  /** The first sequence of its backups. */
  since: z.int().positive(),
  /** By the clock of the host that restored; for people. */
  at: z.iso.datetime({ precision: 3 }),
  signature: z.strictObject({ publicKey: z.string(), value: z.string() }),
});
type Mark = z.output<typeof schema>;
export type Began = Pick<Mark, 'name' | 'epoch' | 'since' | 'at'>;

const digits = (number: number): string => String(number).padStart(6, '0');

export const markKey = ({ name, epoch, since }: Omit<Began, 'at'>, publicKey: string): string =>
  `full/${name}/epoch-${digits(epoch)}-${digits(since)}-${fingerprint(publicKey)}.json`;

const signedBytes = (unsigned: Omit<Mark, 'signature'>): Buffer =>
  Buffer.from(DOMAIN + canonicalJson(unsigned));

/** Writes it where it is not there yet. Errors: those of the destination. */
export async function leaveMark(
  destination: Destination,
  began: Began,
  signing: KeyObject,
  limits: Limits,
): Promise<void> {
  const unsigned = { format: FORMAT, ...began } as const;
  const mark: Mark = { ...unsigned, signature: signatureOf(signedBytes(unsigned), signing) };
  const key = markKey(began, publicKeyOf(signing));
  // Written over, it would be of now: by then the replaced host may have sent for days.
  if ((await destination.list(`full/${began.name}/`, limits)).some((one) => one.key === key)) return;
  try {
    await destination.put(key, { data: Buffer.from(`${canonicalJson(mark)}\n`) }, limits);
  } catch (error) {
    if (!(error instanceof FactoryError && error.code === 'destination-object-exists')) throw error;
  }
}

/** The epoch in the name of a mark; null: it is none. */
export function markedEpoch(key: string): number | null {
  const [, , epoch] = MARK.exec(key) ?? [];
  return epoch === undefined ? null : Number(epoch);
}

/** Those among what is listed that are as they were signed. Errors: those of the destination. */
export async function readMarks(
  destination: Destination,
  listed: readonly Stored[],
  limits: Limits,
): Promise<Dated[]> {
  const found: Dated[] = [];
  await inParallel(listed, AT_ONCE, async (stored) => {
    if (markedEpoch(stored.key) === null || stored.bytes > MAX_BYTES) return;
    const mark = parse((await buffer(await destination.get(stored.key, limits))).toString('utf8'));
    if (mark === null || markKey(mark, mark.signature.publicKey) !== stored.key) return;
    const { epoch, since, signature } = mark;
    const manifest = { backupId: stored.key, sequence: since, epoch, epochSince: since, signature };
    found.push({ storedAt: stored.storedAt, manifest });
  });
  return found;
}

/** Null: no mark, or one that was changed. */
function parse(text: string): Mark | null {
  try {
    const { signature, ...unsigned } = schema.parse(JSON.parse(text));
    return signatureFits(signedBytes(unsigned), signature) ? { ...unsigned, signature } : null;
  } catch {
    return null;
  }
}

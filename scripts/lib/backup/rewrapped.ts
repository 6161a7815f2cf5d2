import type { KeyObject } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { z } from 'zod';
import { canonicalJson } from '../../../service/canonical-json.ts';
import { signatureFits, signatureOf } from '../../../service/ed25519.ts';
import type { Destination, Limits, Stored } from '../destinations/destination.ts';
import { inParallel } from '../parallel.ts';

/**
 * A backup's data identity, encrypted anew for other recipients, without touching its data or its manifest:
 *
 *   <stem>.key-<n>.age     the key object, n from 2
 *   <stem>.key-<n>.json    a signed statement of what that object is, written after it
 *
 * A statement decides nothing: whoever stole the signing key can write one. What opens the data is the right key, so a
 * reader tries what there is until one does.
 */

const STATEMENT =
  /^((?:full|diff)\/[a-z0-9][a-z0-9_-]{0,62}\/\d{8}T\d{6}Z-\d{6,15})\.key-([1-9]\d{0,5})\.json$/;
const DOMAIN = 'build-factory/backup-key/1\n';
const MAX_BYTES = 64 * 1024;
const AT_ONCE = 16;

const schema = z.strictObject({
  format: z.literal('build-factory/backup-key/1'),
  backupId: z.string(),
  number: z.int().min(2),
  object: z.strictObject({
    key: z.string(),
    bytes: z.int().nonnegative(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  recipients: z.array(z.string()),
  madeAt: z.iso.datetime({ precision: 3 }),
  signature: z.strictObject({ publicKey: z.string(), value: z.string() }),
});
export type Statement = z.output<typeof schema>;

/** A further key object of a backup. */
export interface Rewrapped {
  number: number;
  /** Of its statement. */
  key: string;
  object: Statement['object'];
  recipients: readonly string[];
}

export const wrapKey = (stem: string, number: number, ending: 'age' | 'json'): string =>
  `${stem}.key-${number}.${ending}`;

const signedBytes = (unsigned: Omit<Statement, 'signature'>): Buffer =>
  Buffer.from(DOMAIN + canonicalJson(unsigned));

export function signStatement(unsigned: Omit<Statement, 'signature'>, key: KeyObject): string {
  const whole: Statement = { ...unsigned, signature: signatureOf(signedBytes(unsigned), key) };
  return `${canonicalJson(whole)}\n`;
}

/** Null: no statement, or one that was changed. */
function readStatement(text: string): Statement | null {
  try {
    const { signature, ...unsigned } = schema.parse(JSON.parse(text));
    const fits = signatureFits(signedBytes(unsigned), signature);
    return fits ? { ...unsigned, signature } : null;
  } catch {
    return null;
  }
}

/** The further key objects of each backup whose object is there, the newest first. Errors: those of the destination. */
export async function readWraps(
  destination: Destination,
  listed: readonly Stored[],
  limits: Limits,
): Promise<Map<string, Rewrapped[]>> {
  const sizes = new Map(listed.map(({ key, bytes }) => [key, bytes]));
  const found = new Map<string, Rewrapped[]>();
  await inParallel(listed, AT_ONCE, async ({ key, bytes }) => {
    const [, stem = '', number] = STATEMENT.exec(key) ?? [];
    if (number === undefined || bytes > MAX_BYTES) return;
    const text = (await buffer(await destination.get(key, limits))).toString('utf8');
    const statement = readStatement(text);
    if (statement?.backupId !== stem || statement.number !== Number(number)) return;
    const { object, recipients } = statement;
    if (object.key !== wrapKey(stem, statement.number, 'age') || sizes.get(object.key) !== object.bytes)
      return;
    found.set(stem, [...(found.get(stem) ?? []), { number: statement.number, key, object, recipients }]);
  });
  for (const wraps of found.values()) wraps.sort((a, b) => b.number - a.number);
  return found;
}

import { hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../canonical-json.ts';
import { signatureFits, signatureOf } from '../ed25519.ts';
import { FactoryError } from '../errors.ts';
import { OWN_NAME } from './facts.ts';
import { DRILL_OUTCOMES } from './types.ts';
import type { DrillRecord } from './types.ts';

/**
 * What a drill states about a backup: canonical JSON, signed by who held the drill, so that it can be carried from a
 * drill host to the service and believed there.
 */

export const DRILL_FORMAT = 'build-factory/drill/1';
/** No other kind of statement can be made of what is signed. */
const DOMAIN = `${DRILL_FORMAT}\n`;

const text = (longest: number) =>
  z
    .string()
    .max(longest)
    .regex(/^[^\u0000]*$/, 'Must not hold NUL.')
    .refine((value) => value.isWellFormed(), 'Must not hold half of a surrogate pair.');
const seconds = z.number().nonnegative().nullable();

const check = z.strictObject({
  name: text(100),
  status: z.enum(['pass', 'fail', 'skipped']),
  detail: text(1000),
});

const unsignedSchema = z.strictObject({
  format: z.literal(DRILL_FORMAT),
  id: z.uuid(),
  /** Of the database that was restored; null: another application's, or it came to no database. */
  installation: text(100).nullable(),
  /** Name of the database in its destinations. */
  subject: text(63),
  url: text(2000),
  outcome: z.enum(DRILL_OUTCOMES),
  /** When it was begun. */
  at: z.iso.datetime({ precision: 3 }),
  backupId: text(200).nullable(),
  /** SHA-256 of the database, as the backup's signed manifest has it. */
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  rpoSeconds: seconds,
  rpoBudgetSeconds: z.number().positive(),
  rtoSeconds: seconds,
  restoreSeconds: seconds,
  bootSeconds: seconds,
  checks: z.array(check).max(100),
  /** Whether the application could reach anything: `enforced` by the system, or only `configured` not to. */
  network: z.enum(['enforced', 'configured', 'not-started']),
  /** Backups made wrong on purpose, each of which a drill has to fail; null: not tried this time. */
  canary: z
    .array(z.strictObject({ name: text(100), caught: z.boolean(), detail: text(1000) }))
    .max(20)
    .nullable(),
  release: text(100).nullable(),
  host: text(255),
});
export type UnsignedEvidence = z.output<typeof unsignedSchema>;

/** The form alone; `readEvidence` also looks at the signature. */
export const evidenceSchema = unsignedSchema.extend({
  /** Public key (raw Ed25519, base64) and signature over the format, a line feed, and canonical JSON of all the rest. */
  signature: z.strictObject({ publicKey: text(100), value: text(200) }),
});
export type Evidence = z.output<typeof evidenceSchema>;

const signedBytes = (unsigned: UnsignedEvidence): Buffer => Buffer.from(DOMAIN + canonicalJson(unsigned));

export function signEvidence(unsigned: UnsignedEvidence, key: KeyObject): Evidence {
  return { ...unsigned, signature: signatureOf(signedBytes(unsigned), key) };
}

export function evidenceText(evidence: Evidence): string {
  return canonicalJson(evidence);
}

/** SHA-256 of the canonical text, hex: what names it everywhere. */
export function evidenceDigest(evidence: Evidence): string {
  return hash('sha256', evidenceText(evidence));
}

/** A clock that goes ahead by more than this makes evidence from the future. */
const AHEAD_MS = 5 * 60_000;

export interface Believed {
  installation: string;
  /** Raw public keys, base64. */
  signers: readonly string[];
  now: number;
}

/**
 * Throws unless the evidence is signed by somebody who is believed, about this installation's own database, and not from
 * the future. Errors: `drill-unsigned`, `drill-signer-unknown`, `drill-foreign`, `drill-from-future`.
 */
export function assertBelieved(
  { signature, ...unsigned }: Evidence,
  { installation, signers, now }: Believed,
): void {
  if (!signatureFits(signedBytes(unsigned), signature)) {
    throw refused('unsigned', 'Its signature does not fit what it says.', 'Send it as the drill wrote it.');
  }
  if (!signers.includes(signature.publicKey)) {
    throw refused(
      'signer-unknown',
      `It is signed with ${signature.publicKey}, which is not believed here.`,
      'Put the public key of the drill host into FACTORY_DRILL_SIGNERS, if it is yours.',
    );
  }
  const { subject, outcome } = unsigned;
  const isOurs = unsigned.installation === installation;
  // A drill that came to no database cannot name the installation, and says nothing good of it.
  const isUnknown = unsigned.installation === null && outcome !== 'pass';
  if (subject !== OWN_NAME || !(isOurs || isUnknown)) {
    throw refused(
      'foreign',
      `It is about "${subject}" of ${unsigned.installation ?? 'no installation'}, not about this one.`,
      'Report a drill to the service whose database was restored.',
    );
  }
  if (Date.parse(unsigned.at) > now + AHEAD_MS) {
    throw refused('from-future', `It is of ${unsigned.at}.`, 'Set the clocks of both machines.');
  }
}

function refused(kind: string, why: string, hint: string): FactoryError {
  return new FactoryError({
    code: `drill-${kind}`,
    op: 'accept drill',
    message: `The evidence is refused. ${why}`,
    hint,
  });
}

/** As it is shown. */
export function recordOf(evidence: Evidence): DrillRecord {
  const { id, url, outcome, at, backupId, rpoSeconds, rtoSeconds, restoreSeconds, bootSeconds, checks } =
    evidence;
  return {
    ...{ id, url, outcome, at, backupId, rpoSeconds, rtoSeconds, restoreSeconds, bootSeconds, checks },
    digest: evidenceDigest(evidence),
  };
}

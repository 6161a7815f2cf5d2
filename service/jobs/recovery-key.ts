import { createPrivateKey, createPublicKey, hash, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { canonicalJson } from '../canonical-json.ts';
import type { Config } from '../config.ts';

/**
 * What this machine knows of the keys that read backups: who can read them, which private halves lie here, and of which
 * somebody showed that they still open what is encrypted for them.
 *
 * canary   an age file for one recipient; what is in it is its proof
 * proof    a signed line that only the recipient's private half brings to light
 */

export const SIGNING_FILE = 'backup-signing.pem';
export const RECIPIENTS_FILE = 'backup-recipients.txt';
export const PROOFS_FILE = 'proofs.json';
/** `backup-recovery.key`, and after a rotation `backup-recovery-<fingerprint>.key`. */
export const PRIVATE_FILE = /^backup-(recovery|drill)(-[0-9a-f]+)?\.key$/;
/** One lost key must not lose every backup. */
export const LEAST_RECIPIENTS = 2;

type Keys = Pick<Config, 'environment' | 'keyringDir' | 'backup'>;

const claimSchema = z.strictObject({
  format: z.literal('build-factory/recovery-canary/1'),
  recipient: z.string(),
  /** Digest of the recipients that there were when the canary was made. */
  recipients: z.string(),
  madeAt: z.iso.datetime({ precision: 3 }),
  nonce: z.string(),
});
export type Claim = z.output<typeof claimSchema>;

const proofsSchema = z.strictObject({
  format: z.literal('build-factory/key-proofs/1'),
  proofs: z.array(z.strictObject({ provenAt: z.iso.datetime({ precision: 3 }), proof: z.string() })),
});

export interface Proven {
  recipient: string;
  /** ISO-8601 UTC. */
  provenAt: string;
  proof: string;
}

/** Short enough to be compared by eye: 8 bytes of SHA-256, hex. */
export const fingerprint = (key: string): string => hash('sha256', key).slice(0, 16);

/** Names a set of recipients, in whatever order they stand. */
export const recipientsDigest = (recipients: readonly string[]): string =>
  hash('sha256', [...recipients].sort().join('\n'));

const signedText = (body: string): Buffer => Buffer.from(`build-factory/recovery-canary/1\n${body}`);

/** The line that a canary holds. */
export function proofText(claim: Claim, signing: KeyObject): string {
  const body = Buffer.from(canonicalJson(claim)).toString('base64url');
  return `${body}.${sign(null, signedText(body), signing).toString('base64url')}`;
}

/** What a proof says; null where this installation did not make it. */
export function readProof(text: string, publicKey: KeyObject): Claim | null {
  const [body = '', signature = '', ...rest] = text.split('.');
  if (rest.length > 0 || !verify(null, signedText(body), publicKey, Buffer.from(signature, 'base64url')))
    return null;
  const parsed = claimSchema.safeParse(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')));
  return parsed.success ? parsed.data : null;
}

/** Who can read the next backup; none before the first one was made here. */
export function knownRecipients({ keyringDir, backup }: Pick<Keys, 'keyringDir' | 'backup'>): string[] {
  if (backup.recipients.length > 0) return backup.recipients;
  return linesOf(join(keyringDir, RECIPIENTS_FILE));
}

/** Lines that say something; `#` begins a comment. A file that is not there has none. */
function linesOf(path: string): string[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Files of this machine that open backups. Whoever gets them reads every backup made for them. */
export function privateKeyFiles({ keyringDir, backup }: Pick<Keys, 'keyringDir' | 'backup'>): string[] {
  const names = existsSync(keyringDir)
    ? readdirSync(keyringDir).filter((name) => PRIVATE_FILE.test(name))
    : [];
  const configured =
    backup.identityFile !== null && existsSync(backup.identityFile) ? [backup.identityFile] : [];
  return [...configured, ...names.sort().map((name) => join(keyringDir, name))];
}

/** The proofs that still count: signed by this installation's own key. */
export function provenRecipients({ keyringDir }: Pick<Keys, 'keyringDir'>): Proven[] {
  const [signing, proofs] = [join(keyringDir, SIGNING_FILE), join(keyringDir, PROOFS_FILE)];
  if (!existsSync(signing) || !existsSync(proofs)) return [];
  try {
    const publicKey = createPublicKey(createPrivateKey(readFileSync(signing)));
    return proofsSchema.parse(JSON.parse(readFileSync(proofs, 'utf8'))).proofs.flatMap((one) => {
      const claim = readProof(one.proof, publicKey);
      return claim ? [{ recipient: claim.recipient, ...one }] : [];
    });
  } catch {
    // What cannot be read proves nothing.
    return [];
  }
}

/**
 * The recipients whose private halves have to be shown from outside. Not the drill key of a first installation: it is
 * meant for this machine, drills use it each day, and the copy of the recovery key alone brings everything back.
 */
export function recipientsToProve(config: Keys): string[] {
  const drill = new Set(config.environment === 'production' ? [] : drillPublics(config));
  return knownRecipients(config).filter((recipient) => !drill.has(keyBytes(recipient).toString('hex')));
}

const DRILL_FILE = /^backup-drill(-[0-9a-f]+)?\.key$/;
/** PKCS #8 of an X25519 key, up to its 32 bytes. */
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** Public halves of the drill keys in the keyring, hex. */
function drillPublics({ keyringDir }: Pick<Keys, 'keyringDir'>): string[] {
  const names = existsSync(keyringDir) ? readdirSync(keyringDir).filter((name) => DRILL_FILE.test(name)) : [];
  return names.flatMap((name) => publicsIn(join(keyringDir, name)));
}

/** Public halves of the private keys in a file, hex. What cannot be read holds none. */
function publicsIn(path: string): string[] {
  try {
    return linesOf(path).map((line) => {
      const key = Buffer.concat([PKCS8_X25519, keyBytes(line)]);
      const half = createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
      return half.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
    });
  } catch {
    return [];
  }
}

const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** The 32 bytes in `age1…` or `AGE-SECRET-KEY-1…`; who wrote it checked its sum. */
function keyBytes(text: string): Buffer {
  const letters = text.toLowerCase();
  const digits = [...letters.slice(letters.lastIndexOf('1') + 1, -6)].map((letter) =>
    BECH32.indexOf(letter).toString(2).padStart(5, '0'),
  );
  const bytes = digits.join('').match(/[01]{8}/g) ?? [];
  return Buffer.from(bytes.map((byte) => parseInt(byte, 2)));
}

export interface RecoveryKeyState {
  /** Every recipient that needs it was shown to open what is encrypted for it. */
  proven: boolean;
  /** When the last of these was shown, ISO-8601 UTC; null: not all are. */
  provenAt: string | null;
  /** A private key that opens backups lies here. */
  onHost: boolean;
  /** One of those that have to be shown from outside does: on a first installation the recovery key, not the drill key. */
  recoveryOnHost: boolean;
}

export function recoveryKeyState(config: Keys): RecoveryKeyState {
  const provenAt = new Map(provenRecipients(config).map((one) => [one.recipient, one.provenAt]));
  const recipients = recipientsToProve(config);
  const times = recipients.flatMap((recipient) => provenAt.get(recipient) ?? []);
  const proven = recipients.length > 0 && times.length === recipients.length;
  const files = privateKeyFiles(config);
  const here = new Set(files.flatMap(publicsIn));
  return {
    proven,
    provenAt: proven ? (times.sort().at(-1) ?? null) : null,
    onHost: files.length > 0,
    recoveryOnHost: recipients.some((recipient) => here.has(keyBytes(recipient).toString('hex'))),
  };
}

export const NEXT_RECIPIENTS =
  'On your own machine: `npx factory keys new --out recovery.key`, once for each key; set FACTORY_BACKUP_RECIPIENTS to the two public halves that it prints.';

/** Why no backup can be made here, as one sentence; null: it can. In production no private key is made on the host. */
export function whyNoBackupHere({ environment, backup }: Keys): string | null {
  if (environment !== 'production' || backup.recipients.length >= LEAST_RECIPIENTS) return null;
  const found = backup.recipients.length === 0 ? 'is not set' : 'names one recipient only';
  return `FACTORY_BACKUP_RECIPIENTS ${found}: production needs at least two, one for drills and one that lies offline.`;
}

/** Why no drill can run here, as one sentence; null: it can. A drill needs a private key, and production has none. */
export function whyNoDrillHere({ environment }: Pick<Keys, 'environment'>): string | null {
  if (environment !== 'production') return null;
  return 'Drills of production run on another host or in the pipeline, where the drill key lies: `npx factory drill --from URL --identity FILE`.';
}

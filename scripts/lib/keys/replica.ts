import { hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { canonicalJson } from '../../../service/canonical-json.ts';
import { signatureFits, signatureOf } from '../../../service/ed25519.ts';
import { KEYS_FILE, keyFileBytes } from '../../../service/chat/keys/key-file.ts';
import { FactoryError } from '../../../service/errors.ts';
import { lastSequence } from '../../../service/plausible.ts';
import { PRIVATE_FILE } from '../../../service/jobs/recovery-key.ts';
import { openBytes, sealBytes } from '../backup/sealed.ts';

/**
 * A copy of the service's own keyring, beside the database's backups and never in one:
 *
 *   keyring/<name>/<UTC time>-<sequence>.keyring.age
 *
 * an age file for the recipients of backups; in it signed canonical JSON with the files. Private keys of recipients are
 * not in it: they would be opened by themselves. Few copies are kept: what a key protects ends when its last copy does.
 */

const FORMAT = 'build-factory/keyring/1';
const DOMAIN = 'build-factory/keyring/1\n';
const PLAIN_NAME = /^[A-Za-z0-9][\w.-]{0,100}$/;
/** What one machine alone knows, or is only just writing. */
const OF_THIS_MACHINE = /^fence\.json$|\.(tmp|part|lock)$|-(journal|wal|shm)$/;
const SECRET = 'AGE-SECRET-KEY-';
/** Larger than a keyring, smaller than what fills a memory. */
export const MAX_REPLICA_BYTES = 256 * 1024 * 1024;

const schema = z.strictObject({
  format: z.literal(FORMAT),
  name: z.string(),
  sequence: z.int().positive(),
  madeAt: z.iso.datetime({ precision: 3 }),
  files: z
    .array(z.strictObject({ name: z.string().regex(PLAIN_NAME), mode: z.int(), base64: z.base64() }))
    .min(1),
  signature: z.strictObject({ publicKey: z.string(), value: z.string() }),
});
export type Replica = z.output<typeof schema>;
export type KeyFile = Replica['files'][number];

/** The files of a keyring that a copy holds; none where there is no keyring. */
export function keyFiles(keyringDir: string): KeyFile[] {
  if (!existsSync(keyringDir)) return [];
  return readdirSync(keyringDir, { withFileTypes: true })
    .filter((entry) => entry.isFile() && PLAIN_NAME.test(entry.name))
    .map(({ name }) => name)
    .filter((name) => !PRIVATE_FILE.test(name) && !OF_THIS_MACHINE.test(name))
    .sort()
    .map((name) => {
      const path = join(keyringDir, name);
      // The service writes keys while this looks.
      const content = name === KEYS_FILE ? keyFileBytes(path) : readFileSync(path);
      return { name, mode: statSync(path).mode & 0o777, content };
    })
    .filter(({ content }) => !content.includes(SECRET))
    .map(({ name, mode, content }) => ({ name, mode, base64: content.toString('base64') }));
}

/** Tells whether anything in it changed. */
export const filesDigest = (files: readonly KeyFile[]): string => hash('sha256', canonicalJson(files));

export function replicaKey(name: string, madeAt: string, sequence: number): string {
  const compact = `${madeAt.slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
  return `${replicaPrefix(name)}${compact}-${String(sequence).padStart(6, '0')}.keyring.age`;
}

export const replicaPrefix = (name: string): string => `keyring/${name}/`;

/** Its number; null for what is no copy of a keyring. */
export function replicaNumber(key: string): number | null {
  const found = /^keyring\/[a-z0-9][a-z0-9_-]{0,62}\/\d{8}T\d{6}Z-(\d{6,15})\.keyring\.age$/.exec(key);
  return found ? Number(found[1]) : null;
}

/** Those among the copies whose number no host comes to: whoever may write there can put any into a name. Pure. */
export function implausibleReplicas(keys: readonly string[]): Set<string> {
  const numbers = keys.flatMap((key) => replicaNumber(key) ?? []).filter((number) => number > 0);
  const last = lastSequence(numbers);
  return new Set(keys.filter((key) => (replicaNumber(key) ?? 0) > last));
}

export function implausibleReplica(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'keyring-copy-implausible', op: 'read copies of the keyring', target },
    message: `${target} is not taken: no host comes to that number.`,
    hint: 'Look who else writes to this destination, and delete it.',
  });
}

const signedBytes = (unsigned: Omit<Replica, 'signature'>): Buffer =>
  Buffer.from(DOMAIN + canonicalJson(unsigned));

export async function sealReplica(
  content: Pick<Replica, 'name' | 'sequence' | 'madeAt' | 'files'>,
  recipients: readonly string[],
  signing: KeyObject,
): Promise<Buffer> {
  const unsigned = { format: FORMAT, ...content } as const;
  const replica = { ...unsigned, signature: signatureOf(signedBytes(unsigned), signing) };
  return sealBytes(Buffer.from(canonicalJson(replica)), recipients);
}

/** Errors: `identity-wrong`, `ciphertext-damaged`, `keyring-copy-damaged`. */
export async function openReplica(
  sealed: Buffer,
  identities: readonly string[],
  key: string,
): Promise<Replica> {
  const text = (await openBytes(sealed, identities)).toString('utf8');
  const parsed = parse(text);
  if (parsed === null) throw damaged(key, 'it is not written as it was made');
  const { signature, ...unsigned } = parsed;
  if (!signatureFits(signedBytes(unsigned), signature))
    throw damaged(key, 'it was changed after it was signed');
  if (parsed.sequence !== replicaNumber(key)) throw damaged(key, 'it belongs at another place');
  return parsed;
}

function parse(text: string): Replica | null {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

function damaged(target: string, why: string): FactoryError {
  return new FactoryError({
    code: 'keyring-copy-damaged',
    op: 'read copy of the keyring',
    target,
    message: `${target} is no copy of a keyring: ${why}.`,
    hint: 'Take an earlier one with --at, or another destination.',
  });
}

/**
 * How long a copy outlives the one that followed it: content whose key was taken away becomes unreadable when the last copy
 * with the key goes, so this is the time that a certificate of erasure names. Where every destination is of this machine,
 * an older copy protects from nothing and goes at once.
 */
export const REPLICA_WINDOW_MS = 24 * 60 * 60_000;

/**
 * Copies that may go: each is kept until a newer one that is known to be whole is as old as the window. What merely has a
 * newer name pushes out nothing. By the destination's clock. Pure.
 */
export function oldReplicas(
  listed: readonly { key: string; storedAt: number; whole: boolean }[],
  now: number,
  windowMs: number = REPLICA_WINDOW_MS,
): string[] {
  // Counted as the newest, it would push out every real copy, and be no copy.
  const unreal = implausibleReplicas(listed.map(({ key }) => key));
  const copies = listed
    .flatMap(({ key, storedAt, whole }) => {
      const number = replicaNumber(key);
      return number === null || unreal.has(key) ? [] : [{ key, number, storedAt, whole }];
    })
    .sort((a, b) => b.number - a.number);
  const settled = copies.findIndex(({ storedAt, whole }) => whole && now - storedAt >= windowMs);
  if (settled < 0) return [];
  return copies
    .slice(settled + 1)
    .map(({ key }) => key)
    .reverse();
}

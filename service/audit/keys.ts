/**
 * The keys of the audit log in the keyring folder: `audit-signing.pem` (Ed25519, signs checkpoints),
 * `audit-log.vkey` (its public half, to be handed to auditors), `commitment.key` (32 random bytes).
 */
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FactoryError } from '../errors.ts';
import { createOnce, prepareKeyring } from '../keyring.ts';
import { auditOrigin, formatVkey, parseVkey } from './checkpoint.ts';

const SIGNING = 'audit-signing.pem';
const VERIFIER = 'audit-log.vkey';
const COMMITMENT = 'commitment.key';
const COMMITMENT_BYTES = 32;
/** Without these a log can neither be continued nor checked. */
export const LOG_KEY_FILES: readonly string[] = [SIGNING, COMMITMENT];

export interface AuditKeys {
  origin: string;
  signing: KeyObject;
  vkey: string;
  commitment: Buffer;
}

/** What verification needs; `commitment` is null where only the public half is at hand. */
export interface VerifierKeys {
  vkey: string;
  commitment: Buffer | null;
}

/**
 * The keys of this installation's log. They are made at the first start; beside a log that has entries they must
 * be there, because new ones could neither continue nor check it.
 * Errors: `audit-key-missing`, `audit-key-unreadable`, `audit-key-foreign`, `keyring-unwritable`.
 */
export function loadAuditKeys(keyringDir: string, installation: string, logHasEntries: boolean): AuditKeys {
  const path = (name: string): string => join(keyringDir, name);
  if (!logHasEntries) {
    prepareKeyring(keyringDir);
    createOnce(path(SIGNING), () =>
      generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    );
    createOnce(path(COMMITMENT), () => randomBytes(COMMITMENT_BYTES));
  }
  const origin = auditOrigin(installation);
  const signing = readSigningKey(path(SIGNING));
  const vkey = formatVkey(origin, signing);
  createOnce(path(VERIFIER), () => `${vkey}\n`, 0o644);
  if (readText(path(VERIFIER)) !== vkey) {
    throw keyError(
      'foreign',
      path(VERIFIER),
      `${path(VERIFIER)} is not the public half of ${SIGNING} for ${origin}.`,
    );
  }
  return { origin, signing, vkey, commitment: readCommitmentKey(path(COMMITMENT)) };
}

/** The public key, and the commitment key if it is there. Errors: `audit-key-missing`, `audit-key-unreadable`. */
export function readVerifierKeys(keyringDir: string): VerifierKeys {
  const vkey = readText(join(keyringDir, VERIFIER));
  try {
    parseVkey(vkey);
  } catch (error) {
    throw unreadable(join(keyringDir, VERIFIER), error);
  }
  const commitment = join(keyringDir, COMMITMENT);
  return { vkey, commitment: existsSync(commitment) ? readCommitmentKey(commitment) : null };
}

function readSigningKey(path: string): KeyObject {
  const pem = readText(path);
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519')
      throw new TypeError(`it is a key of type ${key.asymmetricKeyType}`);
    return key;
  } catch (error) {
    throw unreadable(path, error);
  }
}

function readCommitmentKey(path: string): Buffer {
  const key = readBytes(path);
  if (key.length !== COMMITMENT_BYTES)
    throw unreadable(path, new RangeError(`it holds ${key.length} bytes, not 32`));
  return key;
}

function readText(path: string): string {
  return readBytes(path).toString('utf8').trim();
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unreadable(path, error);
    throw keyError(
      'missing',
      path,
      `The key ${path} is missing, and the audit log has entries that were made with it.`,
      error,
    );
  }
}

function unreadable(path: string, cause: unknown): FactoryError {
  return keyError('unreadable', path, `The key ${path} cannot be read: ${(cause as Error).message}.`, cause);
}

function keyError(
  kind: 'missing' | 'unreadable' | 'foreign',
  target: string,
  message: string,
  cause?: unknown,
): FactoryError {
  return new FactoryError({
    code: `audit-key-${kind}`,
    op: 'load audit keys',
    target,
    message,
    hint: 'Restore the keyring folder that belongs to this database from its backup.',
    cause,
  });
}

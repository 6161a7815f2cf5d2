import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import {
  NEXT_RECIPIENTS,
  PRIVATE_FILE,
  RECIPIENTS_FILE as RECIPIENTS,
  SIGNING_FILE as SIGNING,
  whyNoBackupHere,
} from '../../../service/jobs/recovery-key.ts';
import { createOnce, prepareKeyring } from '../../../service/keyring.ts';
import type { Given } from '../verb.ts';
import { publicKeyOf } from './manifest.ts';

/**
 * Keys of backups, in the keyring folder:
 *
 *   backup-signing.pem       signs manifests (Ed25519)
 *   backup-recipients.txt    who can read backups, unless FACTORY_BACKUP_RECIPIENTS says
 *   backup-recovery.key      reads every backup; belongs on another machine
 *   backup-drill.key         reads every backup, for drills on this machine
 *   proofs.json              that the recipients' private halves were seen to work
 *
 * Recipients and private keys are made where nothing is configured, so that a first installation has backups at once;
 * never in production. A rotation adds `backup-recovery-<fingerprint>.key` and its like beside the older ones.
 */

const RECOVERY = 'backup-recovery.key';
const DRILL = 'backup-drill.key';
/** As `--identity`: the key comes on standard input, and never lies on this machine's disk. */
export const STDIN = '-';

type Keyring = Pick<Config, 'environment' | 'keyringDir' | 'backup'>;

/** Made at its first use. Errors: `keyring-unwritable`, `backup-key-unreadable`. */
export function signingKey({ keyringDir }: Pick<Config, 'keyringDir'>): KeyObject {
  const path = join(keyringDir, SIGNING);
  prepareKeyring(keyringDir);
  createOnce(path, () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  try {
    return createPrivateKey(readFileSync(path));
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The public half of the signing key, where there is one; looks only. Errors: `backup-key-unreadable`. */
export function ownSigner(config: Pick<Config, 'keyringDir'>): string[] {
  return existsSync(join(config.keyringDir, SIGNING)) ? [publicKeyOf(signingKey(config))] : [];
}

/**
 * Who can read the next backup; at least two, so that one lost key loses nothing. `made` names the recovery key where
 * it was just made: that is told once. Errors: `recipients-missing` (in production), `keyring-unwritable`.
 */
export async function recipientsFor(config: Keyring): Promise<{ recipients: string[]; made: string | null }> {
  const { keyringDir, backup } = config;
  assertRecipients(config);
  if (backup.recipients.length > 0) return { recipients: backup.recipients, made: null };
  const path = join(keyringDir, RECIPIENTS);
  if (existsSync(path)) return { recipients: lines(path), made: null };
  prepareKeyring(keyringDir);
  const recipients: string[] = [];
  for (const name of [RECOVERY, DRILL]) {
    const identity = await generateX25519Identity();
    createOnce(join(keyringDir, name), () => `${identity}\n`);
  }
  for (const name of [RECOVERY, DRILL])
    recipients.push(await identityToRecipient(lines(join(keyringDir, name))[0] ?? ''));
  createOnce(path, () => `${recipients.join('\n')}\n`, 0o644);
  return { recipients: lines(path), made: join(keyringDir, RECOVERY) };
}

function assertRecipients(config: Keyring): void {
  const why = whyNoBackupHere(config);
  if (why === null) return;
  throw new FactoryError({
    code: 'recipients-missing',
    op: 'read backup keys',
    target: 'FACTORY_BACKUP_RECIPIENTS',
    message: why,
    hint: NEXT_RECIPIENTS,
  });
}

/** The file of `--identity`, as it was meant where it was typed; undefined: none was given. */
export function identityFile(cwd: string, given: Given): string | undefined {
  const file = given.text('identity');
  return file === undefined || file === STDIN ? file : resolve(cwd, file);
}

/**
 * What can read backups here: the given file (`-`: standard input), else the configured one, else what lies in the
 * keyring. Errors: `identity-missing`, `backup-key-unreadable`.
 */
export function identitiesFor(
  { keyringDir, backup }: Pick<Keyring, 'keyringDir' | 'backup'>,
  given: string | undefined,
): string[] {
  const named = given ?? backup.identityFile;
  const paths = named === null ? keysIn(keyringDir) : [named];
  const identities = paths.flatMap(identitiesIn);
  if (identities.length > 0) return identities;
  throw new FactoryError({
    code: 'identity-missing',
    op: 'read backup keys',
    target: named ?? keyringDir,
    message: `No age identity is ${named === null ? 'in the keyring' : `in ${named}`}, so no backup can be read.`,
    hint: 'Give the recovery key: --identity FILE (- reads it from standard input), or FACTORY_BACKUP_IDENTITY_FILE.',
  });
}

/** Private keys of the keyring: those of drills first, because they are the ones that are meant for this machine. */
function keysIn(keyringDir: string): string[] {
  if (!existsSync(keyringDir)) return [];
  const names = readdirSync(keyringDir).filter((name) => PRIVATE_FILE.test(name));
  return names.sort().map((name) => join(keyringDir, name));
}

function identitiesIn(path: string): string[] {
  return lines(path).filter((line) => line.startsWith('AGE-SECRET-KEY-'));
}

/** Lines of a file that say something; `#` begins a comment, as age writes them. */
function lines(path: string): string[] {
  try {
    return readFileSync(path === STDIN ? process.stdin.fd : path, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    code: 'backup-key-unreadable',
    op: 'read backup keys',
    target,
    message: `The key file ${target} cannot be read: ${(cause as Error).message}.`,
    hint: 'Check the path and that this user may read it.',
    cause,
  });
}

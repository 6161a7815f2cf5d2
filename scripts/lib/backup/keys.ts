import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { createOnce, prepareKeyring } from '../../../service/keyring.ts';

/**
 * Keys of backups, in the keyring folder:
 *
 *   backup-signing.pem       signs manifests (Ed25519)
 *   backup-recipients.txt    who can read backups, unless FACTORY_BACKUP_RECIPIENTS says
 *   backup-recovery.key      reads every backup; belongs on another machine
 *   backup-drill.key         reads every backup, for drills on this machine
 *
 * The last three are made where nothing is configured, so that a first installation has backups at once.
 */

const SIGNING = 'backup-signing.pem';
const RECIPIENTS = 'backup-recipients.txt';
const RECOVERY = 'backup-recovery.key';
const DRILL = 'backup-drill.key';

type Keyring = Pick<Config, 'keyringDir' | 'backup'>;

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

/**
 * Who can read the next backup; at least two, so that one lost key loses nothing. `made` names the recovery key where
 * it was just made: that is told once.
 */
export async function recipientsFor({
  keyringDir,
  backup,
}: Keyring): Promise<{ recipients: string[]; made: string | null }> {
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

/**
 * What can read backups here: the given file, else the configured one, else what lies in the keyring.
 * Errors: `identity-missing`, `backup-key-unreadable`.
 */
export function identitiesFor({ keyringDir, backup }: Keyring, given: string | undefined): string[] {
  const named = given ?? backup.identityFile;
  const paths = named === null ? [DRILL, RECOVERY].map((name) => join(keyringDir, name)) : [named];
  const identities = paths.filter((path) => named !== null || existsSync(path)).flatMap(identitiesIn);
  if (identities.length > 0) return identities;
  throw new FactoryError({
    code: 'identity-missing',
    op: 'read backup keys',
    target: named ?? keyringDir,
    message: `No age identity is ${named === null ? 'in the keyring' : `in ${named}`}, so no backup can be read.`,
    hint: 'Give the recovery key: --identity FILE, or FACTORY_BACKUP_IDENTITY_FILE.',
  });
}

function identitiesIn(path: string): string[] {
  return lines(path).filter((line) => line.startsWith('AGE-SECRET-KEY-'));
}

/** Lines of a file that say something; `#` begins a comment, as age writes them. */
function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
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

import { hash } from 'node:crypto';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { canonicalJson } from '../../../service/canonical-json.ts';
import { fingerprint, RECIPIENTS_FILE } from '../../../service/jobs/recovery-key.ts';
import { createOnce, prepareKeyring } from '../../../service/keyring.ts';
import { replaceFile } from '../backup/state.ts';

/** Other recipients for the backups to come. */

export interface Rotation {
  /** Who can read backups now. */
  before: string[];
  /** Who shall; null: keys that are made here. */
  after: string[] | null;
}

export function rotationDigest({ before, after }: Rotation): string {
  const text = canonicalJson({ before: [...before].sort(), after: after && [...after].sort() });
  return hash('sha256', `build-factory/rotation/1\n${text}`);
}

/**
 * Makes new keys where none are given, then puts the recipients into force, last and at once: cut off anywhere the old
 * ones count, and a key that was made is left. No key is taken away. Errors: `keyring-unwritable`.
 */
export async function applyRotation(
  keyringDir: string,
  { after }: Rotation,
): Promise<{ recipients: string[]; made: string[] }> {
  prepareKeyring(keyringDir);
  const made: string[] = [];
  const recipients = after ?? [];
  for (const role of after === null ? ['recovery', 'drill'] : []) {
    const identity = await generateX25519Identity();
    const recipient = await identityToRecipient(identity);
    const path = join(keyringDir, `backup-${role}-${fingerprint(recipient)}.key`);
    createOnce(path, () => `${identity}\n`);
    recipients.push(recipient);
    made.push(path);
  }
  replaceFile(join(keyringDir, RECIPIENTS_FILE), `${recipients.join('\n')}\n`);
  return { recipients, made };
}

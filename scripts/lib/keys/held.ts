import { identityToRecipient } from 'age-encryption';
import type { Config } from '../../../service/config.ts';
import { privateKeyFiles } from '../../../service/jobs/recovery-key.ts';
import { identitiesFor } from '../backup/keys.ts';

/** Whose private halves lie on this machine, with the file. Errors: `backup-key-unreadable`, `identity-missing`. */
export async function heldRecipients(
  config: Pick<Config, 'keyringDir' | 'backup'>,
): Promise<Map<string, string>> {
  const held = new Map<string, string>();
  for (const path of privateKeyFiles(config))
    for (const identity of identitiesFor(config, path)) held.set(await identityToRecipient(identity), path);
  return held;
}

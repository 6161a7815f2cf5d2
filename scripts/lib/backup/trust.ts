import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../../service/config.ts';
import { isPublicKey } from '../../../service/ed25519.ts';
import { prepareKeyring } from '../../../service/keyring.ts';
import { replaceFile } from '../../../service/replace-file.ts';
import { usage } from '../failure.ts';
import type { Given } from '../verb.ts';
import { ownSigner } from './keys.ts';

/**
 * Whose manifests count here: those of this installation, of a key that was named with `--trust`, and of one that a
 * restore in place was told to trust (`backup-trusted.txt` in the keyring, a key a line).
 */

const TRUSTED = 'backup-trusted.txt';

const FINGERPRINT = /^[0-9a-f]{16}$/;

/** What `--trust` names: public keys or fingerprints. Errors: `usage`. */
export function namedSigners(verb: string, given: Given): string[] {
  const named = given.list('trust');
  const wrong = named.find((one) => !isPublicKey(one) && !FINGERPRINT.test(one));
  if (wrong === undefined) return named;
  throw usage(verb, `--trust: "${wrong}" is no public key and no fingerprint; \`keys show\` prints both.`);
}

type Keyring = Pick<Config, 'keyringDir'>;

/** Raw Ed25519 public keys, base64, or fingerprints as they were named. Makes nothing. */
export function trustedSigners(config: Keyring, named: readonly string[] = []): string[] {
  return [...new Set([...ownSigner(config), ...remembered(config), ...named])];
}

function remembered({ keyringDir }: Keyring): string[] {
  const path = join(keyringDir, TRUSTED);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
}

/** Later verbs of this installation take backups of this signer, too. */
export function rememberTrust(config: Keyring, signer: string): void {
  if (trustedSigners(config).includes(signer)) return;
  prepareKeyring(config.keyringDir);
  const lines = [...remembered(config), signer];
  replaceFile(join(config.keyringDir, TRUSTED), `${lines.join('\n')}\n`, 0o644);
}

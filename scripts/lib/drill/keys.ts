import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../../service/config.ts';
import { createOnce, prepareKeyring } from '../../../service/keyring.ts';
import { SIGNING_FILE } from '../../../service/jobs/recovery-key.ts';
import { signingKey } from '../backup/keys.ts';

const DRILL_SIGNING = 'drill-signing.pem';

/**
 * What signs the evidence of drills: the installation's own key where its database or its backups are made, else one of
 * this drill host, made at its first use, whose public half belongs into FACTORY_DRILL_SIGNERS of the service.
 */
export function drillSigningKey({ keyringDir }: Pick<Config, 'keyringDir'>, hasData: boolean): KeyObject {
  if (hasData || existsSync(join(keyringDir, SIGNING_FILE))) return signingKey({ keyringDir });
  const path = join(keyringDir, DRILL_SIGNING);
  prepareKeyring(keyringDir);
  createOnce(path, () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  return createPrivateKey(readFileSync(path));
}

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readVerifierKeys } from '../../../service/audit/keys.ts';
import type { Config } from '../../../service/config.ts';
import {
  knownRecipients,
  NEXT_RECIPIENTS,
  privateKeyFiles,
  whyNoBackupHere,
} from '../../../service/jobs/recovery-key.ts';
import { shellWord } from '../command.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

const NAME = 'keyring';
/** Files that others may read: public keys. */
const PUBLIC = /\.vkey$|^backup-(recipients|trusted)\.txt$/;

/** Keys that are there, readable, and readable by nobody else. `needed`: the log has entries made with them. */
export function keyringCheck(
  { keyringDir, environment, backup }: Pick<Config, 'keyringDir' | 'environment' | 'backup'>,
  needed: boolean,
): Check {
  if (!existsSync(keyringDir)) {
    if (!needed) return ok(NAME, `${keyringDir} is made at the first start.`);
    return fail(
      NAME,
      `${keyringDir} is missing.`,
      'Restore the keyring folder that belongs to this database.',
    );
  }
  const open = exposed(keyringDir);
  if (open.length > 0) {
    return warn(
      NAME,
      `Other users may read ${open.join(', ')}.`,
      `chmod go-rwx ${open.map((path) => shellWord(path)).join(' ')}`,
    );
  }
  const [held] = environment === 'production' ? privateKeyFiles({ keyringDir, backup }) : [];
  if (held !== undefined) {
    const hint =
      'Move it to your own machine, and rotate: whoever had this host has the key. docs/keys.md says how.';
    return warn(NAME, `${held} reads every backup, and lies on a production host.`, hint);
  }
  if (needed) readVerifierKeys(keyringDir);
  return ok(NAME, `${keyringDir} is readable by its owner alone.`);
}

/** Paths with rights for group or others. Windows has no such bits. */
function exposed(dir: string): string[] {
  if (process.platform === 'win32') return [];
  const secrets = readdirSync(dir).filter((name) => !PUBLIC.test(name));
  return [dir, ...secrets.map((name) => join(dir, name))].filter(
    (path) => (statSync(path).mode & 0o077) !== 0,
  );
}

/** Whether the next backup has somebody who can read it. */
export function recipientsCheck(config: Pick<Config, 'keyringDir' | 'environment' | 'backup'>): Check {
  const name = 'backup keys';
  const why = whyNoBackupHere(config);
  if (why !== null) return fail(name, why, NEXT_RECIPIENTS);
  const { length } = knownRecipients(config);
  return ok(
    name,
    length === 0 ? 'Made with the first backup.' : `${length} recipients read the next backup.`,
  );
}

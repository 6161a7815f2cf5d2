import { fstatSync, realpathSync, statSync } from 'node:fs';
import { sep } from 'node:path';
import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { privateKeyFiles } from '../../../service/jobs/recovery-key.ts';
import { STDIN } from '../backup/keys.ts';

type Keys = Pick<Config, 'keyringDir' | 'backup'>;

/**
 * Whether a key file (`-`: standard input; absent: what lies here) is the one that this installation has itself: under
 * another name, by a link, or in the keyring folder. Such a key says nothing of the copy that outlives this machine.
 */
export function isOriginal(config: Keys, file: string | undefined): boolean {
  if (file === undefined) return true;
  const given = identityOf(file);
  if (given === null) return false;
  if (privateKeyFiles(config).some((one) => identityOf(one) === given)) return true;
  return file !== STDIN && within(file, config.keyringDir);
}

/** Device and number of a file; null: it is not there, or no file. */
function identityOf(file: string): string | null {
  try {
    const found = file === STDIN ? fstatSync(process.stdin.fd) : statSync(file);
    return found.isFile() ? `${found.dev}:${found.ino}` : null;
  } catch {
    return null;
  }
}

function within(file: string, folder: string): boolean {
  try {
    return realpathSync(file).startsWith(realpathSync(folder) + sep);
  } catch {
    return false;
  }
}

export function originalProvesNothing(file: string | undefined): FactoryError {
  const what = file === undefined || file === STDIN ? 'The key that lies here' : `${file}`;
  return new FactoryError({
    ...{ code: 'proof-of-original', op: 'prove recovery key', target: file },
    message: `${what} is the original, which is lost with this machine: it proves nothing of your copy. Nothing was recorded.`,
    hint: 'Where the copy can be read here, on a stick for example: `npx factory keys prove --identity COPY`. On another machine: `npx factory keys prove --challenge > canary.txt` here, `npx factory keys prove --identity COPY --canary canary.txt` there, then here `npx factory keys prove --proof TEXT` with what that printed.',
  });
}

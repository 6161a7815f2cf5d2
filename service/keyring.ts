import { closeSync, existsSync, fsyncSync, linkSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { FactoryError } from './errors.ts';
import { makeFolder } from './folders.ts';

/** Files of the keyring folder. Nothing of it lies in a database or in a backup of one. */

/** Makes the folder, for its owner alone. Errors: `keyring-unwritable`. */
export function prepareKeyring(dir: string): void {
  try {
    makeFolder(dir, 0o700);
  } catch (error) {
    throw unwritable(dir, error);
  }
}

/**
 * Writes beside, then links into place: a process that starts at the same moment finds either nothing or the whole
 * file, and never replaces a key that is there. Errors: `keyring-unwritable`.
 */
export function createOnce(path: string, content: () => string | Buffer, mode = 0o600): void {
  if (existsSync(path)) return;
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    const file = openSync(beside, 'w', mode);
    try {
      writeSync(file, Buffer.from(content()));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    linkSync(beside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(path, error);
  } finally {
    if (existsSync(beside)) unlinkSync(beside);
  }
}

function unwritable(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    code: 'keyring-unwritable',
    op: 'create keys',
    target,
    message: `${target} cannot be written: ${(cause as Error).message}.`,
    hint: 'Make the folder writable for this user, or set FACTORY_KEYRING_DIR.',
    cause,
  });
}

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CheckpointFile } from '../../service/audit/checkpoint-files.ts';
import { parseVkey } from '../../service/audit/checkpoint.ts';
import { FactoryError } from '../../service/errors.ts';
import { usage } from './failure.ts';

const VERB = 'verify-audit';

/** The checkpoints that were named. Errors: `usage` where a file cannot be read. */
export function readCheckpointArgs(paths: string[], cwd: string): CheckpointFile[] {
  return paths.map((path) => ({ path, text: readFile(resolve(cwd, path), '--checkpoint') }));
}

/** A public key by its text, or by a file that holds it. Errors: `usage`. */
export function readVkeyArg(value: string | undefined, cwd: string): string | undefined {
  if (value === undefined) return undefined;
  const path = resolve(cwd, value);
  const vkey = existsSync(path) ? readFile(path, '--vkey').trim() : value;
  try {
    parseVkey(vkey);
    return vkey;
  } catch (error) {
    if (!(error instanceof FactoryError)) throw error;
    throw usage(VERB, `--vkey is neither a file nor a key: ${error.message}`, error);
  }
}

function readFile(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw usage(VERB, `The file of ${option} cannot be read: ${(error as Error).message}.`, error);
  }
}

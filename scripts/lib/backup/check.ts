import { fileURLToPath } from 'node:url';
import { FactoryError } from '../../../service/errors.ts';
import type { SqliteFacts } from '../../../service/storage/sqlite-snapshot.ts';
import { forkQuietly } from './child.ts';
import type { CheckMessage } from './check-process.ts';

const ENTRY = fileURLToPath(new URL('check-process.ts', import.meta.url));

export interface Checked {
  facts: SqliteFacts;
  /** What SQLite finds wrong; none where all is well. */
  problems: string[];
}

/**
 * What a database file holds and what SQLite finds wrong in it, by a process of its own: a signal stops it at once, and
 * the caller goes on meanwhile. Errors: those of `sqliteFacts`, and `check-failed` if the process ended without a word.
 */
export function checkDatabase(path: string, signal: AbortSignal): Promise<Checked> {
  const child = forkQuietly(ENTRY, [path], signal);
  return new Promise((resolve, reject) => {
    child.on('message', (message: CheckMessage) => {
      if (message.kind === 'checked') return resolve(message);
      const { code, message: text, hint } = message;
      reject(new FactoryError({ code, op: 'check database', target: path, message: text, hint }));
    });
    child.on('error', (error) => reject(signal.aborted ? error : ended(path, error.message, error)));
    child.on('exit', (code, killed) => reject(ended(path, `its process ended with ${killed ?? code}`)));
  });
}

function ended(target: string, why: string, cause?: Error): FactoryError {
  return new FactoryError({
    code: 'check-failed',
    op: 'check database',
    target,
    message: `The check of ${target} did not end well: ${why}.`,
    hint: 'Look at free memory, then try again.',
    retryable: true,
    cause,
  });
}

import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { FactoryError } from '../../../service/errors.ts';
import type { SqliteFacts } from '../../../service/storage/sqlite-snapshot.ts';
import { forkQuietly } from './child.ts';
import type { SnapshotMessage } from './snapshot-process.ts';

const ENTRY = fileURLToPath(new URL('snapshot-process.ts', import.meta.url));

export interface Snapshot {
  facts: SqliteFacts;
  /** Of the copy alone. */
  seconds: number;
  /** Rejects where SQLite finds something wrong with the copy: `snapshot-damaged`. */
  checked: Promise<void>;
}

/**
 * Copies a database in a process of its own; resolves when the copy is on disk, while its check goes on.
 * Errors: those of `copySqlite`, and `snapshot-failed` if the process ended without a word.
 */
export function takeSnapshot(
  source: string,
  target: string,
  options: { signal: AbortSignal; onProgress?: (done: number, total: number) => void },
): Promise<Snapshot> {
  const child = forkQuietly(ENTRY, [source, target], options.signal);
  const checked = Promise.withResolvers<void>();
  // Who takes the snapshot waits for the check; if it fails before, nobody does.
  checked.promise.catch(() => undefined);
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      reject(error);
      checked.reject(error);
    };
    child.on('message', (message: SnapshotMessage) => {
      if (message.kind === 'progress') options.onProgress?.(message.done, message.total);
      else if (message.kind === 'copied') resolve({ ...message, checked: checked.promise });
      else if (message.kind === 'failed') fail(told(message, source));
      else if (message.problems.length === 0) checked.resolve();
      else checked.reject(damaged(source, message.problems));
    });
    child.on('error', (error) => fail(ended(source, error)));
    child.on('exit', () => fail(ended(source, describe(child))));
  });
}

function describe({ exitCode, signalCode }: ChildProcess): Error {
  return new Error(`its process ended with ${signalCode ?? exitCode}`);
}

function told({ code, message, hint }: SnapshotMessage & { kind: 'failed' }, target: string): FactoryError {
  return new FactoryError({ code, op: 'copy database', target, message, hint });
}

function ended(target: string, cause: Error): FactoryError {
  return new FactoryError({
    code: 'snapshot-failed',
    op: 'copy database',
    target,
    message: `The copy of ${target} did not end well: ${cause.message}.`,
    hint: 'Look at free space and memory, then run the backup again; no destination keeps anything of it.',
    retryable: true,
    cause,
  });
}

function damaged(target: string, problems: string[]): FactoryError {
  return new FactoryError({
    code: 'snapshot-damaged',
    op: 'check database',
    target,
    message: `SQLite finds the database ${target} damaged: ${problems.slice(0, 3).join('; ')}.`,
    hint: 'No destination keeps anything of it. Restore the newest good backup beside it with `npx factory restore --to`, and compare.',
    details: { problems },
  });
}

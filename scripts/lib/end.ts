import { existsSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { anyHangs } from '../../service/folder-calls.ts';

const SHELL = '/bin/sh';

/**
 * Lets the process end with that code, once nothing is left to do. Where a call to the file system hangs, Node would wait for
 * it for ever, also in `process.exit`: then a shell takes the place of this process, and ends with the code.
 */
export async function endWith(code: number, streams: readonly Writable[]): Promise<void> {
  process.exitCode = code;
  if (!anyHangs() || !existsSync(SHELL) || process.execve === undefined) return;
  await Promise.all(streams.map(written));
  // Nothing about the feature being new belongs behind the answer.
  process.removeAllListeners('warning');
  process.execve(SHELL, [SHELL, '-c', `exit ${code}`], {});
}

/** What was written before has left this process. */
const written = (stream: Writable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });

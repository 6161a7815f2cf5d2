import { existsSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { FactoryError } from '../../service/errors.ts';
import { syncFolder } from '../../service/replace-file.ts';

/** Where long content goes: a new file, or stdout. */
export interface Output {
  readonly bytes: number;
  /** False: nobody reads it any more. */
  write(chunk: Buffer): Promise<boolean>;
  /** Takes away what came after so many bytes; false where that is not to be had back. */
  backTo(bytes: number): Promise<boolean>;
}

/** A reader that has seen enough (`| head`) ends the writing, and that is no error. */
export function toStdout(stdout: Writable): Output {
  let bytes = 0;
  const write = (chunk: Buffer): Promise<boolean> =>
    new Promise((resolve, reject) => {
      stdout.write(chunk, (error) => {
        bytes += chunk.length;
        if (!error) resolve(true);
        else if (isClosed(error)) resolve(false);
        else reject(error);
      });
    });
  return {
    get bytes() {
      return bytes;
    },
    write,
    backTo: (to) => Promise.resolve(to === bytes),
  };
}

const isClosed = ({ code }: NodeJS.ErrnoException): boolean =>
  code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';

/** Beside it first: a file under the name that was asked for is whole. Errors: `export-exists`, `export-unwritable`. */
export async function toNewFile<T>(path: string, op: string, fill: (file: Output) => Promise<T>): Promise<T> {
  if (existsSync(path)) throw exists(path, op);
  const beside = `${path}.part`;
  const file = await open(beside, 'w', 0o600).catch((error: unknown) => {
    throw unwritable(path, op, error as Error);
  });
  let bytes = 0;
  try {
    const made = await fill({
      get bytes() {
        return bytes;
      },
      async write(chunk) {
        await file.write(chunk, 0, chunk.length, bytes).catch((error: unknown) => {
          throw unwritable(path, op, error as Error);
        });
        bytes += chunk.length;
        return true;
      },
      async backTo(to) {
        await file.truncate(to);
        bytes = to;
        return true;
      },
    });
    await file.sync();
    if (existsSync(path)) throw exists(path, op);
    await rename(beside, path);
    syncFolder(dirname(path));
    return made;
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

function exists(target: string, op: string): FactoryError {
  return new FactoryError({
    ...{ code: 'export-exists', op, target },
    message: `${target} is there already, and nothing is replaced unasked.`,
    hint: 'Name another file, or remove that one.',
  });
}

function unwritable(target: string, op: string, cause: Error): FactoryError {
  return new FactoryError({
    ...{ code: 'export-unwritable', op, target, cause },
    message: `${target} cannot be written: ${cause.message}.`,
    hint: 'Nothing was kept. Make room, or name another file.',
  });
}

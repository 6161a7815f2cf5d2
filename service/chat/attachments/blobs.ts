import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, opendir, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FactoryError } from '../../errors.ts';
import { makeFolder } from '../../folders.ts';
import { syncFolder } from '../../replace-file.ts';

/** Where sealed files lie. They are written once, under a name that is known when all of it was written. */
export interface Blobs {
  /** Begins one beside the others. Errors of all that writes: `attachment-unwritable`. */
  begin(): Promise<BlobWriter>;
  /** What is in it, from its begin. Errors: `content-missing`. */
  read(name: string): AsyncIterable<Buffer>;
  has(name: string): Promise<boolean>;
  /** Takes it away; one that is not there is no error. */
  remove(name: string): Promise<void>;
  /** All of them, and when they were last written, in ms. */
  list(): AsyncIterable<{ name: string; writtenAt: number }>;
  /** Takes away what was begun before a time, in ms, and never kept. */
  clear(before: number): Promise<void>;
}

export interface BlobWriter {
  write(bytes: Buffer): Promise<void>;
  /** On disk under this name when it resolves; what has the name already is replaced. */
  keep(name: string): Promise<void>;
  /** Takes away what was written. */
  drop(): Promise<void>;
}

const NAME = /^[0-9a-f]{64}$/;
/** Holds what is being written. */
const BESIDE = 'incoming';
const UNWRITABLE = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'EPERM', 'EFBIG']);

/** Blobs as files of a folder: `<folder>/ab/abcdef…`. */
export function folderBlobs(folder: string): Blobs {
  const pathOf = (name: string): string => {
    if (!NAME.test(name)) throw new RangeError(`"${name}" is no name of a blob.`);
    return join(folder, name.slice(0, 2), name);
  };
  const beside = join(folder, BESIDE);

  return {
    async begin() {
      const path = join(beside, `${randomUUID()}.part`);
      return written(folder, async () => {
        makeFolder(beside, 0o700);
        return fileWriter({ folder, path, file: await open(path, 'wx', 0o600), pathOf });
      });
    },
    read: (name) => readFile(pathOf(name), name),
    has: (name) =>
      stat(pathOf(name)).then(
        () => true,
        () => false,
      ),
    async remove(name) {
      await rm(pathOf(name), { force: true });
      await syncIfThere(dirname(pathOf(name)));
    },
    async *list() {
      for (const shelf of await namesIn(folder)) {
        if (shelf === BESIDE) continue;
        for await (const { name } of await opendir(join(folder, shelf))) {
          const found = NAME.test(name) ? await stat(pathOf(name)).catch(() => null) : null;
          if (found) yield { name, writtenAt: found.mtimeMs };
        }
      }
    },
    async clear(before) {
      for (const name of await namesIn(beside)) {
        const path = join(beside, name);
        const found = await stat(path).catch(() => null);
        if (found && found.mtimeMs < before) await rm(path, { force: true });
      }
    },
  };
}

/** Says what a folder refused that the service writes to: it is full, or not to be written. */
async function written<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!UNWRITABLE.has(code)) throw error;
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    throw new FactoryError({
      ...{
        code: 'attachment-unwritable',
        op: 'write attachment',
        target: folder,
        retryable: true,
        cause: error,
      },
      message: full
        ? 'The disk of the attachments is full. Nothing of this file was kept.'
        : 'The folder of the attachments cannot be written. Nothing of this file was kept.',
      hint: full
        ? 'Free some space, or ask whoever runs the service to; then send it again.'
        : 'Ask whoever runs the service to look at the rights and the disk of its data folder; then send it again.',
    });
  }
}

interface Begun {
  folder: string;
  path: string;
  file: FileHandle;
  pathOf: (name: string) => string;
}

function fileWriter({ folder, path, file, pathOf }: Begun): BlobWriter {
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await file.close();
    isOpen = false;
  };
  return {
    write: (bytes) => written(folder, () => file.writeFile(bytes)),
    keep: (name) =>
      written(folder, async () => {
        await file.sync();
        await close();
        const target = pathOf(name);
        makeFolder(dirname(target), 0o700);
        await rename(path, target);
        syncFolder(dirname(target));
        syncFolder(dirname(dirname(target)));
      }),
    async drop() {
      await close();
      await rm(path, { force: true });
    },
  };
}

async function* readFile(path: string, name: string): AsyncGenerator<Buffer> {
  try {
    for await (const bytes of createReadStream(path, { highWaterMark: 256 * 1024 })) yield bytes as Buffer;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new FactoryError({
      ...{ code: 'content-missing', op: 'read attachment', target: name, cause: error },
      message: `The file of an attachment is not there: ${name}.`,
      hint: 'Nothing was changed. Put the folder `blobs` of the data folder back from a backup that has it.',
    });
  }
}

const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });

async function syncIfThere(folder: string): Promise<void> {
  try {
    syncFolder(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

import { createWriteStream } from 'node:fs';
import { link, open, readdir, rm, stat, unlink } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { readInTurn } from '../backup/bulk.ts';
import type { Content, Destination, Stored } from './destination.ts';

/** Files that are being written; one that is older was left by a process that ended. */
const BESIDE = /^\.[0-9a-f-]{36}\.part$/;
const LEFT_BEHIND_MS = 24 * 60 * 60 * 1000;

/** A folder on a disk of this machine, or one that is mounted; `path`: absolute and normal, as the configuration has it. */
export function folderDestination(url: string, path: string): Destination {
  const pathOf = (key: string): string => join(path, ...key.split('/'));

  return {
    url,

    async put(key, content, { signal }) {
      const target = pathOf(key);
      const folder = dirname(target);
      const beside = join(folder, `.${randomUUID()}.part`);
      try {
        makeFolder(folder, 0o700);
        await removeLeftBehind(folder);
        await pipeline(
          piecesOf(content, signal),
          createWriteStream(beside, { flags: 'wx', mode: 0o600, flush: true }),
          {
            signal,
          },
        );
        // A link fails where the name is taken; a rename would replace what is there.
        await link(beside, target);
        await syncFolder(folder);
      } catch (error) {
        throw folderError('write', target, error);
      } finally {
        await rm(beside, { force: true }).catch(() => undefined);
      }
    },

    async get(key) {
      try {
        const file = await open(pathOf(key));
        return file.createReadStream({ highWaterMark: 256 * 1024 });
      } catch (error) {
        throw folderError('read', pathOf(key), error);
      }
    },

    async list(prefix) {
      const folder = pathOf(prefix.replace(/\/$/, ''));
      try {
        const found = await readdir(folder, { withFileTypes: true, recursive: true });
        const files = found.filter((entry) => entry.isFile() && !entry.name.startsWith('.'));
        const stored = await Promise.all(
          files.map((file) => storedAt(path, join(file.parentPath, file.name))),
        );
        return stored.filter((one) => one !== null).sort((a, b) => (a.key < b.key ? -1 : 1));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw folderError('list', folder, error);
      }
    },

    async delete(key) {
      try {
        await unlink(pathOf(key));
        await syncFolder(dirname(pathOf(key)));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
          throw folderError('delete', pathOf(key), error);
      }
    },
  };
}

const piecesOf = (content: Content, signal: AbortSignal): Iterable<Buffer> | AsyncIterable<Buffer> =>
  'path' in content ? readInTurn(content.path, signal) : [content.data];

/** Null: it went away meanwhile. */
async function storedAt(root: string, path: string): Promise<Stored | null> {
  try {
    const { size, mtime } = await stat(path);
    return { key: path.slice(root.length + 1), bytes: size, storedAt: mtime.toISOString() };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function removeLeftBehind(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!BESIDE.test(name)) continue;
    const file = await stat(join(folder, name)).catch(() => null);
    if (file && Date.now() - file.mtimeMs > LEFT_BEHIND_MS) await rm(join(folder, name), { force: true });
  }
}

const CODES: Record<string, [code: string, message: string, hint: string]> = {
  EEXIST: [
    'destination-object-exists',
    'exists already and is not replaced',
    'Look who else writes there: each installation needs a folder of its own.',
  ],
  ENOENT: [
    'destination-object-missing',
    'is not there',
    'Look whether the folder is mounted, and what `npx factory backups list` shows.',
  ],
  ENOSPC: [
    'destination-full',
    'does not fit: the disk is full',
    'Free space there, or choose another destination.',
  ],
  EDQUOT: [
    'destination-full',
    'does not fit: the quota is used up',
    'Free space there, or choose another destination.',
  ],
  ENOTDIR: [
    'destination-failed',
    'cannot be used: a file stands where a folder belongs',
    'Move that file away, or name another folder in FACTORY_BACKUP_DESTINATIONS.',
  ],
  ABORT_ERR: [
    'destination-timeout',
    'took too long',
    'Look at the disk or the mount; the next run tries again.',
  ],
};

/** What the file system said, as an error of a destination. */
export function folderError(what: string, target: string, cause: unknown): FactoryError {
  const { code = 'unknown', message: reason } = cause as NodeJS.ErrnoException;
  const known = CODES[code];
  const [ours, message, hint] = known ?? [
    'destination-failed',
    `cannot be used: ${reason}`,
    'Check that the folder exists and is writable for this user.',
  ];
  return new FactoryError({
    ...{ code: ours, op: `${what} in destination`, target, hint, cause },
    message: `${target} ${message}.`,
    retryable: ours !== 'destination-object-exists',
  });
}

import { link, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { GIVE_UP_MS } from '../../../service/config-values.ts';
import { FactoryError } from '../../../service/errors.ts';
import { readInTurn } from '../backup/bulk.ts';
import type { Content, Destination, Stored } from './destination.ts';
import { callsIn } from '../../../service/folder-calls.ts';

/** Files that are being written; one that is older was left by a process that ended. */
const BESIDE = /^\.[0-9a-f-]{36}\.part$/;
const LEFT_BEHIND_MS = 24 * 60 * 60 * 1000;
const PIECE_BYTES = 256 * 1024;
/** For what was written to reach a slow disk. */
const SYNC_TIMES = 10;
const CLEAN_UP_MS = 2_000;
/** What was begun is tidied up also after a run was stopped. */
const UNSTOPPED = new AbortController().signal;

interface Calling {
  /** Makes a call, which is waited for; `times` as long as for others. */
  call: <T>(work: () => Promise<T>, times?: number) => Promise<T>;
  close: (file: FileHandle) => Promise<void>;
}

/**
 * A folder on a disk of this machine, or one that is mounted; `path`: absolute and normal, as the configuration has it;
 * `giveUpMs`: what gives no answer for so long is given up.
 */
export function folderDestination(url: string, path: string, giveUpMs = GIVE_UP_MS): Destination {
  const pathOf = (key: string): string => join(path, ...key.split('/'));
  const calls = callsIn(path);
  const calling = (signal: AbortSignal): Calling => ({
    call: (work, times = 1) => calls.call(work, { signal, ms: times * giveUpMs }),
    close: (file) => calls.call(() => file.close(), { signal: UNSTOPPED, ms: giveUpMs }),
  });

  return {
    url,

    async put(key, content, { signal, replace = false }) {
      const there = calling(signal);
      const { call } = there;
      const target = pathOf(key);
      const folder = dirname(target);
      const beside = join(folder, `.${randomUUID()}.part`);
      try {
        await call(() => makeFolder(folder));
        await removeLeftBehind(folder, there);
        await writeNew(beside, piecesOf(content, signal), there);
        // A link fails where the name is taken; a rename would replace what is there.
        await call(() => (replace ? rename(beside, target) : link(beside, target)));
        await syncFolder(folder, there);
      } catch (error) {
        throw folderError('write', target, error);
      } finally {
        await calls
          .call(() => rm(beside, { force: true }), { signal: UNSTOPPED, ms: CLEAN_UP_MS })
          .catch(() => undefined);
      }
    },

    async get(key, { signal }) {
      const there = calling(signal);
      const failed = (error: unknown): FactoryError => folderError('read', pathOf(key), error);
      try {
        return contentOf(await openIn(pathOf(key), 'r', there), there, failed);
      } catch (error) {
        throw failed(error);
      }
    },

    async exists({ signal }) {
      try {
        return await calling(signal).call(() => stat(path).then(() => true, falseIfMissing));
      } catch (error) {
        throw folderError('look for', path, error);
      }
    },

    async list(prefix, { signal }) {
      const folder = pathOf(prefix.replace(/\/$/, ''));
      try {
        const stored: Stored[] = [];
        await addFiles(folder, { root: path, stored, there: calling(signal) });
        return stored.sort((a, b) => (a.key < b.key ? -1 : 1));
      } catch (error) {
        throw folderError('list', folder, error);
      }
    },

    async delete(key, { signal }) {
      const there = calling(signal);
      try {
        await there.call(() => unlink(pathOf(key)));
        await syncFolder(dirname(pathOf(key)), there);
      } catch (error) {
        if (!isMissing(error)) throw folderError('delete', pathOf(key), error);
      }
    },
  };
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

const piecesOf = (content: Content, signal: AbortSignal): Iterable<Buffer> | AsyncIterable<Buffer> =>
  'path' in content ? readInTurn(content.path, signal) : [content.data];

/**
 * Makes a folder and what is missing above it. Node's own recursive form never returns where the system refuses with "no
 * such file", as below /proc.
 */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, 0o700);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path, 0o700).catch((again: NodeJS.ErrnoException) => {
      // Another process may have been first.
      if (again.code !== 'EEXIST') throw again;
    });
  }
}

/** Opened after it was given up, it is closed again. */
async function openIn(path: string, flags: 'r' | 'wx', { call }: Calling): Promise<FileHandle> {
  let opening: Promise<FileHandle> | null = null;
  try {
    return await call(() => (opening = open(path, flags, 0o600)));
  } catch (error) {
    void (opening as Promise<FileHandle> | null)?.then((file) => file.close()).catch(() => undefined);
    throw error;
  }
}

async function writeNew(
  path: string,
  pieces: Iterable<Buffer> | AsyncIterable<Buffer>,
  there: Calling,
): Promise<void> {
  const { call } = there;
  const file = await openIn(path, 'wx', there);
  try {
    for await (const piece of pieces) await call(() => writeAll(file, piece));
    await call(() => file.sync(), SYNC_TIMES);
  } finally {
    await there.close(file);
  }
}

/** A write can take a part only, as where the disk is nearly full. */
async function writeAll(file: FileHandle, piece: Buffer): Promise<void> {
  for (let done = 0; done < piece.length;) done += (await file.write(piece, done)).bytesWritten;
}

function contentOf(
  file: FileHandle,
  { call, close }: Calling,
  failed: (error: unknown) => FactoryError,
): Readable {
  return new Readable({
    highWaterMark: PIECE_BYTES,
    read() {
      const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
      call(() => file.read(buffer, 0, PIECE_BYTES, null)).then(
        ({ bytesRead }) => this.push(bytesRead === 0 ? null : buffer.subarray(0, bytesRead)),
        (error: unknown) => this.destroy(failed(error)),
      );
    },
    destroy(error, done) {
      void close(file).catch(() => undefined);
      done(error);
    },
  });
}

interface Listing {
  root: string;
  stored: Stored[];
  there: Calling;
}

/** Every file below a folder; one that is not there, or goes away meanwhile, has none. */
async function addFiles(folder: string, listing: Listing): Promise<void> {
  const { root, stored, there } = listing;
  const found = await there.call(() => readdir(folder, { withFileTypes: true })).catch(noneIfMissing);
  for (const entry of found ?? []) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await addFiles(path, listing);
    if (!entry.isFile() || entry.name.startsWith('.')) continue;
    const file = await there.call(() => stat(path)).catch(noneIfMissing);
    if (file === null) continue;
    stored.push({
      key: path.slice(root.length + 1),
      bytes: file.size,
      storedAt: file.mtime.toISOString(),
    });
  }
}

function noneIfMissing(error: unknown): null {
  if (isMissing(error)) return null;
  throw error;
}

function falseIfMissing(error: unknown): false {
  if (isMissing(error)) return false;
  throw error;
}

async function syncFolder(path: string, there: Calling): Promise<void> {
  const folder = await openIn(path, 'r', there);
  try {
    await there.call(() => folder.sync(), SYNC_TIMES);
  } finally {
    await there.close(folder);
  }
}

async function removeLeftBehind(folder: string, { call }: Calling): Promise<void> {
  for (const name of await call(() => readdir(folder))) {
    if (!BESIDE.test(name)) continue;
    const file = await call(() => stat(join(folder, name))).catch(noneIfMissing);
    if (file && Date.now() - file.mtimeMs > LEFT_BEHIND_MS)
      await call(() => rm(join(folder, name), { force: true }));
  }
}

const TIMEOUT: [code: string, message: string, hint: string] = [
  'destination-timeout',
  'gave no answer in time',
  'Look at the disk or the mount; the next run tries again.',
];
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
  ABORT_ERR: TIMEOUT,
  ETIMEDOUT: TIMEOUT,
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

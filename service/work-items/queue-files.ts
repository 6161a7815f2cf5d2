import nodeFs from 'node:fs';
import type { Stats } from 'node:fs';
import { basename, join } from 'node:path';
import { decodeText, isItemId, MAX_FILE_BYTES } from './record-text.ts';
import { LANES } from './types.ts';
import type { QueueProblem } from './types.ts';
import { reporter } from './yaml-nodes.ts';

/**
 * The part of node:fs that the queue uses; tests pass doubles. Looks are synchronous: on a local disk an `lstat` costs
 * 3 µs, through the thread pool 40 µs, and a scan yields between its slices.
 */
export type QueueFs = Pick<
  typeof nodeFs,
  | 'closeSync'
  | 'fstatSync'
  | 'fsync'
  | 'linkSync'
  | 'lstatSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readdirSync'
  | 'readSync'
  | 'realpathSync'
  | 'renameSync'
  | 'statSync'
  | 'unlinkSync'
  | 'watch'
  | 'writeSync'
>;

/** The work-items folder (it may itself be a link: the operator chose it) and the file system below it. */
export interface QueueRoot {
  dir: string;
  fs: QueueFs;
}

export const PROMPTS = 'prompts';
export const POLICY_FILE = 'policy.yaml';
/** The seven folders of a queue. */
export const FOLDERS = [...LANES, PROMPTS] as const;
export type Folder = (typeof FOLDERS)[number];

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = nodeFs.constants;

export type Look =
  { kind: 'absent' } | { kind: 'found'; stats: Stats } | { kind: 'problem'; problem: QueueProblem };

export type Read =
  | { kind: 'absent' }
  | { kind: 'read'; bytes: Buffer; text: string; stats: Stats }
  | { kind: 'problem'; problem: QueueProblem };

/** The id that a path's file name tells, e.g. `done/wi-BF-1.md` or `prompts/wi-BF-1.prompt.md`. */
export function idOfPath(path: string): string | null {
  const id = /^(.*?)(?:\.prompt)?\.md$/s.exec(basename(path))?.[1];
  return id !== undefined && isItemId(id) ? id : null;
}

export function fileProblem(path: string, code: string, message: string, hint: string): QueueProblem {
  const problems: QueueProblem[] = [];
  reporter(path, idOfPath(path), problems)(1, code, message, hint);
  return problems[0] as QueueProblem;
}

/** Looks at one of the folders; links are not followed. */
export function lookFolder(root: QueueRoot, folder: string): Look {
  const look = lookAt(root, folder);
  if (look.kind !== 'found' || look.stats.isDirectory()) return look;
  return problemOf(
    folder,
    'folder-unreadable',
    `\`${folder}\` is not a folder.`,
    'Move the file away, make a folder.',
  );
}

/** Looks at a file; its folder must be a real one. Links, folders, devices and too large files are problems. */
export function lookFile(root: QueueRoot, path: string): Look {
  const slash = path.lastIndexOf('/');
  if (slash > 0) {
    const folder = lookFolder(root, path.slice(0, slash));
    if (folder.kind !== 'found') return folder;
  }
  return lookListedFile(root, path);
}

/** `lookFile` for a path whose folder was looked at just now. */
export function lookListedFile(root: QueueRoot, path: string): Look {
  const look = lookAt(root, path);
  if (look.kind !== 'found') return look;
  if (!look.stats.isFile()) {
    return problemOf(path, 'not-a-file', `\`${path}\` is not a regular file.`, 'Replace it by a text file.');
  }
  return look.stats.size > MAX_FILE_BYTES ? tooBig(path, look.stats.size) : look;
}

/** Reads a file of at most `MAX_FILE_BYTES` as strict UTF-8, without following a link on the way. */
export function readFile(root: QueueRoot, path: string): Read {
  const look = lookFile(root, path);
  return look.kind === 'found' ? readFoundFile(root, path, look.stats) : look;
}

/** `readFile` for a file that was looked at just now. */
export function readFoundFile(root: QueueRoot, path: string, stats: Stats): Read {
  const bytes = readBytes(root, path);
  if (!Buffer.isBuffer(bytes)) return bytes;
  if (bytes.byteLength > MAX_FILE_BYTES) return tooBig(path, bytes.byteLength);
  const { text, problems } = decodeText(bytes, { path, itemId: idOfPath(path) });
  if (text === null) return { kind: 'problem', problem: problems[0] as QueueProblem };
  return { kind: 'read', bytes, text, stats };
}

/** At most one byte more than allowed, whatever the file grows to meanwhile. */
function readBytes(root: QueueRoot, path: string): Buffer | Read {
  const full = join(root.dir, path);
  let fd: number | null = null;
  try {
    fd = root.fs.openSync(full, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    // A folder may have been swapped for a link since it was looked at.
    const real = join(root.fs.realpathSync.native(root.dir), path);
    if (root.fs.realpathSync.native(full) !== real) return linkProblem(path);
    const buffer = Buffer.alloc(Math.min(root.fs.fstatSync(fd).size, MAX_FILE_BYTES) + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = root.fs.readSync(fd, buffer, length, buffer.length - length, null);
    }
    return buffer.subarray(0, length);
  } catch (error) {
    return failed(path, error);
  } finally {
    if (fd !== null) root.fs.closeSync(fd);
  }
}

function lookAt(root: QueueRoot, path: string): Look {
  try {
    const stats = root.fs.lstatSync(join(root.dir, path), { throwIfNoEntry: false });
    if (!stats) return { kind: 'absent' };
    return stats.isSymbolicLink() ? linkProblem(path) : { kind: 'found', stats };
  } catch (error) {
    return failed(path, error);
  }
}

function failed(
  path: string,
  error: unknown,
): { kind: 'absent' } | { kind: 'problem'; problem: QueueProblem } {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined) throw error;
  if (code === 'ENOENT') return { kind: 'absent' };
  if (code === 'ELOOP') return linkProblem(path);
  const kind = path.includes('/') ? 'file-unreadable' : 'folder-unreadable';
  return problemOf(
    path,
    kind,
    `\`${path}\` cannot be read (${code}).`,
    'Give the service the right to read it.',
  );
}

function linkProblem(path: string): { kind: 'problem'; problem: QueueProblem } {
  return problemOf(
    path,
    'link-not-followed',
    `\`${path}\` is a link.`,
    'Replace the link by what it points to.',
  );
}

function tooBig(path: string, size: number): { kind: 'problem'; problem: QueueProblem } {
  const message = `The file has ${size} bytes, the limit is ${MAX_FILE_BYTES}.`;
  return problemOf(path, 'file-too-big', message, 'Shorten it, and link to what is large.');
}

function problemOf(path: string, code: string, message: string, hint: string) {
  return { kind: 'problem' as const, problem: fileProblem(path, code, message, hint) };
}

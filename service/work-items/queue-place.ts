import nodeFs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FactoryError } from '../errors.ts';
import { lookFolder, readFile } from './queue-files.ts';
import type { QueueRoot } from './queue-files.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = nodeFs.constants;

/** Where a record waits, hidden from readers, until its successor is known to be complete. */
export function asideOf(path: string): string {
  return `${dirname(path)}/.${basename(path)}.moving`;
}

/** The text of a queue file; null where there is none. Throws `queue-file-unreadable`. */
export function readText(root: QueueRoot, path: string, op: string): string | null {
  const read = readFile(root, path);
  if (read.kind === 'absent') return null;
  if (read.kind === 'read') return read.text;
  const { code, message, hint } = read.problem;
  const retryable = code.endsWith('-unreadable');
  throw new FactoryError({ code: 'queue-file-unreadable', op, target: path, message, hint, retryable });
}

/** Writes a file that must not exist: beside, fsync, link into place, fsync folder. Throws `queue-target-exists`. */
export async function place(root: QueueRoot, path: string, text: string, op: string): Promise<void> {
  await ensureFolder(root, dirname(path), op);
  const beside = await writeBeside(root, path, text);
  try {
    moveInto(root, beside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    root.fs.unlinkSync(full(root, beside));
    throw targetExists(op, path);
  }
  await syncFolder(root, dirname(path));
}

/**
 * Replaces a file that holds `present`. It is compared again just before the rename; what was saved in between stays,
 * with the retryable error `queue-file-changed`.
 */
export async function replace(
  root: QueueRoot,
  path: string,
  present: string,
  text: string,
  op: string,
): Promise<void> {
  const beside = await writeBeside(root, path, text);
  if (readText(root, path, op) !== present) {
    root.fs.unlinkSync(full(root, beside));
    throw new FactoryError({
      code: 'queue-file-changed',
      op,
      target: path,
      message: `\`${path}\` was changed while it was being rewritten.`,
      hint: 'Nothing was overwritten; repeat the action.',
      retryable: true,
    });
  }
  root.fs.renameSync(full(root, beside), full(root, path));
  await syncFolder(root, dirname(path));
}

/** Puts a hidden file back under its name, unless that is taken. */
export function putBack(root: QueueRoot, aside: string, path: string, op: string): void {
  try {
    moveInto(root, aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new FactoryError({
      code: 'queue-target-exists',
      op,
      target: path,
      message: `\`${path}\` was written anew; the text before it is kept in \`${aside}\`.`,
      hint: `Merge what you need from \`${aside}\`, remove it, then repeat the action.`,
    });
  }
}

export async function syncFolder(root: QueueRoot, folder: string): Promise<void> {
  const fd = root.fs.openSync(full(root, folder), O_RDONLY);
  try {
    await sync(root, fd);
  } finally {
    root.fs.closeSync(fd);
  }
}

export function full(root: QueueRoot, path: string): string {
  return join(root.dir, path);
}

export function targetExists(op: string, path: string): FactoryError {
  return new FactoryError({
    code: 'queue-target-exists',
    op,
    target: path,
    message: `\`${path}\` exists already and holds another text.`,
    hint: 'Look at both files and keep one; nothing was overwritten.',
  });
}

/** Takes away what a crash left of an attempt to write this file. */
export function sweep(root: QueueRoot, path: string): void {
  const beside = full(root, besideOf(path));
  if (root.fs.lstatSync(beside, { throwIfNoEntry: false })) root.fs.unlinkSync(beside);
}

function besideOf(path: string): string {
  return `${dirname(path)}/.${basename(path)}.writing`;
}

async function writeBeside(root: QueueRoot, path: string, text: string): Promise<string> {
  const beside = besideOf(path);
  sweep(root, path);
  const fd = root.fs.openSync(full(root, beside), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
  try {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length;) at += root.fs.writeSync(fd, bytes, at);
    await sync(root, fd);
  } finally {
    root.fs.closeSync(fd);
  }
  return beside;
}

async function ensureFolder(root: QueueRoot, folder: string, op: string): Promise<void> {
  const look = lookFolder(root, folder);
  if (look.kind === 'found') return;
  if (look.kind === 'problem') {
    const { message, hint } = look.problem;
    throw new FactoryError({ code: 'queue-folder-unusable', op, target: folder, message, hint });
  }
  root.fs.mkdirSync(full(root, folder));
  await syncFolder(root, '.');
}

/**
 * Gives a file its name without ever overwriting, and takes the hidden name away. A link refuses a taken name; where
 * the file system has no links (exFAT, some network folders) the name is looked at before the rename.
 */
function moveInto(root: QueueRoot, from: string, to: string): void {
  try {
    root.fs.linkSync(full(root, from), full(root, to));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error;
    if (root.fs.lstatSync(full(root, to), { throwIfNoEntry: false })) {
      throw Object.assign(new Error(`${to} exists`), { code: 'EEXIST' });
    }
    root.fs.renameSync(full(root, from), full(root, to));
    return;
  }
  root.fs.unlinkSync(full(root, from));
}

function sync(root: QueueRoot, fd: number): Promise<void> {
  return new Promise((resolve, reject) => root.fs.fsync(fd, (error) => (error ? reject(error) : resolve())));
}

/** The folder of checkpoints: one file a size, named so that the newest sorts last. */
import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeFolder } from '../folders.ts';
import { FactoryError } from '../errors.ts';
import { parseCheckpoint } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';

const NAME = /^\d{12,}\.checkpoint$/;

/** How many of the newest files are kept; of older ones the first of each day stays. */
export const KEPT_NEWEST = 1_000;

export interface CheckpointFile {
  path: string;
  text: string;
}

export function checkpointName(size: number): string {
  return `${String(size).padStart(12, '0')}.checkpoint`;
}

/** Names in the folder, oldest first; none if there is no folder. Errors: `checkpoints-unreadable`. */
export async function listCheckpoints(dir: string): Promise<string[]> {
  try {
    const names = (await readdir(dir)).filter((name) => NAME.test(name));
    return names.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw folderError('checkpoints-unreadable', 'read', dir, error);
  }
}

/** The newest `limit` files, oldest first. Errors: `checkpoints-unreadable`. */
export async function readCheckpoints(dir: string, limit = KEPT_NEWEST): Promise<CheckpointFile[]> {
  const files: CheckpointFile[] = [];
  for (const name of (await listCheckpoints(dir)).slice(-limit)) {
    const path = join(dir, name);
    try {
      files.push({ path, text: await readFile(path, 'utf8') });
    } catch (error) {
      // Removed by retention since the folder was listed.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw folderError('checkpoints-unreadable', 'read', path, error);
    }
  }
  return files;
}

/** Writes beside, syncs, renames, syncs the folder. Errors: `checkpoints-unwritable`. */
export async function writeCheckpoint(dir: string, size: number, text: string): Promise<void> {
  const path = join(dir, checkpointName(size));
  // Two processes may write the same size at the same moment.
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    makeFolder(dir, 0o700);
    await writeSynced(beside, text);
    await rename(beside, path);
    await syncFolder(dir);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => undefined);
    throw folderError('checkpoints-unwritable', 'write', dir, error);
  }
}

/** Where checkpoints lie that a restore gave up: kept as evidence, and no longer asked. */
const GIVEN_UP = '.given-up';

/**
 * Moves away the checkpoints that a restore gave up; those are left that the log has to continue.
 * Errors: `checkpoints-unreadable`, `checkpoints-unwritable`.
 */
export async function setAside(dir: string, isGivenUp: (checkpoint: Checkpoint) => boolean): Promise<void> {
  for (const { path, text } of await readCheckpoints(dir, Infinity)) {
    const checkpoint = parsed(text);
    if (checkpoint === null || !isGivenUp(checkpoint)) continue;
    const aside = join(dir, GIVEN_UP);
    const name = `${basename(path, '.checkpoint')}-${checkpoint.root.toString('hex').slice(0, 16)}.checkpoint`;
    try {
      makeFolder(aside, 0o700);
      await rename(path, join(aside, name));
    } catch (error) {
      // Another process on this folder does the same.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw folderError('checkpoints-unwritable', 'move', path, error);
    }
  }
}

/** Removes what `surplus` names. Errors: `checkpoints-unwritable`. */
export async function pruneCheckpoints(dir: string, kept = KEPT_NEWEST): Promise<void> {
  const old = (await listCheckpoints(dir)).slice(0, -kept);
  const dated: { name: string; day: string | null }[] = [];
  try {
    for (const name of old) dated.push({ name, day: dayOf(await readFile(join(dir, name), 'utf8')) });
    for (const name of surplus(dated)) await unlink(join(dir, name));
  } catch (error) {
    // Another process on this folder prunes, too.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw folderError('checkpoints-unwritable', 'prune', dir, error);
  }
}

/** Of old files, oldest first, those that are not the first of their day. Undated ones stay. */
export function surplus(old: { name: string; day: string | null }[]): string[] {
  const seen = new Set<string>();
  return old.flatMap(({ name, day }) => {
    if (day === null) return [];
    if (seen.has(day)) return [name];
    seen.add(day);
    return [];
  });
}

function dayOf(text: string): string | null {
  return parsed(text)?.at?.slice(0, 'YYYY-MM-DD'.length) ?? null;
}

function parsed(text: string): Checkpoint | null {
  try {
    return parseCheckpoint(text);
  } catch {
    // Not ours to judge here, and not ours to delete: verification names it.
    return null;
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function folderError(code: string, what: string, target: string, cause: unknown): FactoryError {
  return new FactoryError({
    code,
    op: `${what} checkpoints`,
    target,
    message: `Checkpoints in ${target} cannot be ${what === 'read' ? 'read' : 'written'}: ${(cause as Error).message}.`,
    hint: 'Check that the folder exists, belongs to this user and has free space.',
    retryable: true,
    cause,
  });
}

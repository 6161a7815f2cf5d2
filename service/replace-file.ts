import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Beside, synced, then renamed: the old text or the new one, never a part. Throws the system's error. */
export function replaceFile(path: string, content: string | Buffer, mode = 0o600): void {
  const beside = `${path}.part`;
  const file = openSync(beside, 'w', mode);
  try {
    writeSync(file, Buffer.from(content as string));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(beside, path);
  syncFolder(dirname(path));
}

/** A name that was given or taken away is on disk after this. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** What was written to a file is on disk after this. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

import { readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Links that are never missing: made beside, then renamed onto the old one. */

export function pointTo(link: string, target: string): void {
  const beside = `${link}.${process.pid}.new`;
  rmSync(beside, { force: true });
  symlinkSync(target, beside);
  renameSync(beside, link);
}

/** The last name of what a link leads to; null: there is no link. */
export function pointsTo(link: string): string | null {
  try {
    return basename(readlinkSync(link));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EINVAL') return null;
    throw error;
  }
}

export function writeBeside(path: string, text: string, mode = 0o640): void {
  const beside = `${path}.${process.pid}.new`;
  writeFileSync(beside, text, { mode, flush: true });
  renameSync(beside, path);
}

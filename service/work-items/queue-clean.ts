import type { Stats } from 'node:fs';
import type { Clock } from '../clock.ts';
import { FOLDERS, lookFolder, lookListedFile, type QueueRoot } from './queue-files.ts';
import { sameFile, type ItemLook } from './queue-look.ts';

const CACHED_LOOKS = 1024;
/** Looks at the folders themselves are shared by requests that come this close together, in ms. */
const FOLDERS_SHARED_MS = 5;

/**
 * Looks that found no problem, to be used again while the folders and both files are as they were: two stats instead of
 * some fifteen, which is what a busy item costs per request.
 */
export function createCleanLooks(
  root: QueueRoot,
  clock: Clock,
  settled: (stats: Stats) => boolean,
  isClaimed: (id: string) => boolean,
) {
  const clean = new Map<
    string,
    { folders: string; look: ItemLook; files: { path: string; stats: Stats }[] }
  >();
  let folders: { at: number; mark: string | null } = { at: Number.NEGATIVE_INFINITY, mark: null };

  /** What tells that no file came or went; null while a folder changed so lately that it may change unseen. */
  function foldersMark(): string | null {
    const now = performance.now();
    if (now - folders.at < FOLDERS_SHARED_MS) return folders.mark;
    let mark: string | null = '';
    for (const folder of FOLDERS) {
      const look = lookFolder(root, folder);
      if (look.kind === 'problem' || (look.kind === 'found' && !settled(look.stats))) mark = null;
      if (mark === null) break;
      mark += look.kind === 'found' ? `${look.stats.ino} ${look.stats.mtimeMs} ${look.stats.ctimeMs};` : '-;';
    }
    folders = { at: now, mark };
    return mark;
  }

  /** Another look at an item without problems: where folders and both files are as they were, so is all of it. */
  function look(id: string): ItemLook | null {
    const seen = clean.get(id);
    if (!seen || seen.folders !== foldersMark() || isClaimed(id)) return null;
    const same = seen.files.every(({ path, stats }) => {
      const look = lookListedFile(root, path);
      return look.kind === 'found' && sameFile(look.stats, stats);
    });
    if (!same) return null;
    return { observation: { ...seen.look.observation, observedAt: clock.iso() }, stamps: seen.look.stamps };
  }

  function remember(
    id: string,
    mark: string | null,
    seen: ItemLook,
    files: { path: string; stats: Stats }[],
  ): void {
    clean.delete(id);
    if (mark === null || seen.stamps.length < 2) return;
    clean.set(id, { folders: mark, look: seen, files });
    if (clean.size > CACHED_LOOKS) clean.delete(clean.keys().next().value as string);
  }

  return { foldersMark, look, remember };
}

import type { FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { FOLDERS, idOfPath, lookFolder } from './queue-files.ts';
import type { QueueRoot } from './queue-files.ts';

/** The ids whose files may have changed, or `all` where only a scan can tell. */
export type QueueChange = string[] | 'all';

/** What the queue logs with; pino's loggers fit. */
export interface QueueLogger {
  warn(fields: object, message: string): void;
}

export interface WatchTimes {
  /** Quiet time before changes are told. */
  debounceMs: number;
  /** A stream of changes is told at least this often. */
  maxWaitMs: number;
  /** A scan is asked for this often, for what a watcher cannot see (network folders, lost events). */
  rescanMs: number;
  /** A work-items folder that is missing is looked for this often. */
  missingMs: number;
}

export const WATCH_TIMES: WatchTimes = {
  debounceMs: 100,
  maxWaitMs: 1000,
  rescanMs: 30_000,
  missingMs: 1000,
};

/** More changed ids than this are told as `all`. */
const MAX_IDS = 1000;

/**
 * Watches the work-items folder and its seven folders, one watcher each, whatever number of files they hold. Changes
 * come debounced. Folders that are created later, replaced or lost are found at the next rescan; one made in a watched
 * work-items folder at once. Nothing here keeps the process alive.
 */
export function watchQueue(
  root: QueueRoot,
  logger: QueueLogger,
  onChange: (change: QueueChange) => void,
  times: WatchTimes = WATCH_TIMES,
): { close(): void } {
  const watchers = new Map<string, { inode: number; watcher: FSWatcher }>();
  /** Folder -> the code that it could not be watched by. */
  const unwatched = new Map<string, string>();
  let pending: Set<string> | 'all' = new Set();
  let timer: NodeJS.Timeout | null = null;
  let firstAt = 0;

  const tell = (): void => {
    timer = null;
    const change = pending === 'all' ? pending : [...pending].sort();
    pending = new Set();
    if (change.includes('all') || change.length > 0) onChange(change);
  };
  const note = (id: string | null): void => {
    if (id === null || pending === 'all' || pending.size >= MAX_IDS) pending = 'all';
    else pending.add(id);
    if (!timer) firstAt = performance.now();
    else clearTimeout(timer);
    const wait = Math.min(times.debounceMs, Math.max(0, firstAt + times.maxWaitMs - performance.now()));
    timer = setTimeout(tell, wait).unref();
  };
  const drop = (folder: string): void => {
    watchers.get(folder)?.watcher.close();
    watchers.delete(folder);
  };
  /** One line, once for each reason, however often it is tried again. */
  const say = (folder: string, error: unknown, what: string): void => {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (unwatched.get(folder) === code) return;
    unwatched.set(folder, code);
    logger.warn({ folder, code }, `A queue folder ${what} (${code}); it is scanned instead.`);
  };
  const heard = (folder: string, name: string | null): void => {
    if (folder === '.') {
      attachAll();
      note(null);
    } else if (name === null) {
      note(null);
    } else if (!name.startsWith('.')) {
      const id = idOfPath(name);
      if (id !== null || name.endsWith('.md')) note(id);
    }
  };
  const attach = (folder: string): void => {
    const look = lookFolder(root, folder);
    const inode = look.kind === 'found' ? look.stats.ino : null;
    if (watchers.get(folder)?.inode === inode) return;
    drop(folder);
    if (inode === null) return;
    try {
      const watcher = root.fs.watch(join(root.dir, folder), { persistent: false }, (_event, name) =>
        heard(folder, name),
      );
      watchers.set(folder, { inode, watcher });
      unwatched.delete(folder);
      watcher.on('error', (error) => {
        say(folder, error, 'is no longer watched');
        drop(folder);
      });
    } catch (error) {
      // E.g. no inotify watch is left: the rescan still sees every change.
      say(folder, error, 'cannot be watched');
    }
  };
  const attachAll = (): void => ['.', ...FOLDERS].forEach(attach);

  attachAll();
  const rescan = setInterval(() => {
    attachAll();
    note(null);
  }, times.rescanMs).unref();
  // A folder that is not there yet cannot be watched; when it is made, people look at the page at once.
  const missing = setInterval(() => {
    if (watchers.has('.')) return;
    attachAll();
    if (watchers.has('.')) note(null);
  }, times.missingMs).unref();
  return {
    close() {
      clearInterval(rescan);
      clearInterval(missing);
      if (timer) clearTimeout(timer);
      [...watchers.keys()].forEach(drop);
    },
  };
}

import nodeFs, {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { manualClock } from '../../service/clock.ts';
import type { QueueFs } from '../../service/work-items/queue-files.ts';
import { renderRecord } from '../../service/work-items/record-write.ts';
import { openQueue } from '../../service/work-items/source.ts';
import type { Queue } from '../../service/work-items/source.ts';
import type { RecordFields } from '../../service/work-items/types.ts';

export function fieldsOf(id: string, more: Partial<RecordFields> = {}): RecordFields {
  return {
    id,
    title: `Title of ${id}`,
    summary: 'A summary.',
    status: 'ready',
    workType: 'implementation',
    branch: null,
    validation: null,
    pr: null,
    criteria: ['It holds.'],
    blockedBy: [],
    supersedes: null,
    ...more,
  };
}

/** A queue in a folder of its own; `put` writes a file below it, `tree` lists all files, hidden ones too. */
export function queueFolder(files: Record<string, string> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'queue-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  };
  for (const [path, text] of Object.entries(files)) put(path, text);
  // An hour ahead: what was just written counts as settled.
  const clock = manualClock(new Date(Date.now() + 3_600_000).toISOString());
  const warnings: object[] = [];
  const open = (fs?: QueueFs): Queue => {
    const queue = openQueue({
      dir,
      clock,
      logger: { warn: (fields) => warnings.push(fields) },
      ...(fs ? { fs } : {}),
      times: { debounceMs: 20, maxWaitMs: 200, missingMs: 50, rescanMs: 400 },
    });
    onTestFinished(() => queue.close());
    return queue;
  };
  return {
    dir,
    clock,
    warnings,
    put,
    open,
    record: (id: string, collection = 'ready', more: Partial<RecordFields> = {}): void =>
      put(`${collection}/${id}.md`, renderRecord(fieldsOf(id, { status: collection, ...more }))),
    text: (path: string): string | null =>
      existsSync(join(dir, path)) ? readFileSync(join(dir, path), 'utf8') : null,
    tree: (): string[] =>
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
        .sort(),
  };
}

/** Node's fs with some functions replaced. */
export function fsWith(replaced: Partial<Record<keyof QueueFs, (...args: never[]) => unknown>>): QueueFs {
  return Object.assign({ ...nodeFs }, replaced);
}

/** How often files were opened and folders watched. */
export function countingFs(): { fs: QueueFs; calls: Map<string, number> } {
  const calls = new Map<string, number>();
  const fs = new Proxy(nodeFs, {
    get: (target, name: keyof QueueFs) => {
      const real = target[name];
      if (name !== 'openSync' && name !== 'watch') return real;
      return (...args: unknown[]) => {
        calls.set(name, (calls.get(name) ?? 0) + 1);
        return Reflect.apply(real, target, args) as unknown;
      };
    },
  });
  return { fs, calls };
}

const CHANGING = ['openSync', 'writeSync', 'fsync', 'linkSync', 'renameSync', 'unlinkSync', 'mkdirSync'];

/**
 * A file system that performs `steps` changing calls; the next one runs `then` instead, and with `dead` (a crash)
 * every later call fails too.
 */
export function fsUntil(
  steps: number,
  then: 'dead' | 'once' | ((call: string) => void),
): { fs: QueueFs; reached: () => boolean } {
  let left = steps;
  const fs = new Proxy(nodeFs, {
    get: (target, name: string) => {
      const real = target[name as keyof QueueFs] as (...args: unknown[]) => unknown;
      if (!CHANGING.includes(name)) return real;
      return (...args: unknown[]) => {
        left -= 1;
        if (left === -1 && typeof then === 'function') then(name);
        else if ((left === -1 && then === 'once') || (left < 0 && then === 'dead')) {
          const error = Object.assign(new Error('EIO: the disk is gone'), { code: 'EIO' });
          if (name !== 'fsync') throw error;
          return (args[1] as (error: Error) => void)(error);
        }
        return Reflect.apply(real, target, args);
      };
    },
  });
  return { fs, reached: () => left < 0 };
}

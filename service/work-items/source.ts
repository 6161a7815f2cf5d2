import nodeFs from 'node:fs';
import type { Clock } from '../clock.ts';
import { absenceOf } from './queue-absence.ts';
import { POLICY_FILE, readFile } from './queue-files.ts';
import type { QueueFs, QueueRoot } from './queue-files.ts';
import { createItemReader } from './queue-items.ts';
import type { ItemLook } from './queue-items.ts';
import { scanQueue } from './queue-scan.ts';
import type { KnownStamps, ScanBatch } from './queue-scan.ts';
import { watchQueue } from './queue-watch.ts';
import type { QueueChange, QueueLogger, WatchTimes } from './queue-watch.ts';
import { moveRecord, writeNew, writeRecord } from './queue-write.ts';
import type { WrittenFile } from './queue-write.ts';
import type { Collection, Lane, QueueObservation, QueueProblem, ReadRecord, RecordFields } from './types.ts';

export type { FileStamp, ItemLook } from './queue-items.ts';
export type { ScanBatch, ScanItem } from './queue-scan.ts';
export type { QueueChange, QueueLogger } from './queue-watch.ts';
export type { WrittenFile } from './queue-write.ts';

/** The queue folder: what it says, and changes to it. Paths are relative to the folder. */
export interface Queue {
  /** Looks at one item's record and prompt now; `last` is its record as last readable, `home` see `createItemReader`. */
  look(id: string, last?: ReadRecord | null, home?: Collection | null): ItemLook;
  readItem(id: string, last?: ReadRecord | null): QueueObservation;
  /** Looks at every item in slices; a file whose stamp is among the item's known ones is not read. */
  scan(known?: KnownStamps): AsyncGenerator<ScanBatch, void, undefined>;
  /** When a scan that could read every folder began; null: none has ended yet. */
  scannedAt(): string | null;
  /** How far the scan is that runs now; null: none does. */
  reading(): { seen: number; of: number } | null;
  /** Tells which items may have changed, debounced; a policy's change comes as `all`. */
  watch(onChange: (change: QueueChange) => void): { close(): void };
  /** Why the folder as a whole says nothing, whatever is looked at in it; null: it is there. */
  absence(): QueueProblem | null;
  /** The text of `policy.yaml`, null where there is none or it cannot be read. */
  readPolicy(): { text: string | null; problems: QueueProblem[] };
  /** See `moveRecord` in queue-write.ts. Writes of one item wait for each other. */
  moveRecord(id: string, fromPath: string, toLane: Lane): Promise<WrittenFile>;
  /** See `writeNew` in queue-write.ts. */
  writeNew(
    fields: RecordFields,
    promptText: string,
    collection?: Collection,
  ): Promise<{ record: WrittenFile; prompt: WrittenFile }>;
  /** See `writeRecord` in queue-write.ts. */
  writeRecord(fields: RecordFields, collection: Collection): Promise<WrittenFile>;
  /** Ends all watching and waits for writes under way. */
  close(): Promise<void>;
}

export interface QueueOptions {
  dir: string;
  clock: Clock;
  logger: QueueLogger;
  fs?: QueueFs;
  times?: WatchTimes;
}

/** Opens the folder; it may be missing or come later. Reads nothing yet. */
export function openQueue({ dir, clock, logger, fs = nodeFs, times }: QueueOptions): Queue {
  const root: QueueRoot = { dir, fs };
  const reader = createItemReader(root, clock);
  const watchers = new Set<{ close(): void }>();
  const inTurn = createTurns();
  let scannedAt: string | null = null;
  let reading: { seen: number; of: number } | null = null;
  const look = (id: string, last: ReadRecord | null = null, home: Collection | null = null): ItemLook =>
    reader.look(id, last, home);
  return {
    look,
    readItem: (id, last) => look(id, last).observation,
    async *scan(known = () => []) {
      const startedAt = clock.iso();
      let whole = true;
      try {
        for await (const batch of scanQueue(root, reader, known)) {
          whole &&= batch.unreadable.length === 0;
          const { seen, of } = reading ?? { seen: 0, of: batch.records ?? 0 };
          reading = { seen: Math.min(seen + batch.items.length, of), of };
          yield batch;
        }
      } finally {
        reading = null;
      }
      if (whole && !absenceOf(root)) scannedAt = startedAt;
    },
    scannedAt: () => scannedAt,
    reading: () => reading,
    watch(onChange) {
      const watcher = watchQueue(root, logger, onChange, times);
      watchers.add(watcher);
      return watcher;
    },
    absence: () => absenceOf(root),
    readPolicy() {
      const read = readFile(root, POLICY_FILE);
      return {
        text: read.kind === 'read' ? read.text : null,
        problems: read.kind === 'problem' ? [read.problem] : [],
      };
    },
    moveRecord: (id, fromPath, toLane) => inTurn.run(id, () => moveRecord(root, id, fromPath, toLane)),
    writeNew: (fields, prompt, collection) =>
      inTurn.run(fields.id, () => writeNew(root, fields, prompt, collection)),
    writeRecord: (fields, collection) => inTurn.run(fields.id, () => writeRecord(root, fields, collection)),
    async close() {
      for (const watcher of watchers) watcher.close();
      watchers.clear();
      await inTurn.settled();
    },
  };
}

/** Runs the work of one key in the order it came; different keys at the same time. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return {
    run<T>(key: string, work: () => Promise<T>): Promise<T> {
      const turn = (last.get(key) ?? Promise.resolve()).then(work);
      const quiet = turn
        .catch(() => undefined)
        .finally(() => {
          if (last.get(key) === quiet) last.delete(key);
        });
      last.set(key, quiet);
      return turn;
    },
    async settled(): Promise<void> {
      await Promise.all(last.values());
    },
  };
}

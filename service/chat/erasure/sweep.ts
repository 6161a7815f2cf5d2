import { SYSTEM } from '../../audit/events.ts';
import { systemClock } from '../../clock.ts';
import { restorePause } from '../../restored/pause.ts';
import type { AttachmentFiles } from '../attachments/attachment-files.ts';
import type { Blobs } from '../attachments/blobs.ts';
import type { Deletion, LiveFile } from '../deletion/deletion.ts';
import type { ChatDependencies } from '../dependencies.ts';
import { attachments } from '../attachments/store-attachments.ts';
import { quarantine } from '../deletion/store-deletion.ts';
import { sessions } from '../store.ts';
import { readMeta, writeMeta } from '../../storage/meta.ts';
import { EVERY_MS, watchedWith, type Watched } from './watched.ts';

/** What nobody will ever name: uploads without a message, files without a row, originals of messages that are gone. */

/** An upload and the message that names it are one act of a client; a day is more than any retry takes. */
const KEPT_MS = 24 * 60 * 60 * 1000;
const WATCHED = 'chat_uploads_watched';
const AT_ONCE = 100;

export interface Sweep {
  /** One round. Answers how many uploads and files went. */
  run(): Promise<{ uploads: number; files: number }>;
  start(): void;
  stop(): Promise<void>;
}

export function createSweep(
  deps: Pick<ChatDependencies, 'storage' | 'clock' | 'logger'> & { blobs: Blobs },
  deletion: Pick<Deletion, 'files'>,
  { removeUnused }: Pick<AttachmentFiles, 'removeUnused'>,
): Sweep {
  const { storage, clock, logger, blobs } = deps;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let stopped = false;

  /** Uploads up to this number have lain there for a day, by the clock of the service's own rounds. */
  function longThere(): Promise<number> {
    return storage.write(async (tx) => {
      const known = await readMeta(tx, WATCHED);
      const highest = (await tx.get(attachments.highest, {}))?.number ?? 0;
      const { watched, old } = watchedWith(known === null ? null : (JSON.parse(known) as Watched), {
        ...{ at: clock.iso(), highest: Number(highest), keptMs: KEPT_MS },
      });
      await writeMeta(tx, WATCHED, JSON.stringify(watched));
      return old;
    });
  }

  async function uploads(): Promise<number> {
    const old = await longThere();
    const [before, at] = [new Date(clock.now() - KEPT_MS).toISOString(), clock.iso()];
    // After a restore they go again, so nothing has to be journaled.
    const how = { cause: 'retention', actor: SYSTEM, at, held: 'leave', journal: false } as const;
    const isUnused = ({ number, message, created_at }: LiveFile): boolean =>
      message === null && created_at < before && number <= old;
    let [removed, after] = [0, 0];
    for (;;) {
      const found = await storage.read.all(attachments.unusedBefore, { before, old, after, limit: AT_ONCE });
      for (const { number } of found)
        removed += await storage.write(async (tx) => {
          const row = await tx.get(sessions.byNumber, { number });
          if (row?.deleted_at !== null) return 0;
          return (await deletion.files(tx, row, isUnused, how)).messages;
        });
      if (found.length < AT_ONCE) return removed;
      after = found.at(-1)?.number ?? after;
    }
  }

  /** Files have the system's times, whatever clock the service goes by. */
  async function files(): Promise<number> {
    const before = systemClock.now() - KEPT_MS;
    await blobs.clear(before);
    let removed = 0;
    for await (const { name, writtenAt } of blobs.list()) {
      if (stopped) return removed;
      if (writtenAt >= before || (await storage.read.get(attachments.byBlob, { blob: name }))) continue;
      await removeUnused([name]);
      removed += 1;
    }
    return removed;
  }

  async function run(): Promise<{ uploads: number; files: number }> {
    // An older database does not know the newest files, and a restore can be undone until it was accepted.
    if (await restorePause(storage.read)) return { uploads: 0, files: 0 };
    await storage.write((tx) => tx.run(quarantine.removeLeft, {}));
    return { uploads: await uploads(), files: await files() };
  }

  function soon(): void {
    running = running.then(run).catch((error: unknown) => {
      logger.warn({ err: error }, 'unused attachments could not be swept; tried again in an hour');
    });
  }

  return {
    run,
    start() {
      soon();
      timer = setInterval(soon, EVERY_MS).unref();
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}

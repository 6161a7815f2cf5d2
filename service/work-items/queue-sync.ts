import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AttentionUpkeep } from './attention-upkeep.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import { CHUNK, importObservations, type SeenItem } from './importer.ts';
import { lookAtHome } from './looking.ts';
import type { FileStamp } from './queue-items.ts';
import { findItem, observations } from './store.ts';
import type { QueueProblem } from './types.ts';

/** Files looked at in one turn of the event loop. */
const SLICE = 50;

function* slices(ids: string[]): Generator<string[]> {
  for (let start = 0; start < ids.length; start += SLICE) yield ids.slice(start, start + SLICE);
}

/**
 * Keeps the database's picture of the queue folder current: a scan at the start, then what the watcher tells, and a
 * scan again whenever it asks for one.
 */
export function createQueueSync(deps: WorkItemDependencies, upkeep: AttentionUpkeep) {
  /** By item, as the JSON that the database keeps: parsed, those of 10,000 items would take several times the memory. */
  let stamps: Map<string, string> | null = null;
  let folderProblems: QueueProblem[] = [];
  /** Problems of files that have no item yet. */
  const itemProblems = new Map<string, QueueProblem[]>();
  let freshAsOf: string | null = null;
  let lookedAt: string | null = null;
  let unreadable: readonly string[] = [];
  let work: Promise<unknown> = Promise.resolve();
  let watcher: { close(): void } | null = null;
  let closed = false;

  async function loadStamps(): Promise<Map<string, string>> {
    const rows = await deps.storage.read.all(observations.stamps, { project_id: deps.projectId });
    return new Map(rows.map((row) => [row.item_id, row.stamps]));
  }

  const stampsOf = (id: string): FileStamp[] => JSON.parse(stamps?.get(id) ?? '[]') as FileStamp[];

  async function take(looked: SeenItem[]): Promise<void> {
    const seen: SeenItem[] = [];
    for (const { id, ...look } of looked) seen.push({ id, ...(await lookAtHome(deps, id, look)) });
    await importObservations(deps, seen);
    for (const { id, observation, stamps: found } of seen) {
      stamps?.set(id, JSON.stringify(found));
      itemProblems.delete(id);
      if (observation.problems.length === 0) continue;
      if (!(await findItem(deps.storage.read, deps.projectId, id)))
        itemProblems.set(id, observation.problems);
    }
  }

  async function scan(): Promise<void> {
    const startedAt = deps.clock.iso();
    // The policy is read with the folder, so that what is remembered of it is what was there last.
    deps.policy();
    const before = deps.queue.absence();
    if (before) return noteAbsence(before);
    stamps ??= await loadStamps();
    const missing = new Set(stamps.keys());
    const problems: QueueProblem[] = [];
    const unlisted: string[] = [];
    let changed: SeenItem[] = [];
    for await (const batch of deps.queue.scan(stampsOf)) {
      if (closed) return;
      problems.push(...batch.problems);
      unlisted.push(...batch.unreadable);
      for (const item of batch.items) {
        missing.delete(item.id);
        if (!item.unchanged) changed.push(item);
      }
      // A slice holds few files; a commit for each would take longer than reading them.
      if (changed.length < CHUNK) continue;
      await take(changed);
      changed = [];
    }
    await take(changed);
    const absence = deps.queue.absence();
    if (absence) return noteAbsence(absence);
    folderProblems = problems;
    unreadable = problems.some(({ file }) => file === '.') ? ['.'] : unlisted;
    for (const ids of slices([...missing])) {
      await take(ids.map((id) => ({ id, ...deps.queue.look(id) })));
      await nextTurn();
    }
    await upkeep.run();
    lookedAt = startedAt;
    if (unlisted.length === 0) freshAsOf = startedAt;
  }

  /** Without the folder, no record is missing: nothing was seen at all, and what was seen before ages. */
  function noteAbsence(problem: QueueProblem): void {
    folderProblems = [problem];
  }

  /** One piece of work at a time, in the order it came. */
  function enqueue(job: () => Promise<void>): Promise<void> {
    const run = work.then(() => (closed ? undefined : job()));
    work = run.catch((error: unknown) =>
      deps.logger.error({ err: error }, 'the queue folder could not be read into the database'),
    );
    return run;
  }

  return {
    /** Watches, and resolves when the first scan is in the database. */
    start(): Promise<void> {
      watcher = deps.queue.watch((change) => {
        void enqueue(() =>
          change === 'all' ? scan() : take(change.map((id) => ({ id, ...deps.queue.look(id) }))),
        ).catch(() => undefined);
      });
      return enqueue(scan);
    },
    rescan: () => enqueue(scan),
    /** Problems of the folder, of the policy and of files that have no item. */
    problems: (): QueueProblem[] => [
      ...deps.policyProblems(),
      ...folderProblems,
      ...[...itemProblems.values()].flat(),
    ],
    /** When everything in the folder was last looked at; null before the first scan ended. */
    freshAsOf: () => freshAsOf,
    /** The same, folders that could not be read left out. */
    lookedAt: () => lookedAt,
    /** Folders that could not be read at the last scan. */
    unreadable: () => unreadable,
    async stop(): Promise<void> {
      closed = true;
      watcher?.close();
      await work;
    },
  };
}

export type QueueSync = ReturnType<typeof createQueueSync>;

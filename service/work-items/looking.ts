import type { WorkItemDependencies } from './dependencies.ts';
import type { FileStamp, ItemLook } from './queue-items.ts';
import { findItem, lastObservation } from './store.ts';
import { queueWriteOf } from './store-actions.ts';
import { isUnreadable } from './truth.ts';
import type { Lane, QueueObservation, WorkItem } from './types.ts';
import { NEVER, unreadProblem, withoutFolder } from './unread.ts';

export interface Looked {
  observation: QueueObservation;
  stamps: FileStamp[];
  /** False: the folder as a whole said nothing, so there is nothing to keep of this look. */
  there: boolean;
}

/** Looks at an item's record and prompt now. Of what cannot be read, it tells what was last read and when. */
export async function lookAtItem(deps: WorkItemDependencies, item: WorkItem): Promise<Looked> {
  const last = () => lastObservation(deps.storage.read, deps.projectId, item.id);
  const absence = deps.queue.absence();
  if (absence) {
    const seen = aged(await last(), deps);
    return { observation: withoutFolder(seen, absence), stamps: [], there: false };
  }
  const look = deps.queue.look(item.id, null, item.lane);
  const { observation, stamps } = await lookAtHome(deps, item.id, look);
  if (!isUnread(observation)) return { observation, stamps, there: true };
  return { observation: keep(observation, aged(await last(), deps)), stamps, there: true };
}

/** Where several files are called after the item, the one at its home counts; `look` is one that did not know it. */
export async function lookAtHome(
  deps: WorkItemDependencies,
  id: string,
  look: ItemLook = deps.queue.look(id),
): Promise<ItemLook> {
  if (look.observation.duplicates.length === 0 && !look.doubtful) return look;
  return deps.queue.look(id, null, await homeOf(deps, id));
}

/** The item's lane; while its record still has to be moved there, where that lay last. Null: no such item. */
export async function homeOf(deps: WorkItemDependencies, id: string): Promise<Lane | null> {
  const { read } = deps.storage;
  const row = await findItem(read, deps.projectId, id);
  if (!row) return null;
  const owed = await queueWriteOf(read, deps.projectId, id);
  const last = owed ? await lastObservation(read, deps.projectId, id) : null;
  return last?.record?.collection ?? (row.lane as Lane);
}

/** Whether any of the item's files could not be looked at. */
export function isUnread(observation: QueueObservation): boolean {
  return unreadProblem(observation, 'queue') !== null || unreadProblem(observation, 'prompt') !== null;
}

/** What a look could not read stays as it was. */
export function keep(observation: QueueObservation, last: QueueObservation | null): QueueObservation {
  const { record, prompt } = observation;
  return {
    ...observation,
    record: record ?? (isUnreadable(observation) ? (last?.record ?? null) : null),
    prompt: prompt ?? (unreadProblem(observation, 'prompt') ? (last?.prompt ?? null) : null),
    readBefore: last?.observedAt ?? NEVER,
  };
}

/** Unchanged files are not written down at each scan, so the last whole look counts too. */
export function aged(
  last: QueueObservation | null,
  { queue }: WorkItemDependencies,
): QueueObservation | null {
  const scanned = queue.scannedAt();
  if (last === null || scanned === null || isUnread(last) || scanned <= last.observedAt) return last;
  return { ...last, observedAt: scanned };
}

import type { WorkItemDependencies } from './dependencies.ts';
import type { FileStamp } from './queue-items.ts';
import { lastObservation } from './store.ts';
import { isUnreadable } from './truth.ts';
import type { QueueObservation, WorkItem } from './types.ts';
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
  const { observation, stamps } = deps.queue.look(item.id, null);
  if (!isUnread(observation)) return { observation, stamps, there: true };
  return { observation: keep(observation, aged(await last(), deps)), stamps, there: true };
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

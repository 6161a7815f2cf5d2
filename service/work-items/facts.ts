import type { Reader } from '../storage/transaction.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import { findItem, items, queueWriteOf } from './store.ts';
import { truthReport } from './truth.ts';
import type { FileStamp } from './queue-items.ts';
import type { Facts, ForgeFacts, Lane, Policy, QueueObservation, WorkItem } from './types.ts';

/** What the world outside the database says about an item, read before a transaction begins. */
export interface Observed {
  queue: QueueObservation;
  stamps: FileStamp[];
  /** Null where no forge is connected. */
  forge: ForgeFacts | null;
}

/** Stands for a forge that is connected but did not answer: as old as can be, so that rules fail closed. */
const SILENT_FORGE: ForgeFacts = {
  observedAt: new Date(0).toISOString(),
  branchHead: null,
  pullRequest: null,
  checks: [],
  scriptDigest: { defaultBranch: null, branch: null },
};

/** Re-stats the item's record and prompt now, and asks the forge. Never throws for a file or a forge. */
export async function observe(deps: WorkItemDependencies, item: WorkItem): Promise<Observed> {
  const { observation: queue, stamps } = deps.queue.look(item.id, null);
  if (!deps.forge) return { queue, stamps, forge: null };
  try {
    const { branch, pr } = item.record;
    return { queue, stamps, forge: await deps.forge.read({ id: item.id, branch, pr }) };
  } catch (error) {
    deps.logger.warn({ item: item.id, err: error }, 'the forge did not answer');
    return { queue, stamps, forge: SILENT_FORGE };
  }
}

export interface Dependency {
  id: string;
  title: string | null;
  lane: Lane | null;
}

export async function dependenciesOf(reader: Reader, projectId: string, item: WorkItem): Promise<Dependency[]> {
  return Promise.all(
    item.record.blockedBy.map(async (id) => {
      const row = await findItem(reader, projectId, id);
      return { id, title: row?.title ?? null, lane: (row?.lane as Lane | undefined) ?? null };
    }),
  );
}

/** All that gates may look at, from the transaction's own state and from what was observed before it. */
export async function gatherFacts(
  reader: Reader,
  deps: WorkItemDependencies,
  item: WorkItem,
  observed: Observed,
  policy: Policy,
): Promise<Facts> {
  const { projectId } = deps;
  const [dependencies, running, people, pending] = await Promise.all([
    dependenciesOf(reader, projectId, item),
    reader.get(items.running, { project_id: projectId }),
    deps.people.active(reader),
    queueWriteOf(reader, projectId, item.id),
  ]);
  const truth = truthReport(item, observed.queue, observed.forge, policy, deps.clock.iso(), { queueWritePending: pending });
  return {
    item,
    queue: observed.queue,
    queueWritePending: pending,
    forge: observed.forge,
    dependencies: dependencies.map(({ id, lane }) => ({ id, lane })),
    runningHandoffs: Number(running?.count ?? 0),
    truth,
    people,
    preset: presetOf(policy, people.length),
  };
}


/** While there is one person the preset is solo, unless the policy says. */
export function presetOf(policy: Policy, people: number): 'solo' | 'team' {
  return policy.preset ?? (people > 1 ? 'team' : 'solo');
}

import type { Reader } from '../storage/transaction.ts';
import type { Conditions } from './conditions.ts';
import { conditionsOf } from './conditions-read.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import { lookAtItem } from './looking.ts';
import { actorsOf } from './gates/people.ts';
import { findItem, items, lastObservation } from './store.ts';
import { isOnItsWay, queueWriteOf } from './store-actions.ts';
import { isUnreadable, truthReport } from './truth.ts';
import { NEVER } from './unread.ts';
import type { FileStamp } from './queue-items.ts';
import type { Facts, ForgeFacts, Lane, Policy, QueueObservation, ReadRecord, WorkItem } from './types.ts';
import type { Namer } from './views.ts';

/** What the world outside the database says about an item, read before a transaction begins. */
export interface Observed {
  queue: QueueObservation;
  stamps: FileStamp[];
  /** False: the queue folder as a whole said nothing, so there is nothing to keep of this look. */
  there: boolean;
  /** Null where no forge is connected. */
  forge: ForgeFacts | null;
}

/** Stands for a forge that is connected but did not answer: never read, so that rules fail closed. */
const SILENT_FORGE: ForgeFacts = {
  observedAt: NEVER,
  branchHead: null,
  pullRequest: null,
  checks: [],
  scriptDigest: { defaultBranch: null, branch: null },
};

/** Re-stats the item's record and prompt now, and asks the forge. Never throws for a file or a forge. */
export async function observe(deps: WorkItemDependencies, item: WorkItem): Promise<Observed> {
  const { observation: queue, stamps, there } = await lookAtItem(deps, item);
  if (!deps.forge) return { queue, stamps, there, forge: null };
  try {
    const { branch, pr } = item.record;
    return { queue, stamps, there, forge: await deps.forge.read({ id: item.id, branch, pr }) };
  } catch (error) {
    deps.logger.warn({ item: item.id, err: error }, 'the forge did not answer');
    return { queue, stamps, there, forge: SILENT_FORGE };
  }
}

export interface Dependency {
  id: string;
  title: string | null;
  lane: Lane | null;
}

/** What the database knows around an item, read once for its facts and its document. */
export interface Surroundings {
  dependencies: Dependency[];
  supersededBy: string[];
  people: { id: string; name: string; roles: string[] }[];
  /** A queue write of this item is on its way; one that has failed is not. */
  pending: boolean;
  /** Why it could not be carried out so far. */
  pendingFailure: string | null;
  conditions: Conditions;
  runningHandoffs: number;
  /** The record as last readable, where the file cannot be read now. */
  lastRecord: ReadRecord | null;
  name: Namer;
}

export async function readSurroundings(
  reader: Reader,
  deps: WorkItemDependencies,
  item: WorkItem,
  { queue }: Observed,
): Promise<Surroundings> {
  const project_id = deps.projectId;
  const unreadable = queue.record === null && isUnreadable(queue);
  const [dependencies, superseding, people, pending, running, last, name, conditions] = await Promise.all([
    dependenciesOf(reader, project_id, item),
    reader.all(items.superseding, { project_id, supersedes: item.id }),
    deps.people.active(reader),
    queueWriteOf(reader, project_id, item.id),
    reader.get(items.running, { project_id }),
    unreadable ? lastObservation(reader, project_id, item.id) : null,
    deps.names.namer(),
    conditionsOf(reader, deps, item),
  ]);
  return {
    dependencies,
    // Sorted here: asked for in SQL, the order would win over the index of this rare column.
    supersededBy: superseding.map((row) => row.id).sort(),
    people,
    pending: isOnItsWay(pending),
    pendingFailure: pending?.failure ?? null,
    conditions,
    runningHandoffs: Number(running?.count ?? 0),
    lastRecord: last?.record ?? null,
    name,
  };
}

async function dependenciesOf(reader: Reader, projectId: string, item: WorkItem): Promise<Dependency[]> {
  return Promise.all(
    item.record.blockedBy.map(async (id) => {
      const row = await findItem(reader, projectId, id);
      return { id, title: row?.title ?? null, lane: (row?.lane as Lane | undefined) ?? null };
    }),
  );
}

/** All that gates may look at. Pure. */
export function factsOf(
  item: WorkItem,
  observed: Observed,
  around: Surroundings,
  policy: Policy,
  now: string,
): Facts {
  const { dependencies, people, pending, runningHandoffs } = around;
  const { queueWrites } = around.conditions;
  const options = { queueWritePending: pending, queueWrites };
  return {
    item,
    queue: observed.queue,
    queueWritePending: pending,
    queueFailure: around.pendingFailure,
    queueWrites,
    forge: observed.forge,
    dependencies: dependencies.map(({ id, lane }) => ({ id, lane })),
    runningHandoffs,
    truth: truthReport(item, observed.queue, observed.forge, policy, now, options),
    people,
    names: namesIn(item, around.name),
    preset: presetOf(policy, people.length),
  };
}

/** Texts name those who acted on the item, also after they have left. */
function namesIn(item: WorkItem, name: Namer): Facts['names'] {
  const names: Record<string, string> = {};
  for (const actor of actorsOf(item)) {
    names[actor.id] ??= name(actor);
    if (actor.personId === null) continue;
    names[actor.personId] ??= name({ ...actor, kind: 'person', id: actor.personId });
  }
  return names;
}

/** While there is one person the preset is solo, unless the policy says. */
export function presetOf(policy: Policy, people: number): 'solo' | 'team' {
  return policy.preset ?? (people > 1 ? 'team' : 'solo');
}

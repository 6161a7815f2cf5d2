import { FactoryError } from '../errors.ts';
import type { Tables } from '../storage/tables.ts';
import { findDecision } from './decision.ts';
import { conditionsOf } from './conditions-read.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type { ActionsDocument, ItemDocument, ItemSummary } from './documents.ts';
import { factsOf, observe, presetOf, readSurroundings, type Observed, type Surroundings } from './facts.ts';
import { evaluateAction, evaluateActions, shownGates } from './gates/evaluate.ts';
import { importObservations } from './importer.ts';
import { isUnread } from './looking.ts';
import type { QueueSync } from './queue-sync.ts';
import { isItemId } from './record-text.ts';
import { findItem, lastObservation, parseItem } from './store.ts';
import { isOnItsWay, queueWriteOf } from './store-actions.ts';
import { truthReport } from './truth.ts';
import type {
  ActionIdentity,
  ActionReport,
  Facts,
  Principal,
  QueueObservation,
  QueueProblem,
  WorkItem,
} from './types.ts';
import { withoutFolder } from './unread.ts';
import { itemDocument, itemSummary } from './views.ts';

/** An item as it stands with what was just observed. Throws `not-found`. */
export async function loadItem(
  deps: WorkItemDependencies,
  id: string,
): Promise<{ item: WorkItem; observed: Observed }> {
  const row = await findItem(deps.storage.read, deps.projectId, id);
  if (!row) throw notThere(deps, id);
  const item = parseItem(row);
  const observed = await observe(deps, item);
  // A record that was edited since the last look counts at once.
  const changed = observed.there && (await importIfChanged(deps, id, observed));
  return {
    item: changed ? parseItem((await findItem(deps.storage.read, deps.projectId, id)) ?? row) : item,
    observed,
  };
}

async function importIfChanged(
  deps: WorkItemDependencies,
  id: string,
  { queue, stamps }: Observed,
): Promise<boolean> {
  const last = await lastObservation(deps.storage.read, deps.projectId, id);
  const same =
    last !== null &&
    last.record?.revision === queue.record?.revision &&
    last.prompt?.revision === queue.prompt?.revision;
  const placed = last?.record?.path === queue.record?.path && last?.problems.length === queue.problems.length;
  if (same && placed) return false;
  return (await importObservations(deps, [{ id, observation: queue, stamps }])).length > 0;
}

/** What an address without an item says: its record cannot be read, or was not read yet, or there is none. */
export function notThere(deps: Pick<WorkItemDependencies, 'queue'>, id: string): FactoryError {
  if (!isItemId(id)) return noItem(id);
  const { record, problems } = deps.queue.look(id).observation;
  if (problems[0]) return unreadable(id, problems[0]);
  return record ? notReadYet(id, deps.queue.reading()) : noItem(id);
}

function notReadYet(id: string, reading: ReturnType<WorkItemDependencies['queue']['reading']>): FactoryError {
  const far = reading ? ` (${reading.seen} of ${reading.of} records so far)` : '';
  return new FactoryError({
    code: 'not-found',
    op: 'find work item',
    target: id,
    message: `The queue is still being read${far}; ${id} is in it and comes with the rest.`,
    hint: 'Ask again in a few seconds; the board shows items as they are read.',
    retryable: true,
  });
}

/** A record that could never be read has no item; its address says what is wrong with it. */
function unreadable(id: string, problem: QueueProblem): FactoryError {
  const message = `The record of ${id} cannot be read: ${problem.file}:${problem.line}: ${problem.message}`;
  return new FactoryError({
    code: 'not-found',
    op: 'find work item',
    target: id,
    message,
    hint: problem.hint,
  });
}

export function noItem(id: string): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op: 'find work item',
    target: id,
    message: `There is no work item ${id}.`,
    hint: 'GET /api/control-plane/items lists them.',
  });
}

/** The document of an item. Pure. */
export function documentOf(
  deps: WorkItemDependencies,
  item: WorkItem,
  observed: Observed,
  around: Surroundings,
): ItemDocument {
  const policy = deps.policy();
  const now = deps.clock.iso();
  const { dependencies, supersededBy, name, people, pending, lastRecord, conditions } = around;
  // A record that cannot be read is shown as it was last readable, with its problem.
  const observation = { ...observed.queue, record: observed.queue.record ?? lastRecord };
  const truth = truthReport(item, observation, observed.forge, policy, now, {
    queueWritePending: pending,
    queueWrites: conditions.queueWrites,
  });
  const preset = presetOf(policy, people.length);
  const surroundings = {
    preset,
    observation,
    truth,
    policy,
    conditions,
    dependencies,
    supersededBy,
    queueDir: deps.queueDir,
    name,
    now,
  };
  const document = itemDocument(item, surroundings);
  return { ...document, problems: [...document.problems, ...unwritten(item, around.pendingFailure)] };
}

/** A queue write that keeps failing is for people to see. */
function unwritten(item: WorkItem, failure: string | null): QueueProblem[] {
  if (failure === null) return [];
  const file = `${item.lane}/${item.id}.md`;
  const hint = 'The action itself is safe in the database; the write is tried again until it succeeds.';
  return [{ file, line: 1, code: 'queue-write-failed', message: failure, itemId: item.id, hint }];
}

export function createReading(deps: WorkItemDependencies, sync: QueueSync) {
  const project_id = deps.projectId;
  const read = deps.storage.read;

  async function summaries(rows: Tables['work_items'][]): Promise<ItemSummary[]> {
    const [name, people] = await Promise.all([deps.names.namer(), deps.people.active(read)]);
    const now = deps.clock.iso();
    const policy = deps.policy();
    const { soloWaitSeconds } = policy;
    const rules = { preset: presetOf(policy, people.length), soloWaitSeconds, now };
    const lookedAt = sync.lookedAt();
    const absence = deps.queue.absence();
    const { queueWrites } = deps;
    return Promise.all(
      rows.map(async (row) => {
        const item = parseItem(row);
        const observation = await lastObservation(read, project_id, row.id);
        const seen = observation && asSeen(observation, lookedAt, absence);
        const queueWritePending = isOnItsWay(await queueWriteOf(read, project_id, row.id));
        const conditions = await conditionsOf(read, deps, item);
        const truth = truthReport(item, seen, null, policy, now, { queueWritePending, queueWrites });
        return itemSummary(item, seen, truth, row.attention, { rules, conditions }, name);
      }),
    );
  }

  async function factsFor(id: string): Promise<{ facts: Facts; item: WorkItem }> {
    const { item, observed } = await loadItem(deps, id);
    const around = await readSurroundings(read, deps, item, observed);
    return { item, facts: factsOf(item, observed, around, deps.policy(), deps.clock.iso()) };
  }

  return {
    summaries,
    /** See `notThere`. */
    notThere: (id: string): FactoryError => notThere(deps, id),

    async show(_principal: Principal, id: string): Promise<ItemDocument> {
      const { item, observed } = await loadItem(deps, id);
      return documentOf(deps, item, observed, await readSurroundings(read, deps, item, observed));
    },

    async actions(
      principal: Principal,
      id: string,
      options: { all?: boolean } = {},
    ): Promise<ActionsDocument> {
      const { item, facts } = await factsFor(id);
      const policy = deps.policy();
      const reports = evaluateActions(facts, policy, principal, deps.clock.iso(), options.all ?? false);
      return {
        version: item.version,
        actions: reports.map((report) => ({ ...report, gates: shownGates(report, item.lane) })),
      };
    },

    async reevaluate(principal: Principal, id: string, decisionId: string): Promise<ActionReport> {
      const decision = await findDecision(deps, id, decisionId);
      const { facts } = await factsFor(id);
      const policy = deps.policy();
      return evaluateAction(decision.identity as ActionIdentity, facts, policy, principal, deps.clock.iso());
    },
  };
}

/** Unchanged files are not written down at each scan, so the last look at all of them counts too. */
function asSeen(
  observation: QueueObservation,
  lookedAt: string | null,
  absence: QueueProblem | null,
): QueueObservation {
  if (isUnread(observation)) return observation;
  const later = lookedAt !== null && lookedAt > observation.observedAt ? lookedAt : observation.observedAt;
  const seen = { ...observation, observedAt: later };
  return absence ? withoutFolder(seen, absence) : seen;
}

import { FactoryError } from '../errors.ts';
import type { Tables } from '../storage/tables.ts';
import { ACTIONS } from './actions.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type {
  ActionsDocument,
  DecisionBody,
  DecisionDocument,
  HistoryDocument,
  ItemDocument,
  ItemSummary,
} from './documents.ts';
import { factsOf, observe, presetOf, readSurroundings, type Observed, type Surroundings } from './facts.ts';
import { evaluateAction, evaluateActions, shownGates } from './gates/evaluate.ts';
import { eventSentence } from './history.ts';
import { importObservations } from './importer.ts';
import type { QueueSync } from './queue-sync.ts';
import { isItemId } from './record-text.ts';
import { events, findItem, lastObservation, parseItem } from './store.ts';
import { decisions, queueWriteOf, snapshots } from './store-actions.ts';
import { truthReport } from './truth.ts';
import type { ActionIdentity, ActionReport, Actor, Facts, Lane, Principal, QueueProblem, WorkItem } from './types.ts';
import { itemDocument, itemSummary } from './views.ts';

const PAGE = 50;

/** An item as it stands with what was just observed. Throws `not-found`. */
export async function loadItem(deps: WorkItemDependencies, id: string): Promise<{ item: WorkItem; observed: Observed }> {
  const row = await findItem(deps.storage.read, deps.projectId, id);
  if (!row) throw unreadable(deps, id) ?? noItem(id);
  const item = parseItem(row);
  const observed = await observe(deps, item);
  // A record that was edited since the last look counts at once.
  const changed = await importIfChanged(deps, id, observed);
  return { item: changed ? parseItem((await findItem(deps.storage.read, deps.projectId, id)) ?? row) : item, observed };
}

async function importIfChanged(deps: WorkItemDependencies, id: string, { queue, stamps }: Observed): Promise<boolean> {
  const last = await lastObservation(deps.storage.read, deps.projectId, id);
  const same = last !== null && last.record?.revision === queue.record?.revision && last.prompt?.revision === queue.prompt?.revision;
  const placed = last?.record?.path === queue.record?.path && last?.problems.length === queue.problems.length;
  if (same && placed) return false;
  return (await importObservations(deps, [{ id, observation: queue, stamps }])).length > 0;
}

/** A record that could never be read has no item; its address says what is wrong with it. */
function unreadable(deps: WorkItemDependencies, id: string): FactoryError | null {
  const [problem] = isItemId(id) ? deps.queue.look(id).observation.problems : [];
  if (!problem) return null;
  const message = `The record of ${id} cannot be read: ${problem.file}:${problem.line}: ${problem.message}`;
  return new FactoryError({ code: 'not-found', op: 'find work item', target: id, message, hint: problem.hint });
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
export function documentOf(deps: WorkItemDependencies, item: WorkItem, observed: Observed, around: Surroundings): ItemDocument {
  const policy = deps.policy();
  const now = deps.clock.iso();
  const { dependencies, supersededBy, name, people, pending, lastRecord } = around;
  // A record that cannot be read is shown as it was last readable, with its problem.
  const observation = { ...observed.queue, record: observed.queue.record ?? lastRecord };
  const truth = truthReport(item, observation, observed.forge, policy, now, { queueWritePending: pending });
  const preset = presetOf(policy, people.length);
  const surroundings = { preset, observation, truth, policy, dependencies, supersededBy, queueDir: deps.queueDir, name, now };
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
    const name = await deps.names.namer();
    const now = deps.clock.iso();
    const fresh = sync.freshAsOf();
    return Promise.all(
      rows.map(async (row) => {
        const item = parseItem(row);
        const observation = await lastObservation(read, project_id, row.id);
        // Unchanged files are not written down at each scan, so the last whole look counts too.
        const seen = observation && { ...observation, observedAt: later(observation.observedAt, fresh) };
        const queueWritePending = (await queueWriteOf(read, project_id, row.id)) !== null;
        const truth = truthReport(item, seen, null, deps.policy(), now, { queueWritePending });
        return itemSummary(item, seen, truth, row.attention, name);
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

    async show(_principal: Principal, id: string): Promise<ItemDocument> {
      const { item, observed } = await loadItem(deps, id);
      return documentOf(deps, item, observed, await readSurroundings(read, deps, item, observed));
    },

    async actions(principal: Principal, id: string, options: { all?: boolean } = {}): Promise<ActionsDocument> {
      const { item, facts } = await factsFor(id);
      const policy = deps.policy();
      const reports = evaluateActions(facts, policy, principal, deps.clock.iso(), options.all ?? false);
      return { version: item.version, actions: reports.map((report) => ({ ...report, gates: shownGates(report, item.lane) })) };
    },

    async reevaluate(principal: Principal, id: string, decisionId: string): Promise<ActionReport> {
      const decision = await findDecision(deps, id, decisionId);
      const { facts } = await factsFor(id);
      const policy = deps.policy();
      return evaluateAction(decision.identity as ActionIdentity, facts, policy, principal, deps.clock.iso());
    },

    async decision(_principal: Principal, id: string, decisionId: string): Promise<DecisionDocument> {
      const row = await findDecision(deps, id, decisionId);
      const name = await deps.names.namer();
      const actor = JSON.parse(row.principal) as Actor;
      const identity = row.identity as ActionIdentity;
      return {
        ...(JSON.parse(row.body) as DecisionBody),
        id: row.id,
        itemId: row.item_id,
        identity,
        label: ACTIONS[identity].label,
        outcome: row.outcome as DecisionDocument['outcome'],
        by: name(actor),
        actor,
        at: row.at,
      };
    },

    async history(_principal: Principal, id: string, page: { cursor?: string | undefined; limit?: number } = {}): Promise<HistoryDocument> {
      const row = await findItem(read, project_id, id);
      if (!row) throw noItem(id);
      const limit = page.limit ?? PAGE;
      const before = page.cursor ? (deps.cursors.decode('history', page.cursor) as number) : Number.MAX_SAFE_INTEGER;
      const [found, made, name] = await Promise.all([
        read.all(events.newestOfItem, { project_id, stream_id: id, before, limit: limit + 1 }),
        read.all(decisions.newest, { project_id, item_id: id, limit }),
        deps.names.namer(),
      ]);
      const shown = found.slice(0, limit);
      return {
        itemId: id,
        title: row.title,
        lane: row.lane as Lane,
        events: shown.map((event) => {
          const payload = JSON.parse(event.payload) as Record<string, unknown>;
          return {
            seq: event.seq,
            at: event.at,
            actor: name(JSON.parse(event.actor) as Actor),
            type: event.type,
            text: eventSentence(event.type, payload),
            version: event.version,
            decisionId: (payload['decisionId'] as string | undefined) ?? null,
            snapshot: (payload['snapshot'] as string | undefined) ?? null,
          };
        }),
        decisions: made.map((decision) => ({
          id: decision.id,
          identity: decision.identity as ActionIdentity,
          label: ACTIONS[decision.identity as ActionIdentity].label,
          outcome: decision.outcome as 'planned' | 'applied' | 'blocked',
          by: name(JSON.parse(decision.principal) as Actor),
          at: decision.at,
          blockers: blockersIn(decision.body),
        })),
        snapshots: shown.flatMap((event) => {
          const { snapshot } = JSON.parse(event.payload) as { snapshot?: string };
          return snapshot ? [{ digest: snapshot, at: event.at }] : [];
        }),
        nextCursor: found.length > limit ? deps.cursors.encode('history', shown.at(-1)?.seq) : null,
      };
    },

    async snapshot(_principal: Principal, id: string, digest: string): Promise<{ digest: string; at: string; content: unknown }> {
      const pattern = `%"snapshot":"${/^[0-9a-f]{64}$/.test(digest) ? digest : 'none'}"%`;
      const recorded = await read.get(events.recordedSnapshot, { project_id, stream_id: id, pattern });
      const row = recorded && (await read.get(snapshots.bySeq, { project_id, item_id: id, seq: recorded.seq }));
      if (!row) {
        const message = `${id} has no history snapshot ${digest}.`;
        throw new FactoryError({ code: 'not-found', op: 'find snapshot', target: digest, message, hint: `GET /api/control-plane/items/${id}/history lists them.` });
      }
      return { digest: row.digest, at: row.created_at, content: JSON.parse(row.content) as unknown };
    },
  };
}

function later(a: string, b: string | null): string {
  return b !== null && b > a ? b : a;
}

function blockersIn(body: string): string[] {
  const { gates } = JSON.parse(body) as DecisionBody;
  return gates.filter(({ verdict }) => verdict === 'blocked' || verdict === 'unknown').map(({ gate }) => gate);
}

export async function findDecision(deps: WorkItemDependencies, itemId: string, id: string): Promise<Tables['decisions']> {
  const row = await deps.storage.read.get(decisions.byId, { project_id: deps.projectId, item_id: itemId, id });
  if (row) return row;
  throw new FactoryError({
    code: 'not-found',
    op: 'find decision',
    target: id,
    message: `${itemId} has no decision ${id}.`,
    hint: `GET /api/control-plane/items/${itemId}/history lists its decisions.`,
  });
}

import { FactoryError } from '../errors.ts';
import type { Transaction } from '../storage/transaction.ts';
import { ACTIONS } from './actions.ts';
import { findDecision } from './decision.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type { DecisionBody, DecisionDocument, HistoryDocument } from './documents.ts';
import { eventSentence } from './history.ts';
import { evolve } from './projection.ts';
import { notThere } from './reading.ts';
import { decisions, snapshots } from './store-actions.ts';
import { events, findItem, recordedEvent } from './store.ts';
import type { ActionIdentity, Actor, Lane, Principal, WorkItem } from './types.ts';

const PAGE = 50;

/** Reads an item's past: its decisions, its events, its snapshots. */
export function createReadingHistory(deps: WorkItemDependencies) {
  const project_id = deps.projectId;
  const read = deps.storage.read;

  return {
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

    async history(
      _principal: Principal,
      id: string,
      page: { cursor?: string | undefined; limit?: number } = {},
    ): Promise<HistoryDocument> {
      const row = await findItem(read, project_id, id);
      if (!row) throw notThere(deps, id);
      const limit = page.limit ?? PAGE;
      const before = page.cursor
        ? (deps.cursors.decode('history', page.cursor) as number)
        : Number.MAX_SAFE_INTEGER;
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

    async snapshot(
      _principal: Principal,
      id: string,
      digest: string,
    ): Promise<{ digest: string; at: string; content: unknown }> {
      const pattern = `%"snapshot":"${/^[0-9a-f]{64}$/.test(digest) ? digest : 'none'}"%`;
      const recorded = await read.get(events.recordedSnapshot, { project_id, stream_id: id, pattern });
      const row =
        recorded && (await read.get(snapshots.bySeq, { project_id, item_id: id, seq: recorded.seq }));
      if (!row) {
        const message = `${id} has no history snapshot ${digest}.`;
        throw new FactoryError({
          code: 'not-found',
          op: 'find snapshot',
          target: digest,
          message,
          hint: `GET /api/control-plane/items/${id}/history lists them.`,
        });
      }
      return { digest: row.digest, at: row.created_at, content: JSON.parse(row.content) as unknown };
    },
  };
}

/** The item as it was at a version, for the difference that a 412 shows; null if there was none. */
export async function itemAt(
  tx: Transaction,
  deps: WorkItemDependencies,
  id: string,
  version: number,
): Promise<WorkItem | null> {
  const rows = await tx.all(events.ofItem, {
    project_id: deps.projectId,
    stream_id: id,
    after: 0,
    limit: 100_000,
  });
  const until = rows.filter((row) => row.version <= version).map(recordedEvent);
  if (until.at(-1)?.version !== version) return null;
  return until.reduce<WorkItem | null>((item, event) => evolve(item, event), null);
}

function blockersIn(body: string): string[] {
  const { gates } = JSON.parse(body) as DecisionBody;
  return gates
    .filter(({ verdict }) => verdict === 'blocked' || verdict === 'unknown')
    .map(({ gate }) => gate);
}

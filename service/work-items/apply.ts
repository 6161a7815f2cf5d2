import { recordChange } from '../audit/events.ts';
import type { Transaction } from '../storage/transaction.ts';
import type { ActAnswer, Attempt, Judged } from './attempt.ts';
import { bodyOf, saveDecision } from './decision.ts';
import { conditionsOf } from './conditions-read.ts';
import type { Decided } from './decide.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type { ActionResult } from './documents.ts';
import { digestOf } from './evaluation.ts';
import { historyText } from './history.ts';
import { attention } from './attention.ts';
import { oweQueueWrite, type QueueWrite } from './outbox.ts';
import { evolve } from './projection.ts';
import { documentOf } from './reading.ts';
import { decisions, idempotency, snapshots } from './store-actions.ts';
import { itemRow, saveItem } from './store.ts';
import type { WorkItem } from './types.ts';
import { itemDiff } from './views.ts';

/** What an allowed action writes, and the answer to it. */

/** What the item would be; nothing but the decision is written. */
export async function plan(
  deps: WorkItemDependencies,
  tx: Transaction,
  attempt: Attempt,
  judged: Judged,
  decided: Decided,
): Promise<ActAnswer> {
  const { row, facts, report, around, ids } = judged;
  const decision = await saveDecision(
    deps,
    tx,
    attempt,
    row.changed_seq,
    'planned',
    bodyOf(deps, attempt, facts, report, decided, ids),
  );
  const after = foldAll(deps, attempt, facts.item, decided, row.changed_seq);
  const result = resultOf(deps, attempt, judged, decided, decision.id, after, around.pending);
  const item = documentOf(deps, facts.item, attempt.observed, around);
  return { result: { ...result, item }, version: facts.item.version, replayed: false };
}

/** Decision, events with their audit leaves, projection, queue write and stored answer, in the caller's transaction. */
export async function apply(
  deps: WorkItemDependencies,
  tx: Transaction,
  attempt: Attempt,
  judged: Judged,
  decided: Decided,
): Promise<{ answer: ActAnswer; owes: boolean }> {
  const { row, facts, report, around, ids } = judged;
  const { id, identity, actor, observed } = attempt;
  const snapshot = identity === 'record-history' ? await takeSnapshot(deps, tx, attempt, judged) : null;
  const decision = await saveDecision(
    deps,
    tx,
    attempt,
    row.changed_seq + 1,
    'applied',
    bodyOf(deps, attempt, facts, report, decided, ids),
  );
  let item = facts.item;
  let seq = row.changed_seq;
  const version = item.version + 1;
  const at = deps.clock.iso();
  for (const [index, planned] of decided.events.entries()) {
    const event =
      snapshot && planned.type === 'history-recorded' ? { ...planned, snapshot: snapshot.digest } : planned;
    const { type, ...payload } = event;
    seq = await recordChange(tx, deps.audit, {
      projectId: deps.projectId,
      stream: 'item',
      streamId: id,
      version,
      type,
      payload: { ...payload, decisionId: decision.id },
      actor,
      at,
      action: `work-item.${identity}`,
      ...(index === 0 ? { decision: { id: decision.id, commitment: decision.commitment } } : {}),
    });
    item = evolve(item, { seq, projectId: deps.projectId, version, at, actor, event });
  }
  if (snapshot) {
    const row = { seq, project_id: deps.projectId, item_id: id, created_at: at, ...snapshot };
    await tx.run(snapshots.insert, row);
  }
  const write = deps.queueWrites ? queueWriteFor(decided, item) : null;
  if (write) await oweQueueWrite(tx, deps, id, seq, write);
  const pending = around.pending || (write !== null && around.pendingFailure === null);
  const conditions = await conditionsOf(tx, deps, item);
  const now: Judged = { ...judged, around: { ...around, conditions } };
  const result = resultOf(deps, attempt, now, decided, decision.id, item, pending);
  const waits = attention(item, observed.queue, result.item.queueTruth.drift, conditions);
  await saveItem(tx, itemRow(item, seq, waits), false);
  await storeAnswer(deps, tx, attempt, result);
  return { answer: { result, version: item.version, replayed: false }, owes: write !== null };
}

interface Snapshot {
  digest: string;
  content: string;
}

/** The snapshot that `record-history` takes: the item as it was judged, its signals, the decisions since the last one. */
async function takeSnapshot(
  deps: WorkItemDependencies,
  tx: Transaction,
  { id, observed }: Attempt,
  { row, facts: { item } }: Judged,
): Promise<Snapshot> {
  const since = { project_id: deps.projectId, item_id: id, after: item.history.seq };
  const made = await tx.all(decisions.appliedSince, since);
  made.sort((a, b) => (a.id < b.id ? -1 : 1));
  const stored = { document: row.document, previous: item.history.latest };
  const content = historyText(stored, observed.queue, made);
  return { digest: digestOf(content), content };
}

function foldAll(
  deps: WorkItemDependencies,
  { actor }: Attempt,
  item: WorkItem,
  decided: Decided,
  seq: number,
): WorkItem {
  const at = deps.clock.iso();
  const envelope = { seq, projectId: deps.projectId, version: item.version + 1, at, actor };
  return decided.events.reduce((folded, event) => evolve(folded, { ...envelope, event }), item);
}

function resultOf(
  deps: WorkItemDependencies,
  { identity, request, observed }: Attempt,
  { facts, report, around }: Judged,
  decided: Decided,
  decisionId: string,
  after: WorkItem,
  pending: boolean,
): ActionResult {
  const item = documentOf(deps, after, observed, { ...around, pending });
  const diff = itemDiff(facts.item, after, () => documentOf(deps, facts.item, observed, around), item);
  return {
    decisionId,
    dryRun: request.dryRun ?? false,
    identity,
    lane: decided.lane,
    diff,
    effects: decided.effects,
    gates: report.gates,
    item,
  };
}

async function storeAnswer(
  deps: WorkItemDependencies,
  tx: Transaction,
  { request, scope, digest }: Attempt,
  result: ActionResult,
): Promise<void> {
  if (request.idempotencyKey === undefined) return;
  await tx.run(idempotency.insert, {
    project_id: deps.projectId,
    scope,
    key: request.idempotencyKey,
    digest,
    response: JSON.stringify(result),
    created_at: deps.clock.iso(),
  });
}

function queueWriteFor(decided: Decided, item: WorkItem): QueueWrite | null {
  const effect = decided.effects.find(({ kind }) => kind === 'queue-write');
  if (!effect) return null;
  const restored = decided.events.some(
    (event) => event.type === 'reconciled' && event.codes.includes('queue-file-missing'),
  );
  return { kind: restored ? 'restore' : 'move', lane: item.lane };
}

import { recordChange, SYSTEM, type ChangeActor } from '../audit/events.ts';
import { canonicalJson } from '../canonical-json.ts';
import type { Transaction } from '../storage/transaction.ts';
import { attention } from './attention.ts';
import { conditionsOf } from './conditions-read.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import type { FileStamp } from './queue-items.ts';
import { aged, isUnread, keep } from './looking.ts';
import { evolve } from './projection.ts';
import { findItem, itemRow, items, lastObservation, parseItem, saveItem, saveObservation } from './store.ts';
import { isOnItsWay, queueWriteOf } from './store-actions.ts';
import { truthReport } from './truth.ts';
import type { ItemEvent, QueueObservation, ReadRecord, WorkItem } from './types.ts';
import { NEVER } from './unread.ts';

/** Items per transaction: bounds how long other writers wait during an import. */
export const CHUNK = 100;

export interface SeenItem {
  id: string;
  observation: QueueObservation;
  stamps: FileStamp[];
}

/**
 * Takes what the queue's files say into the database: first sight of a record makes the item in its collection's lane,
 * a changed record updates its texts, and the lane is left alone ever after (a moved file is drift).
 * Returns the ids whose item or observation changed.
 */
export async function importObservations(deps: WorkItemDependencies, seen: SeenItem[]): Promise<string[]> {
  const changed: string[] = [];
  for (let start = 0; start < seen.length; start += CHUNK) {
    const chunk = seen.slice(start, start + CHUNK);
    const ids = await deps.storage.write(async (tx) => {
      const touched: string[] = [];
      for (const one of chunk) if (await importOne(tx, deps, one)) touched.push(one.id);
      if (touched.length > 0) tx.afterCommit(deps.changed);
      return touched;
    });
    changed.push(...ids);
  }
  return changed;
}

async function importOne(
  tx: Transaction,
  deps: WorkItemDependencies,
  { id, observation, stamps }: SeenItem,
): Promise<boolean> {
  const row = await findItem(tx, deps.projectId, id);
  const before = row ? parseItem(row) : null;
  const last = await lastObservation(tx, deps.projectId, id);
  const current = toStore(observation, aged(last, deps));
  const sameObservation = last !== null && observationText(last) === observationText(current);
  const event = eventFor(before, observation.record);
  if (sameObservation && !event) return false;
  if (!sameObservation) await saveObservation(tx, deps.projectId, id, current, stamps);
  if (event) await applyEvent(tx, deps, before, id, event, current);
  else if (before) await refreshAttention(tx, deps, before, current);
  return true;
}

/** What cannot be read leaves what was last read in place, and where it could not be looked at, the time of that. */
function toStore(observation: QueueObservation, last: QueueObservation | null): QueueObservation {
  const { readBefore, ...kept } = keep(observation, last);
  return isUnread(observation) ? { ...kept, observedAt: readBefore ?? NEVER } : kept;
}

function observationText({ observedAt: _, ...value }: QueueObservation): string {
  return canonicalJson(value);
}

/** The text of a record; where it lies and its literal status are signals and change no item. */
function contentOf({ status: _, ...content }: ReadRecord['fields']): string {
  return canonicalJson(content);
}

function eventFor(item: WorkItem | null, record: ReadRecord | null): ItemEvent | null {
  if (!record) return null;
  const { fields, collection, path, revision } = record;
  const content = { ...fields, collection, path, revision };
  if (!item) return { type: 'imported', lane: collection, record: content };
  const { collection: _c, path: _p, revision: _r, ...known } = item.record;
  return contentOf(known) === contentOf(fields) ? null : { type: 'record-read', record: content };
}

async function applyEvent(
  tx: Transaction,
  deps: WorkItemDependencies,
  before: WorkItem | null,
  id: string,
  event: ItemEvent,
  observation: QueueObservation,
): Promise<void> {
  const { type, ...payload } = event;
  const version = (before?.version ?? 0) + 1;
  const at = deps.clock.iso();
  const actor: ChangeActor = SYSTEM;
  const seq = await recordChange(tx, deps.audit, {
    projectId: deps.projectId,
    stream: 'item',
    streamId: id,
    version,
    type,
    payload,
    actor,
    at,
    action: `work-item.${type}`,
  });
  const item = evolve(before, { seq, projectId: deps.projectId, version, at, actor, event });
  await saveItem(tx, itemRow(item, seq, await attentionOf(tx, deps, item, observation)), before === null);
}

/** Writes down anew why the item needs somebody. */
export async function refreshAttention(
  tx: Transaction,
  deps: WorkItemDependencies,
  item: WorkItem,
  observation: QueueObservation | null,
): Promise<void> {
  const found = await attentionOf(tx, deps, item, observation);
  await tx.run(items.setAttention, {
    project_id: deps.projectId,
    id: item.id,
    attention: found?.kind ?? null,
    attention_rank: found?.rank ?? null,
  });
}

/** Why an item needs somebody, from the item and the last look at its files; stored so that lists need no files. */
export async function attentionOf(
  tx: Transaction,
  deps: WorkItemDependencies,
  item: WorkItem,
  observation: QueueObservation | null,
  pending?: boolean,
): Promise<{ kind: string; rank: number } | null> {
  const now = deps.clock.iso();
  // Attention outlives the look: age is the lists' business.
  const current = observation && { ...observation, observedAt: now };
  const { queueWrites } = deps;
  const queueWritePending = pending ?? isOnItsWay(await queueWriteOf(tx, deps.projectId, item.id));
  const truth = truthReport(item, current, null, deps.policy(), now, { queueWritePending, queueWrites });
  return attention(item, observation, truth.drift, await conditionsOf(tx, deps, item));
}

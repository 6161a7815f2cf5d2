import { sql } from 'kysely';

import { canonicalJson } from '../canonical-json.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader, Transaction } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';
import type { FileStamp } from './queue-items.ts';
import type { Actor, ItemEvent, QueueObservation, RecordedEvent, WorkItem } from './types.ts';

/** The queries of work items, their observations, events, decisions, snapshots, keys and outbox. */

interface Scope {
  project_id: string;
}
interface OfItem extends Scope {
  item_id: string;
}

const rowValues = {
  project_id: param('project_id'),
  id: param('id'),
  lane: param('lane'),
  title: param('title'),
  work_type: param('work_type'),
  search: param('search'),
  supersedes: param('supersedes'),
  handoff_state: param('handoff_state'),
  holder_id: param('holder_id'),
  attention: param('attention'),
  attention_rank: param('attention_rank'),
  changed_seq: param('changed_seq'),
  version: param('version'),
  document: param('document'),
  created_at: param('created_at'),
  updated_at: param('updated_at'),
};

const { project_id: _project, id: _id, created_at: _created, ...changing } = rowValues;

export const items = {
  byId: statement<Scope & { id: string }>()((db) =>
    db
      .selectFrom('work_items')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  insert: statement<Tables['work_items']>()((db) => db.insertInto('work_items').values(rowValues)),
  update: statement<Omit<Tables['work_items'], 'created_at'>>()((db) =>
    db
      .updateTable('work_items')
      .set(changing)
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  setAttention: statement<Scope & { id: string; attention: string | null; attention_rank: number | null }>()(
    (db) =>
      db
        .updateTable('work_items')
        .set({ attention: param('attention'), attention_rank: param('attention_rank') })
        .where('project_id', '=', param('project_id'))
        .where('id', '=', param('id')),
  ),
  laneCounts: statement<Scope>()((db) =>
    db
      .selectFrom('work_items')
      .select((e) => ['lane', e.fn.countAll<number>().as('count')])
      .where('project_id', '=', param('project_id'))
      .groupBy('lane'),
  ),
  newestOfLane: statement<Scope & { lane: string; limit: number }>()((db) =>
    db
      .selectFrom('work_items')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('lane', '=', param('lane'))
      .orderBy('changed_seq', 'desc')
      .limit(param('limit')),
  ),
  running: statement<Scope>()((db) =>
    db
      .selectFrom('work_items')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('project_id', '=', param('project_id'))
      .where('handoff_state', 'in', [sql.lit('claimed'), sql.lit('running'), sql.lit('awaiting-human')]),
  ),
  workTypes: statement<Scope>()((db) =>
    db
      .selectFrom('work_items')
      .select('work_type')
      .distinct()
      .where('project_id', '=', param('project_id'))
      .orderBy('work_type'),
  ),
  superseding: statement<Scope & { supersedes: string }>()((db) =>
    db
      .selectFrom('work_items')
      .select('id')
      .where('project_id', '=', param('project_id'))
      .where('supersedes', '=', param('supersedes')),
  ),
};

export const observations = {
  byItem: statement<OfItem>()((db) =>
    db
      .selectFrom('observations')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id')),
  ),
  stamps: statement<Scope>()((db) =>
    db.selectFrom('observations').select(['item_id', 'stamps']).where('project_id', '=', param('project_id')),
  ),
  upsert: statement<Tables['observations']>()((db) =>
    db
      .insertInto('observations')
      .values({
        project_id: param('project_id'),
        item_id: param('item_id'),
        value: param('value'),
        stamps: param('stamps'),
        observed_at: param('observed_at'),
      })
      .onConflict((conflict) =>
        conflict.columns(['project_id', 'item_id']).doUpdateSet((e) => ({
          value: e.ref('excluded.value'),
          stamps: e.ref('excluded.stamps'),
          observed_at: e.ref('excluded.observed_at'),
        })),
      ),
  ),
};

export const events = {
  ofItem: statement<Scope & { stream_id: string; after: number; limit: number }>()((db) =>
    db
      .selectFrom('events')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('stream', '=', sql.lit('item'))
      .where('stream_id', '=', param('stream_id'))
      .where('seq', '>', param('after'))
      .orderBy('seq')
      .limit(param('limit')),
  ),
  newestOfItem: statement<Scope & { stream_id: string; before: number; limit: number }>()((db) =>
    db
      .selectFrom('events')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('stream', '=', sql.lit('item'))
      .where('stream_id', '=', param('stream_id'))
      .where('seq', '<', param('before'))
      .orderBy('seq', 'desc')
      .limit(param('limit')),
  ),
  recordedSnapshot: statement<Scope & { stream_id: string; pattern: string }>()((db) =>
    db
      .selectFrom('events')
      .select('seq')
      .where('project_id', '=', param('project_id'))
      .where('stream', '=', sql.lit('item'))
      .where('stream_id', '=', param('stream_id'))
      .where('type', '=', sql.lit('history-recorded'))
      .where('payload', 'like', param<string>('pattern')),
  ),
  after: statement<Scope & { after: number; limit: number }>()((db) =>
    db
      .selectFrom('events')
      .select(['seq', 'stream', 'stream_id', 'version', 'type', 'at'])
      .where('project_id', '=', param('project_id'))
      .where('seq', '>', param('after'))
      .orderBy('seq')
      .limit(param('limit')),
  ),
  highest: statement()((db) => db.selectFrom('events').select((e) => e.fn.max('seq').as('seq'))),
};

/** Items parsed lately, by id; used only while the stored text is the same. */
const parsed = new Map<string, { document: string; item: WorkItem }>();
const PARSED_ITEMS = 1000;

/**
 * The stored projection. It is canonical JSON, so that a replay can be compared byte for byte. Items are values: what
 * changes one makes a new one, so a parsed one can be shared.
 */
export function parseItem(row: Pick<Tables['work_items'], 'id' | 'document'>): WorkItem {
  const hit = parsed.get(row.id);
  if (hit?.document === row.document) return hit.item;
  return remember(row.id, row.document, JSON.parse(row.document) as WorkItem);
}

function remember(id: string, document: string, item: WorkItem): WorkItem {
  parsed.delete(id);
  parsed.set(id, { document, item });
  if (parsed.size > PARSED_ITEMS) parsed.delete(parsed.keys().next().value as string);
  return item;
}

export async function findItem(
  reader: Reader,
  projectId: string,
  id: string,
): Promise<Tables['work_items'] | undefined> {
  return reader.get(items.byId, { project_id: projectId, id });
}

/** Columns that lists need, all derived from the projection. */
export function itemRow(
  item: WorkItem,
  changedSeq: number,
  attention: { kind: string; rank: number } | null,
): Tables['work_items'] {
  return {
    project_id: item.projectId,
    id: item.id,
    lane: item.lane,
    title: item.record.title,
    work_type: item.record.workType,
    search: `${item.id} ${item.record.title}`.normalize('NFKC').toLowerCase(),
    supersedes: item.record.supersedes,
    handoff_state: item.handoff?.state ?? null,
    holder_id: item.handoff?.holder?.personId ?? null,
    attention: attention?.kind ?? null,
    attention_rank: attention?.rank ?? null,
    changed_seq: changedSeq,
    version: item.version,
    document: canonicalJson(item),
    created_at: item.createdAt,
    updated_at: item.updatedAt,
  };
}

export async function saveItem(tx: Transaction, row: Tables['work_items'], isNew: boolean): Promise<void> {
  if (isNew) await tx.run(items.insert, row);
  else await tx.run(items.update, row);
}

/** An event row as the reducer takes it. */
export function recordedEvent(row: Tables['events']): RecordedEvent {
  return {
    seq: row.seq,
    projectId: row.project_id,
    version: row.version,
    at: row.at,
    actor: JSON.parse(row.actor) as Actor,
    event: { type: row.type, ...(JSON.parse(row.payload) as object) } as ItemEvent,
  };
}

/** The last observation with its time; null if the item was never looked for on disk. */
export async function lastObservation(
  reader: Reader,
  projectId: string,
  itemId: string,
): Promise<QueueObservation | null> {
  const row = await reader.get(observations.byItem, { project_id: projectId, item_id: itemId });
  return row
    ? ({ ...(JSON.parse(row.value) as object), observedAt: row.observed_at } as QueueObservation)
    : null;
}

export async function saveObservation(
  tx: Transaction,
  projectId: string,
  itemId: string,
  observation: QueueObservation,
  stamps: FileStamp[],
): Promise<void> {
  const { observedAt, ...value } = observation;
  await tx.run(observations.upsert, {
    project_id: projectId,
    item_id: itemId,
    value: canonicalJson(value),
    stamps: JSON.stringify(stamps),
    observed_at: observedAt,
  });
}

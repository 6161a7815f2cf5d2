import { sql } from 'kysely';
import { canonicalJson } from '../audit/events.ts';
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
    db.selectFrom('work_items').selectAll().where('project_id', '=', param('project_id')).where('id', '=', param('id')),
  ),
  insert: statement<Tables['work_items']>()((db) => db.insertInto('work_items').values(rowValues)),
  update: statement<Omit<Tables['work_items'], 'created_at'>>()((db) =>
    db
      .updateTable('work_items')
      .set(changing)
      .where('project_id', '=', param('project_id'))
      .where('id', '=', param('id')),
  ),
  setAttention: statement<Scope & { id: string; attention: string | null; attention_rank: number | null }>()((db) =>
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
  attention: statement<Scope & { limit: number }>()((db) =>
    db
      .selectFrom('work_items')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('attention_rank', 'is not', null)
      .orderBy('attention_rank')
      .orderBy('changed_seq', 'desc')
      .limit(param('limit')),
  ),
  attentionCount: statement<Scope>()((db) =>
    db
      .selectFrom('work_items')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('project_id', '=', param('project_id'))
      .where('attention_rank', 'is not', null),
  ),
  running: statement<Scope>()((db) =>
    db
      .selectFrom('work_items')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('project_id', '=', param('project_id'))
      .where('handoff_state', 'in', ['claimed', 'running', 'awaiting-human']),
  ),
  workTypes: statement<Scope>()((db) =>
    db.selectFrom('work_items').select('work_type').distinct().where('project_id', '=', param('project_id')).orderBy('work_type'),
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
    db.selectFrom('observations').selectAll().where('project_id', '=', param('project_id')).where('item_id', '=', param('item_id')),
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
        conflict
          .columns(['project_id', 'item_id'])
          .doUpdateSet((e) => ({
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
      .where('stream', '=', 'item')
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
      .where('stream', '=', 'item')
      .where('stream_id', '=', param('stream_id'))
      .where('seq', '<', param('before'))
      .orderBy('seq', 'desc')
      .limit(param('limit')),
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

export const decisions = {
  insert: statement<Tables['decisions']>()((db) =>
    db.insertInto('decisions').values({
      id: param('id'),
      project_id: param('project_id'),
      item_id: param('item_id'),
      identity: param('identity'),
      principal: param('principal'),
      outcome: param('outcome'),
      body: param('body'),
      commitment: param('commitment'),
      at: param<string>('at'),
      item_seq: param('item_seq'),
    }),
  ),
  byId: statement<OfItem & { id: string }>()((db) =>
    db
      .selectFrom('decisions')
      .selectAll()
      .where('id', '=', param('id'))
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id')),
  ),
  newest: statement<OfItem & { limit: number }>()((db) =>
    db
      .selectFrom('decisions')
      .select(['id', 'identity', 'outcome', 'principal', 'at', 'body'])
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id'))
      .orderBy('item_seq', 'desc')
      .orderBy('id', 'desc')
      .limit(param('limit')),
  ),
  /** Where the newest history snapshot was decided. */
  lastRecorded: statement<OfItem>()((db) =>
    db
      .selectFrom('decisions')
      .select('item_seq')
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id'))
      .where('identity', '=', 'record-history')
      .where('outcome', '=', 'applied')
      .orderBy('item_seq', 'desc')
      .limit(1),
  ),
  appliedSince: statement<OfItem & { after: number }>()((db) =>
    db
      .selectFrom('decisions')
      .select(['id', 'identity', 'commitment', 'at'])
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id'))
      .where('outcome', '=', 'applied')
      .where('item_seq', '>=', param('after'))
      .orderBy('item_seq')
      .orderBy('id'),
  ),
};

export const snapshots = {
  insert: statement<Tables['history_snapshots']>()((db) =>
    db
      .insertInto('history_snapshots')
      .values({
        project_id: param('project_id'),
        digest: param('digest'),
        item_id: param('item_id'),
        content: param('content'),
        created_at: param('created_at'),
      })
      .onConflict((conflict) => conflict.columns(['project_id', 'digest']).doNothing()),
  ),
  byDigest: statement<OfItem & { digest: string }>()((db) =>
    db
      .selectFrom('history_snapshots')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('digest', '=', param('digest'))
      .where('item_id', '=', param('item_id')),
  ),
};

export const idempotency = {
  byKey: statement<Scope & { scope: string; key: string }>()((db) =>
    db
      .selectFrom('idempotency_keys')
      .select(['digest', 'response'])
      .where('project_id', '=', param('project_id'))
      .where('scope', '=', param('scope'))
      .where('key', '=', param('key')),
  ),
  insert: statement<Tables['idempotency_keys']>()((db) =>
    db.insertInto('idempotency_keys').values({
      project_id: param('project_id'),
      scope: param('scope'),
      key: param('key'),
      digest: param('digest'),
      response: param('response'),
      created_at: param('created_at'),
    }),
  ),
  deleteOlder: statement<{ before: string }>()((db) =>
    db.deleteFrom('idempotency_keys').where('created_at', '<', param('before')),
  ),
};

export const outbox = {
  insert: statement<Tables['outbox']>()((db) =>
    db.insertInto('outbox').values({
      seq: param('seq'),
      project_id: param('project_id'),
      item_id: param('item_id'),
      kind: param('kind'),
      payload: param('payload'),
      attempts: param('attempts'),
      last_error: param('last_error'),
      created_at: param('created_at'),
    }),
  ),
  next: statement<Scope & { limit: number }>()((db) =>
    db.selectFrom('outbox').selectAll().where('project_id', '=', param('project_id')).orderBy('seq').limit(param('limit')),
  ),
  firstOfItem: statement<OfItem>()((db) =>
    db
      .selectFrom('outbox')
      .select(['kind', 'attempts', 'last_error'])
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id'))
      .orderBy('seq')
      .limit(1),
  ),
  pendingItems: statement<Scope>()((db) =>
    db.selectFrom('outbox').select('item_id').distinct().where('project_id', '=', param('project_id')),
  ),
  failed: statement<{ seq: number; last_error: string }>()((db) =>
    db
      .updateTable('outbox')
      .set({ attempts: sql<number>`attempts + 1`, last_error: param('last_error') })
      .where('seq', '=', param('seq')),
  ),
  remove: statement<{ seq: number }>()((db) => db.deleteFrom('outbox').where('seq', '=', param('seq'))),
};

/** The stored projection. It is canonical JSON, so that a replay can be compared byte for byte. */
export function parseItem(row: Pick<Tables['work_items'], 'document'>): WorkItem {
  return JSON.parse(row.document) as WorkItem;
}

export async function findItem(reader: Reader, projectId: string, id: string): Promise<Tables['work_items'] | undefined> {
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
export async function lastObservation(reader: Reader, projectId: string, itemId: string): Promise<QueueObservation | null> {
  const row = await reader.get(observations.byItem, { project_id: projectId, item_id: itemId });
  return row ? ({ ...(JSON.parse(row.value) as object), observedAt: row.observed_at } as QueueObservation) : null;
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

/** The queue write of the item that is next in the outbox; null: none waits. */
export async function queueWriteOf(reader: Reader, projectId: string, itemId: string): Promise<{ failure: string | null } | null> {
  const row = await reader.get(outbox.firstOfItem, { project_id: projectId, item_id: itemId });
  return row ? { failure: row.last_error } : null;
}

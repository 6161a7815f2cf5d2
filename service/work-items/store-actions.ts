import { sql } from 'kysely';
import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';

/**
 * The queries of what actions leave: decisions, history snapshots, idempotency keys, and the outbox.
 */

interface Scope {
  project_id: string;
}
interface OfItem extends Scope {
  item_id: string;
}

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
  /** The decision that applied a plan; `pattern` finds the plan's id in the body. */
  applying: statement<OfItem & { after: number; pattern: string }>()((db) =>
    db
      .selectFrom('decisions')
      .select('id')
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id'))
      .where('item_seq', '>', param('after'))
      .where('outcome', '=', sql.lit('applied'))
      .where('body', 'like', param<string>('pattern')),
  ),
  appliedSince: statement<OfItem & { after: number }>()((db) =>
    db
      .selectFrom('decisions')
      .select(['id', 'identity', 'commitment', 'at'])
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id'))
      .where('outcome', '=', sql.lit('applied'))
      .where('item_seq', '>', param('after')),
  ),
};

export const snapshots = {
  insert: statement<Tables['history_snapshots']>()((db) =>
    db.insertInto('history_snapshots').values({
      seq: param('seq'),
      project_id: param('project_id'),
      item_id: param('item_id'),
      digest: param('digest'),
      created_at: param('created_at'),
      content: param('content'),
    }),
  ),
  bySeq: statement<OfItem & { seq: number }>()((db) =>
    db
      .selectFrom('history_snapshots')
      .selectAll()
      .where('seq', '=', param('seq'))
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id')),
  ),
  /** Every recorded snapshot with what is stored of it; nulls where that is lost. */
  recorded: statement<Scope & { after: number; limit: number }>()((db) =>
    db
      .selectFrom('events')
      .leftJoin('history_snapshots', 'history_snapshots.seq', 'events.seq')
      .select(['events.seq', 'events.project_id as event_project_id', 'events.stream_id', 'events.payload'])
      .select(['events.at', 'history_snapshots.project_id', 'item_id', 'digest', 'created_at', 'content'])
      .where('events.project_id', '=', param('project_id'))
      .where('events.type', '=', sql.lit('history-recorded'))
      .where('events.seq', '>', param('after'))
      .orderBy('events.seq')
      .limit(param('limit')),
  ),
  /** Stored ones that no event recorded, of any project. */
  unrecorded: statement<{ limit: number }>()((db) =>
    db
      .selectFrom('history_snapshots')
      .leftJoin('events', (join) =>
        join
          .onRef('events.seq', '=', 'history_snapshots.seq')
          .on('events.type', '=', sql.lit('history-recorded')),
      )
      .select(['history_snapshots.seq', 'history_snapshots.item_id'])
      .where('events.seq', 'is', null)
      .orderBy('history_snapshots.seq')
      .limit(param('limit')),
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
  /** The answer to a request whose effect was stored before it. */
  answer: statement<Scope & { scope: string; key: string; response: string }>()((db) =>
    db
      .updateTable('idempotency_keys')
      .set({ response: param('response') })
      .where('project_id', '=', param('project_id'))
      .where('scope', '=', param('scope'))
      .where('key', '=', param('key')),
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
  next: statement<Scope & { after: number; limit: number }>()((db) =>
    db
      .selectFrom('outbox')
      .selectAll()
      .where('project_id', '=', param('project_id'))
      .where('seq', '>', param('after'))
      .orderBy('seq')
      .limit(param('limit')),
  ),
  waiting: statement<OfItem>()((db) =>
    db
      .selectFrom('outbox')
      .select(['seq', 'kind', 'payload', 'last_error'])
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id'))
      .orderBy('seq'),
  ),
  removeFailed: statement<OfItem & { kind: string }>()((db) =>
    db
      .deleteFrom('outbox')
      .where('project_id', '=', param('project_id'))
      .where('item_id', '=', param('item_id'))
      .where('kind', '=', param('kind'))
      .where('last_error', 'is not', null),
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

/** A write that has failed may do so for good: what the files say counts until it succeeds. */
export function isOnItsWay(write: { failure: string | null } | null): boolean {
  return write !== null && write.failure === null;
}

/** The queue write of the item that is next in the outbox; null: none waits. */
export async function queueWriteOf(
  reader: Reader,
  projectId: string,
  itemId: string,
): Promise<{ failure: string | null } | null> {
  const row = await reader.get(outbox.waiting, { project_id: projectId, item_id: itemId });
  return row ? { failure: row.last_error } : null;
}

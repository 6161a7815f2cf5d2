import { canonicalJson } from '../canonical-json.ts';
import { param, statement } from '../storage/statement.ts';
import type { Transaction } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';
import { eventCommitment, type AuditEntry } from './leaf.ts';
import type { AuditLog } from './log.ts';

/** Who acts, as events and leaves keep it: ids only. */
export interface ChangeActor {
  kind: 'person' | 'token' | 'system';
  id: string;
  personId: string | null;
  roles: string[];
}

/** The system's own part: imports, start-up. */
export const SYSTEM: ChangeActor = { kind: 'system', id: 'system', personId: null, roles: [] };

export interface Change {
  projectId: string;
  stream: 'item' | 'person' | 'token' | 'session' | 'governance';
  streamId: string;
  version: number;
  type: string;
  payload: unknown;
  actor: ChangeActor;
  at: string;
  /** Name of the change in the audit log, e.g. `work-item.complete`. */
  action: string;
  decision?: AuditEntry['decision'];
}

const insertEvent = statement<Tables['events']>()((db) =>
  db.insertInto('events').values({
    seq: param('seq'),
    project_id: param('project_id'),
    stream: param('stream'),
    stream_id: param('stream_id'),
    version: param('version'),
    type: param('type'),
    payload: param('payload'),
    actor: param('actor'),
    at: param<string>('at'),
  }),
);

/**
 * Writes the event and its audit leaf in the caller's transaction, so that no change exists without its record.
 * Returns the event's `seq`.
 */
export async function recordChange(tx: Transaction, audit: AuditLog, change: Change): Promise<number> {
  const row: Tables['events'] = {
    seq: await tx.nextSeq('events'),
    project_id: change.projectId,
    stream: change.stream,
    stream_id: change.streamId,
    version: change.version,
    type: change.type,
    payload: canonicalJson(change.payload),
    actor: canonicalJson(change.actor),
    at: change.at,
  };
  await tx.run(insertEvent, row);
  await audit.append(tx, {
    project: change.projectId,
    actor: { kind: change.actor.kind, id: change.actor.id },
    action: change.action,
    object: { kind: change.stream, id: change.streamId },
    outcome: 'applied',
    event: { seq: row.seq, commitment: eventCommitment(audit.commitmentKey, row) },
    ...(change.decision ? { decision: change.decision } : {}),
  });
  return row.seq;
}

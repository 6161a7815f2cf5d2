import { existsSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { systemClock } from '../../service/clock.ts';
import type { Clock } from '../../service/clock.ts';
import { loadAuditKeys } from '../../service/audit/keys.ts';
import type { AuditKeys } from '../../service/audit/keys.ts';
import { decisionCommitment, eventCommitment } from '../../service/audit/leaf.ts';
import { createAuditLog } from '../../service/audit/log.ts';
import type { AuditLog } from '../../service/audit/log.ts';
import { openStorage } from '../../service/storage/open.ts';
import { param, statement } from '../../service/storage/statement.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import type { Tables } from '../../service/storage/tables.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';

const insertEvent = statement<Tables['events']>()((db) =>
  db.insertInto('events').values({
    seq: param<number>('seq'),
    project_id: param<string>('project_id'),
    stream: param<string>('stream'),
    stream_id: param<string>('stream_id'),
    version: param<number>('version'),
    type: param<string>('type'),
    payload: param<string>('payload'),
    actor: param<string>('actor'),
    at: param<string>('at'),
  }),
);

const insertDecision = statement<Tables['decisions']>()((db) =>
  db.insertInto('decisions').values({
    id: param<string>('id'),
    project_id: param<string>('project_id'),
    item_id: param<string>('item_id'),
    identity: param<string>('identity'),
    principal: param<string>('principal'),
    outcome: param<string>('outcome'),
    body: param<string>('body'),
    commitment: param<string>('commitment'),
    at: param<string>('at'),
    item_seq: param<number>('item_seq'),
  }),
);

export interface Installation {
  url: string;
  storage: Storage;
  keys: AuditKeys;
  log: AuditLog;
  checkpoints: string;
  errors: string[];
  /** A second process on the same database and folders. */
  another(): Promise<{ storage: Storage; log: AuditLog; errors: string[] }>;
}

/** A new database on the project's engine, with keys, folders and a log that is not started. */
export async function install(clock: Clock = systemClock): Promise<Installation> {
  const folder = mkdtempSync(join(inject('scratch'), 'audit-'));
  const checkpoints = join(folder, 'checkpoints');
  const keys = loadAuditKeys(join(folder, 'keyring'), 'test', existsSync(join(folder, 'keyring')));
  const url = await createEngineDatabase();
  const open = async () => {
    const storage = await openStorage(url);
    const errors: string[] = [];
    const logger = {
      error: (fields: object, message: string) => void errors.push(`${message} ${JSON.stringify(fields)}`),
    };
    const log = createAuditLog({ storage, keys, clock, checkpointDirs: [checkpoints], logger });
    return { storage, log, errors };
  };
  return { url, keys, checkpoints, another: open, ...(await open()) };
}

/** One change as the services write it: event, decision and leaf in one transaction. Its leaf's `seq`. */
export function writeChange(
  { storage, log }: Pick<Installation, 'storage' | 'log'>,
  name: string,
): Promise<number> {
  const at = '2026-03-01T10:00:00.000Z';
  return storage.write(async (tx) => {
    const shared = { project_id: 'main', at };
    const seq = await tx.nextSeq('events');
    const event = {
      ...shared,
      seq,
      stream: 'item',
      stream_id: name,
      version: 1,
      type: 'lane-moved',
      payload: `{"title":"Title of ${name}"}`,
      actor: '{"id":"p-1"}',
    };
    const decision = {
      ...shared,
      id: `decision-${name}`,
      item_id: name,
      identity: 'complete',
      principal: '{"id":"p-1"}',
      outcome: 'applied',
      body: '{"gates":[]}',
      item_seq: seq,
    };
    const commitment = decisionCommitment(log.commitmentKey, decision);
    await tx.run(insertEvent, event);
    await tx.run(insertDecision, { ...decision, commitment });
    return log.append(tx, {
      actor: { kind: 'person', id: 'p-1' },
      action: 'work-item.complete',
      object: { kind: 'item', id: name },
      outcome: 'applied',
      project: 'main',
      event: { seq, commitment: eventCommitment(log.commitmentKey, event) },
      decision: { id: decision.id, commitment },
    });
  });
}

export async function writeChanges(
  installation: Pick<Installation, 'storage' | 'log'>,
  names: string[],
): Promise<void> {
  await Promise.all(names.map((name) => writeChange(installation, name)));
}

/** `<prefix>-<from>` and so on. */
export function named(prefix: string, count: number, from = 1): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${i + from}`);
}

import { hash } from 'node:crypto';
import type { AuditLog } from '../audit/log.ts';
import type { ChangeActor } from '../audit/events.ts';
import { canonicalJson } from '../canonical-json.ts';
import { FactoryError } from '../errors.ts';
import { readMeta, removeMeta, writeMeta } from '../storage/meta.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader, Storage, Transaction } from '../storage/transaction.ts';

/**
 * After a restore in place the database may say what the world no longer is: records moved since, webhooks were sent.
 * Whatever acts on the world stays paused until somebody has looked at what drifted and accepted it.
 */
export interface RestorePause {
  /** The backup, or what an undo went back to. */
  backupId: string;
  takenAt: string;
  restoredAt: string;
  epoch: number;
  by: string;
  why: 'restore' | 'undo';
}

const KEY = 'restore-pause';
/** Stays when the pause is lifted: whoever reads histories has to know that they have a gap. */
const LAST = 'restore-last';

/** Null: nothing is paused. Schedulers and the outbox ask before each round. */
export function restorePause(reader: Reader): Promise<RestorePause | null> {
  return readPause(reader, KEY);
}

/** The last restore in place, accepted or not; null: there was none. */
export function lastRestore(reader: Reader): Promise<RestorePause | null> {
  return readPause(reader, LAST);
}

async function readPause(reader: Reader, key: string): Promise<RestorePause | null> {
  const text = await readMeta(reader, key);
  return text === null ? null : (JSON.parse(text) as RestorePause);
}

/** In the transaction that writes the `restored` leaf. */
export async function pauseAfterRestore(tx: Transaction, pause: RestorePause): Promise<void> {
  for (const key of [KEY, LAST]) await writeMeta(tx, key, JSON.stringify(pause));
}

/** One sentence without paths or content. */
export function pauseText({ takenAt, why }: Pick<RestorePause, 'takenAt' | 'why'>): string {
  const what = why === 'undo' ? 'A restore was undone' : `The database was put back to ${takenAt}`;
  return `${what}: queue writes and jobs are paused until somebody accepts what drifted (on the Operations page, or \`npx factory restore --accept\`).`;
}

/** Why a job is not begun while it lasts. A backup that somebody makes by hand is none of them. */
export function pausedJob(target: string, pause: RestorePause): FactoryError {
  return new FactoryError({
    ...{ code: 'job-paused', op: 'start job', target, message: pauseText(pause) },
    hint: 'Look at what drifted, and accept it, on the Operations page or with `npx factory restore --accept`. A backup by hand is made all the same: `npx factory backup`.',
  });
}

/** An item whose files say something else than the database. */
export interface Drifted {
  id: string;
  lane: string;
  attention: string;
}

const drifting = statement<{ project_id: string }>()((db) =>
  db
    .selectFrom('work_items')
    .select(['id', 'lane', 'attention'])
    .where('project_id', '=', param('project_id'))
    .where('attention', 'in', ['drift', 'problem'])
    .orderBy('id'),
);
const owed = statement<{ project_id: string }>()((db) =>
  db
    .selectFrom('outbox')
    .select(['seq', 'item_id', 'kind'])
    .where('project_id', '=', param('project_id'))
    .orderBy('seq'),
);

export interface DriftReport {
  pause: RestorePause;
  /** As the service last compared them with the queue folder. */
  drifted: Drifted[];
  /** Queue writes that are carried out once it is accepted. */
  owed: { itemId: string; kind: string }[];
}

/** Names exactly this report. */
export function reportDigest(report: DriftReport): string {
  return hash('sha256', canonicalJson(report)).slice(0, 16);
}

/** Null: nothing waits for an answer. */
export async function driftReport(reader: Reader, projectId: string): Promise<DriftReport | null> {
  const pause = await restorePause(reader);
  if (pause === null) return null;
  const drifted = await reader.all(drifting, { project_id: projectId });
  const writes = await reader.all(owed, { project_id: projectId });
  return {
    pause,
    drifted: drifted.map(({ id, lane, attention }) => ({ id, lane, attention: attention ?? '' })),
    owed: writes.map(({ item_id: itemId, kind }) => ({ itemId, kind })),
  };
}

/**
 * Lifts the pause, if the report is still the one that was seen; with its audit entry in one transaction.
 * Errors: `restore-not-paused`, `report-outdated`.
 */
export function acceptRestore(
  { storage, audit, projectId }: { storage: Storage; audit: AuditLog; projectId: string },
  actor: Pick<ChangeActor, 'kind' | 'id'>,
  digest: string,
): Promise<DriftReport> {
  return storage.write(async (tx) => {
    const report = await driftReport(tx, projectId);
    if (report === null) throw notPaused();
    if (reportDigest(report) !== digest) throw outdated(digest);
    await removeMeta(tx, KEY);
    await audit.append(tx, {
      project: projectId,
      actor: { kind: actor.kind, id: actor.id },
      action: 'database.restore-accepted',
      object: { kind: 'backup', id: report.pause.backupId },
      outcome: 'applied',
    });
    return report;
  });
}

function notPaused(): FactoryError {
  return new FactoryError({
    code: 'restore-not-paused',
    op: 'accept restore',
    message: 'No restore waits for an answer.',
    hint: 'Nothing was changed; queue writes and jobs are not paused.',
  });
}

function outdated(target: string): FactoryError {
  return new FactoryError({
    code: 'report-outdated',
    op: 'accept restore',
    target,
    message: 'What drifted is no longer what that report says.',
    hint: 'Look at it again: `npx factory restore --accept` shows it. Nothing was changed.',
  });
}

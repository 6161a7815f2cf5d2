import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { acquireLock } from '../../../service/storage/process-lock.ts';
import type { LockOwner } from '../../../service/storage/process-lock.ts';
import type { SqliteFacts } from '../../../service/storage/sqlite-snapshot.ts';
import { readCatalog } from './catalog.ts';
import { chooseKind, worthIt } from './choose.ts';
import { stemOf } from './format.ts';
import type { Kind, Manifest } from './format.ts';
import type { BackupJob } from './job.ts';
import { publicKeyOf } from './manifest.ts';
import { changedPages } from './pages.ts';
import { ask, bytesOf, everywhere, percent, send, sentTo } from './send.ts';
import type { Found, Sent } from './send.ts';
import { takeSnapshot } from './snapshot.ts';
import { readPageList, stageDifference, stageFull } from './stage.ts';
import { markOf, readPages, readState, savePages, saveState } from './state.ts';
import type { State } from './state.ts';
import { wrap } from './wrap.ts';
import type { Base, Made } from './wrap.ts';
import { sizeText } from '../size.ts';

/** Making a backup: copy, stage, check, send everywhere, remember. */

export interface BackupResult {
  backupId: string;
  kind: Kind | 'skipped';
  sequence: number;
  databaseBytes: number;
  storedBytes: number;
  seconds: number;
  /** Of the copy alone: how long a read transaction was held. */
  snapshotSeconds: number;
  destinations: Sent[];
}

/**
 * One backup to every destination. A destination that fails does not keep the others from having it.
 * Errors: those of the copy, `locked`, `backup-space`, `backup-timeout`; nothing was sent then.
 */
export async function makeBackup(job: BackupJob): Promise<BackupResult> {
  makeFolder(job.folder, 0o700);
  const onWait = (owner: LockOwner | null): void =>
    job.say(`Waiting for ${owner ? `${owner.what}, process ${owner.pid}` : 'another process'} to end.`);
  const { waitMs, now } = job;
  const lock = await acquireLock(join(job.folder, 'lock'), { what: 'factory backup', waitMs, now, onWait });
  const work = join(job.folder, `work-${randomUUID()}`);
  try {
    removeLeftBehind(job.folder);
    makeFolder(work, 0o700);
    return await backup(job, work);
  } catch (error) {
    if (job.signal.aborted) throw timedOut(job.source, error);
    throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
    lock.release();
  }
}

/** Whoever holds the lock is alone: another work folder is that of a process that was killed. */
function removeLeftBehind(folder: string): void {
  for (const name of readdirSync(folder))
    if (name.startsWith('work-')) rmSync(join(folder, name), { recursive: true, force: true });
}

async function backup(job: BackupJob, work: string): Promise<BackupResult> {
  const started = performance.now();
  const startedAt = new Date(job.now()).toISOString();
  const state = readState(job.folder);
  const found = await Promise.all(job.destinations.map((destination) => ask(destination, job)));
  const mark = markOf(job.source);
  const seconds = (): number => (performance.now() - started) / 1000;
  const skip = (snapshotSeconds: number): BackupResult =>
    skipped(job, state, found, seconds(), snapshotSeconds);
  if (!job.full && state.last?.mark === mark && everywhere(found, state.last.backupId)) return skip(0);

  assertSpace(job);
  const copy = join(work, 'copy.sqlite');
  const snapshot = await takeSnapshot(job.source, copy, {
    signal: job.signal,
    onProgress: (done, total) => job.progress(`Copying the database: ${percent(done, total)}`),
  });
  const base = baseOf(job, state, found, snapshot.facts.pageSize);
  const known = state.last && everywhere(found, state.last.backupId) ? state.last.sha256 : null;
  const made = await stageContent(job, work, copy, snapshot.facts, base, known);
  if (made === 'unchanged') {
    await snapshot.checked;
    saveState(job.folder, { ...state, last: state.last && { ...state.last, mark } });
    return skip(snapshot.seconds);
  }
  job.progress('Checking the copy');
  await snapshot.checked;
  rmSync(copy);

  const sequence = await nextSequence(job, state);
  // Before anything is sent: no later backup takes this number again, wherever this one is cut off.
  saveState(job.folder, { ...state, sequence });
  const stem = stemOf(made.kind, job.name, startedAt, sequence);
  const { manifest, parcels } = await wrap(job, stem, {
    made,
    facts: snapshot.facts,
    startedAt,
    sequence,
    base,
    work,
  });
  const sent = await Promise.all(found.map((one) => send(one, parcels, stem, job)));
  remember(job, state, { manifest, made, mark, sent });
  const storedBytes = parcels.reduce((sum, { content }) => sum + bytesOf(content), 0);
  const { bytes: databaseBytes } = snapshot.facts;
  return {
    ...{ backupId: stem, kind: made.kind, sequence, databaseBytes, storedBytes },
    ...{ seconds: seconds(), snapshotSeconds: snapshot.seconds, destinations: sent },
  };
}

function skipped(
  { source }: BackupJob,
  { last, sequence }: State,
  found: readonly Found[],
  seconds: number,
  snapshotSeconds: number,
): BackupResult {
  const destinations = found.map(({ destination, error }) => sentTo(destination, error));
  const { size: databaseBytes } = statSync(source);
  const known = { backupId: last?.backupId ?? '', kind: 'skipped' as const, sequence };
  return { ...known, databaseBytes, storedBytes: 0, seconds, snapshotSeconds, destinations };
}

/** The copy, and at worst as much again of what zstd cannot make smaller. */
function assertSpace({ source, folder }: BackupJob): void {
  const { bavail, bsize } = statfsSync(folder);
  const wal = statSync(`${source}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  const needed = 2 * ((statSync(source, { throwIfNoEntry: false })?.size ?? 0) + wal);
  if (bavail * bsize >= needed) return;
  throw new FactoryError({
    code: 'backup-space',
    op: 'make backup',
    target: folder,
    message: `${folder} has ${sizeText(bavail * bsize)} free; a backup may need ${sizeText(needed)}.`,
    hint: 'Free space there; nothing was sent.',
    retryable: true,
  });
}

/** The full backup that a differential can rest on; null: a full one is made. */
function baseOf(job: BackupJob, { full }: State, found: readonly Found[], pageSize: number): Base | null {
  const list = full && readPages(job.folder, full.backupId);
  const held = full !== null && everywhere(found, full.backupId);
  const kind = chooseKind({ forced: job.full, full, held, listed: list !== null, pageSize, now: job.now() });
  return kind === 'differential' && full && list ? { ...full, list } : null;
}

/** Compresses and encrypts what is to be sent, under an identity of this backup alone. */
async function stageContent(
  job: BackupJob,
  work: string,
  copy: string,
  facts: SqliteFacts,
  base: Base | null,
  known: string | null,
): Promise<Made | 'unchanged'> {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const path = join(work, 'data.age');
  const options = {
    ...{ pageSize: facts.pageSize, path, recipient, signal: job.signal },
    onBytes: onBytes(job, facts),
  };
  if (base !== null) {
    const pages = await readPageList(copy, facts.pageSize, job.signal);
    if (pages.sha256 === known) return 'unchanged';
    const changed = changedPages(base.list, pages.list);
    if (worthIt(changed.length, facts.pages)) {
      const data = await stageDifference(copy, changed, facts.pages, options);
      return { kind: 'differential', data, pages, identity, recipient };
    }
  }
  const { staged: data, pages } = await stageFull(copy, options);
  return { kind: 'full', data, pages, identity, recipient };
}

const onBytes =
  ({ progress }: BackupJob, { bytes }: SqliteFacts) =>
  (done: number): void =>
    progress(`Compressing and encrypting: ${percent(done, bytes)}`);

/** What this machine remembers is enough; where it forgot, the destinations say what was the last one. */
async function nextSequence(
  { destinations, name, signal, signing }: BackupJob,
  { sequence }: State,
): Promise<number> {
  if (sequence > 0) return sequence + 1;
  const own = publicKeyOf(signing);
  const known = await Promise.all(
    destinations.map(async (destination) => {
      const catalog = await readCatalog(destination, name, { signal }).catch(() => null);
      return (catalog?.entries ?? [])
        .filter(({ manifest }) => manifest.signature.publicKey === own)
        .map(({ manifest }) => manifest.sequence);
    }),
  );
  return Math.max(0, ...known.flat()) + 1;
}

/** A backup that no destination has is none. */
function remember(
  { folder }: BackupJob,
  state: State,
  { manifest, made, mark, sent }: { manifest: Manifest; made: Made; mark: string; sent: readonly Sent[] },
): void {
  const { backupId, kind, sequence, startedAt, source } = manifest;
  const urls = sent.filter(({ status }) => status === 'ok').map(({ url }) => url);
  if (urls.length === 0) return saveState(folder, { ...state, sequence });
  const last = { backupId, sha256: source.sha256, mark, urls };
  if (kind !== 'full') return saveState(folder, { ...state, sequence, last });
  savePages(folder, backupId, made.pages.list);
  const full = { backupId, sha256: source.sha256, startedAt, pageSize: source.pageSize, urls };
  saveState(folder, { sequence, last, full });
}

function timedOut(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    code: 'backup-timeout',
    op: 'make backup',
    target,
    message: 'The backup was stopped: it took longer than its deadline, or was interrupted.',
    hint: 'The next run needs no cleanup. Look at the destinations with `factory doctor` if it happens again.',
    retryable: true,
    cause,
  });
}

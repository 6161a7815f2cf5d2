import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { lastSequence } from '../../../service/plausible.ts';
import { recipientsDigest } from '../../../service/jobs/recovery-key.ts';
import { acquireLock } from '../../../service/storage/process-lock.ts';
import type { LockOwner } from '../../../service/storage/process-lock.ts';
import { Ahead } from './ahead.ts';
import { askAll, settle } from './asking.ts';
import { dataSuffix, stemOf } from './format.ts';
import type { Kind, Manifest } from './format.ts';
import { gatherBlobs } from './gather-blobs.ts';
import type { BackupJob } from './job.ts';
import { nextSequence, withNumbers } from './numbers.ts';
import { assertNotReplaced } from '../epoch/replaced.ts';
import { bytesOf, holdsLast, send, sentTo } from './send.ts';
import type { Found, Parcel, Sent } from './send.ts';
import type { Made } from './source.ts';
import { forRecipients, readState, savePages, saveState } from './state.ts';
import type { State } from './state.ts';
import { addPresent } from './present.ts';
import { rememberStored } from './stored.ts';
import { wrap } from './wrap.ts';
import { sizeText } from '../size.ts';

/** Making a backup: copy, then stage, check and send at the same time, and remember. */

export interface BackupResult {
  backupId: string;
  kind: Kind | 'skipped';
  sequence: number;
  /** When it was begun, ISO-8601 UTC: everything that was committed before is in the backup. */
  startedAt: string;
  databaseBytes: number;
  storedBytes: number;
  seconds: number;
  /** Of the copy alone: how long a read transaction was held. */
  snapshotSeconds: number;
  destinations: Sent[];
}

/**
 * One backup to every destination. A destination that fails does not keep the others from having it.
 * Errors: those of the copy, `epoch-fenced`, `locked`, `backup-space`, `backup-timeout`; no destination keeps anything then.
 */
export async function makeBackup(job: BackupJob): Promise<BackupResult> {
  makeFolder(job.folder, 0o700);
  const onWait = (owner: LockOwner | null): void =>
    job.say(`Waiting for ${owner ? `${owner.what}, process ${owner.pid}` : 'another process'} to end.`);
  const { waitMs, now } = job;
  const lock = await acquireLock(join(job.folder, 'lock'), { what: 'factory backup', waitMs, now, onWait });
  const work = join(job.folder, `work-${randomUUID()}`);
  try {
    job.signal.throwIfAborted();
    removeLeftBehind(job.folder);
    makeFolder(work, 0o700);
    return await backup(job, work);
  } catch (error) {
    if (job.signal.aborted) throw timedOut(job.source.target, error);
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
  const state = forRecipients(readState(job.folder, job.epoch), recipientsDigest(job.recipients));
  const found = await withNumbers(await askAll(job), job, state);
  await assertNotReplaced(job, found);
  const mark = job.mark ?? (await job.source.mark());
  const size = await job.source.size();
  const seconds = (): number => (performance.now() - started) / 1000;
  const skip = async (snapshotSeconds: number): Promise<BackupResult> => {
    const needed = [state.last && { ...state.last, shared: true }, state.full].filter((one) => one !== null);
    const settled = await Promise.all(found.map((one) => settle(one, job, needed, null)));
    return skipped({ state, found: settled, size }, { startedAt, seconds: seconds(), snapshotSeconds });
  };
  const same = mark !== null && state.last?.mark === mark;
  if (!job.full && same && holdsLast(state, found)) return skip(0);

  await assertSpace(job);
  await job.beforeCopy(startedAt);
  const named = naming(job, { state, found }, startedAt);
  const ahead = new Ahead(found, {
    signal: job.signal,
    keyFor: async (kind, engine) => (await named(kind)).stem + dataSuffix(kind, engine),
  });
  try {
    const { made, snapshotSeconds } = await job.source.take(job, { work, state, found, ahead });
    if (made === 'unchanged') {
      saveState(job.folder, { ...state, last: state.last && { ...state.last, mark } });
      return skip(snapshotSeconds);
    }
    const { sequence, stem } = await named(made.kind);
    const blobs = await gatherBlobs(job, made.blobs ?? [], work);
    const { manifest, parcels } = await wrap(job, stem, { made, startedAt, sequence, work, blobs });
    ahead.approve();
    const needed = made.base === null || state.full === null ? [] : [state.full];
    const heard: number[] = [];
    const sent = await Promise.all(
      found.map(async (one) => {
        const settled = await settle(one, job, needed, sequence);
        heard.push(...(settled.numbers ?? []));
        return send(settled, parcels, stem, { ...job, ahead });
      }),
    );
    const replaced = sent.find(({ error }) => error?.code === 'epoch-fenced');
    if (replaced?.error) throw replaced.error;
    const known = { ...state, sequence: lastSequence([state.sequence, ...heard].filter(Boolean)) };
    remember(job, known, { manifest, made, mark, sent, parcels, isKnown: hasAnswer(found) });
    const own = parcels.filter(({ shared }) => shared === undefined);
    const storedBytes = own.reduce((sum, { content }) => sum + bytesOf(content), 0);
    const { bytes: databaseBytes } = manifest.source;
    return {
      ...{ backupId: stem, kind: made.kind, sequence, startedAt, databaseBytes, storedBytes },
      ...{ seconds: seconds(), snapshotSeconds, destinations: sent },
    };
  } catch (error) {
    await ahead.refuse(error);
    throw error;
  }
}

/** Names a backup once, when the first of it is sent. */
function naming(
  job: BackupJob,
  { state, found }: { state: State; found: readonly Found[] },
  startedAt: string,
): (kind: Kind) => Promise<{ sequence: number; stem: string }> {
  let sequence: number | null = null;
  return async (kind) => {
    if (sequence === null) {
      sequence = nextSequence(state, found, job);
      // Before anything is sent: no later backup takes this number again, wherever this one is cut off.
      if (hasAnswer(found)) saveState(job.folder, { ...state, sequence });
    }
    return { sequence, stem: stemOf(kind, job.name, startedAt, sequence) };
  };
}

/** Where nobody told what there is, a number is a guess, and is not remembered as known. */
const hasAnswer = (found: readonly Found[]): boolean => found.some(({ error }) => error === null);

function skipped(
  { state: { last, sequence }, found, size }: { state: State; found: readonly Found[]; size: number | null },
  times: Pick<BackupResult, 'startedAt' | 'seconds' | 'snapshotSeconds'>,
): BackupResult {
  const destinations = found.map(({ destination, error }) => sentTo(destination, error));
  const known = { backupId: last?.backupId ?? '', kind: 'skipped' as const, sequence };
  return { ...known, ...times, databaseBytes: size ?? 0, storedBytes: 0, destinations };
}

async function assertSpace({ source, folder }: BackupJob): Promise<void> {
  const { bavail, bsize } = statfsSync(folder);
  const needed = await source.space();
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

/** A backup that no destination has is none. */
function remember(
  { folder }: BackupJob,
  before: State,
  {
    manifest,
    made,
    mark,
    sent,
    parcels,
    isKnown,
  }: {
    manifest: Manifest;
    made: Made;
    mark: string | null;
    sent: readonly Sent[];
    parcels: readonly Parcel[];
    /** A destination told before what the number has to be above. */
    isKnown: boolean;
  },
): void {
  const { backupId, startedAt, source } = manifest;
  const state = source.engine === 'sqlite' ? { ...before, applicationId: source.applicationId } : before;
  const urls = sent.filter(({ status }) => status === 'ok').map(({ url }) => url);
  const isSure = isKnown || urls.length > 0;
  const sequence = isSure ? Math.max(state.sequence, manifest.sequence) : state.sequence;
  if (urls.length === 0) return saveState(folder, { ...state, sequence });
  rememberStored(folder, urls, backupId);
  for (const url of urls) addPresent(folder, url, backupId, startedAt);
  const named = parcels.filter(({ shared }) => shared !== 'blob');
  const objects = Object.fromEntries(named.map(({ key, content }) => [key, bytesOf(content)]));
  const last = { backupId, sha256: source.sha256, mark, urls, objects };
  if (made.kind !== 'full') return saveState(folder, { ...state, sequence, last });
  if (made.pages === null) return saveState(folder, { ...state, sequence, last, full: null });
  savePages(folder, backupId, made.pages.list);
  const { pageSize } = made.pages;
  const full = { backupId, sha256: source.sha256, startedAt, pageSize, urls, objects };
  saveState(folder, { ...state, sequence, last, full });
}

function timedOut(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    code: 'backup-timeout',
    op: 'make backup',
    target,
    message: 'The backup was stopped: it took longer than its deadline, or was interrupted.',
    hint: 'The next run needs no cleanup. Look at the destinations with `npx factory doctor` if it happens again.',
    retryable: true,
    cause,
  });
}

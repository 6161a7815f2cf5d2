import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setAside } from '../../../service/audit/checkpoint-files.ts';
import { auditOrigin, parseVkey } from '../../../service/audit/checkpoint.ts';
import { loadAuditKeys, LOG_KEY_FILES, readVerifierKeys } from '../../../service/audit/keys.ts';
import type { Config } from '../../../service/config.ts';
import { bumpEpoch } from '../../../service/epoch.ts';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { checkpointDirs } from '../../../service/offline.ts';
import { markRestored, operator } from '../../../service/restored/mark.ts';
import { installationId, logHasEntries, openStorage } from '../../../service/storage/open.ts';
import { acquireLock } from '../../../service/storage/process-lock.ts';
import { beginJournal, journals, restoresFolder, saveJournal } from './journal.ts';
import type { Journal } from './journal.ts';
import { dropWaiting, keepBlobs, placeWaiting } from './seat-blobs.ts';
import type { Seat } from './seat.ts';
import { seatOf } from './seats.ts';

/** Putting a database in the place of the one that is there. */

export interface PutBack {
  config: Config;
  seat: Seat;
  why: 'restore' | 'undo';
  backupId: string;
  sequence: number;
  takenAt: string;
  /** For people: where it comes from. */
  from: string;
  /** The keys of the audit log are lost: new ones are made, and the log says so. */
  newKey: boolean;
  /** Highest epoch and sequence that are known of anywhere. */
  known: { epoch: number; sequence: number };
  /** Makes the new one, checked whole; given its path or name. */
  make(beside: string): Promise<void>;
  now: () => number;
  say: (text: string) => void;
  /** Called before each step; tests stop there. */
  step?: (name: string) => void;
}

export interface PutBackResult {
  epoch: number;
  /** The database as it was; null: there was none. */
  before: string | null;
  /** Audit entries that the checkpoints of this machine covered and that are gone. */
  givenUp: number;
}

/** Finishes or takes back what a killed restore left. Errors: `locked`: one is running. */
export async function settleRestores(config: Config, say: (text: string) => void): Promise<void> {
  if (!existsSync(restoresFolder(config))) return;
  const lock = await restoreLock(config);
  try {
    if (journals(config).some(({ state }) => state !== 'done'))
      for (const text of await settle(config, await seatOf(config))) say(text);
    placeWaiting(config);
  } finally {
    lock.release();
  }
}

/** What was done about restores that were cut off; nobody restores meanwhile. Empty: there was none. */
async function settle(config: Config, seat: Seat): Promise<string[]> {
  const said: string[] = [];
  for (const journal of journals(config).filter(({ engine }) => engine === seat.engine)) {
    if (journal.state === 'done') continue;
    const isDone = journal.state === 'swapping' && !(await seat.has(journal.beside));
    if (isDone) saveJournal({ ...journal, state: 'done' });
    else {
      dropWaiting(config);
      await seat.takeBack(journal);
    }
    said.push(
      isDone
        ? `The restore of ${journal.at} was cut off when it was done: ${seat.shown} is ${journal.backupId}.`
        : `The restore of ${journal.at} was cut off and taken back: ${seat.shown} is as it was.`,
    );
  }
  return said;
}

function restoreLock(config: Config) {
  makeFolder(restoresFolder(config), 0o700);
  const path = join(restoresFolder(config), 'lock');
  return acquireLock(path, { what: 'factory restore', waitMs: 0, now: Date.now });
}

/**
 * The old database or the new one, wherever this is cut off; never a mix. Errors: `database-in-use`, `locked`,
 * `log-key-missing`, `log-key-exists`, `restore-foreign`, and those of making the file: nothing was changed then.
 */
export async function putBack(job: PutBack): Promise<PutBackResult> {
  const { config, seat, why, backupId, from, now, step = () => undefined } = job;
  const { engine, database, beside } = seat;
  assertLogKeys(config, job.newKey);
  const lock = await restoreLock(config);
  let release = (): void => undefined;
  try {
    for (const text of await settle(config, seat)) job.say(text);
    placeWaiting(config);
    release = await seat.takeStopped();
    step('journal');
    const at = new Date(now()).toISOString();
    let journal = beginJournal(config, { why, at, engine, database, beside, backupId, from });
    try {
      step('hold');
      await seat.hold();
      step('make');
      await job.make(journal.beside);
      step('mark');
      const epoch = Math.max(job.known.epoch, 0) + 1;
      const marked = await mark(job, journal, epoch);
      step('keep');
      journal = await seat.keep(journal);
      keepBlobs(config, journal);
      step('epoch');
      const since = job.known.sequence + 1;
      const why_ = `${why} of ${backupId} by ${operator()}`;
      bumpEpoch(config, { atLeast: epoch - 1, since, at: journal.at, why: why_ });
      step('swap');
      journal = await seat.swap(journal, step);
      step('blobs');
      placeWaiting(config);
      step('aside');
      await putAside(config, marked.givenUp);
      return { epoch, before: journal.before, givenUp: marked.givenUp.at(-1)?.size ?? 0 };
    } catch (error) {
      // Where that does not work either, the next start does it.
      for (const text of await settle(config, seat).catch(() => [])) job.say(text);
      throw error;
    }
  } finally {
    release();
    lock.release();
  }
}

/** Errors: `log-key-missing`, `log-key-exists`. */
export function assertLogKeys({ keyringDir }: Config, newKey: boolean): void {
  const missing = LOG_KEY_FILES.filter((name) => !existsSync(join(keyringDir, name)));
  if (newKey && missing.length === 0)
    throw new FactoryError({
      code: 'log-key-exists',
      op: 'restore in place',
      target: keyringDir,
      message: `The keys of the audit log are in ${keyringDir}, so no new ones are made.`,
      hint: 'Leave --new-log-key out. Nothing was changed.',
    });
  if (newKey || missing.length === 0) return;
  throw new FactoryError({
    code: 'log-key-missing',
    op: 'restore in place',
    target: keyringDir,
    message: `${missing.join(' and ')} of the audit log ${missing.length === 1 ? 'is' : 'are'} not in ${keyringDir}: no backup holds keys.`,
    hint: 'Put a copy of the keyring folder there. If there is none, --new-log-key goes on with new keys, and the log says from where on.',
  });
}

/** Writes what the audit log has to say of it into the new database. */
async function mark(job: PutBack, { beside, at }: Journal, epoch: number) {
  const { config, seat, newKey } = job;
  const storage = await openStorage(seat.url(beside));
  try {
    const installation = await installationId(storage.read);
    if (newKey) makeRoomForKeys(config, at);
    else assertInstallation(config, installation);
    const begun = !newKey && (await logHasEntries(storage.read));
    const keys = loadAuditKeys(config.keyringDir, installation, begun);
    return await markRestored(storage, keys, config, { ...job, epoch });
  } finally {
    await storage.close();
    await seat.settled(beside);
  }
}

/** The public half of a key that is lost is kept under another name: auditors have copies to compare with. */
function makeRoomForKeys({ keyringDir }: Config, at: string): void {
  const vkey = join(keyringDir, 'audit-log.vkey');
  if (existsSync(vkey)) renameSync(vkey, `${vkey}.lost-${at.replaceAll(/[-:.]/g, '')}`);
}

function assertInstallation({ keyringDir }: Config, installation: string): void {
  const { name } = parseVkey(readVerifierKeys(keyringDir).vkey);
  if (name === auditOrigin(installation)) return;
  throw new FactoryError({
    code: 'restore-foreign',
    op: 'restore in place',
    target: keyringDir,
    message: `The backup is of the installation ${installation}; the keyring is of the log ${name}.`,
    hint: 'Take a backup of this installation, or use the keyring that belongs to it. Nothing was changed.',
  });
}

async function putAside(config: Config, givenUp: readonly { size: number; root: string }[]): Promise<void> {
  const gone = new Set(givenUp.map(({ size, root }) => `${size} ${root}`));
  for (const dir of checkpointDirs(config))
    await setAside(dir, ({ size, root }) => gone.has(`${size} ${root.toString('base64')}`));
}

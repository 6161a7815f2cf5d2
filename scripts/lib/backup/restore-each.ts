import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../../../service/config.ts';
import { asFactoryError, type FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { identitiesFor } from './keys.ts';
import { withBase } from './pick.ts';
import { restoreTo } from './restore.ts';
import { replaceFile } from './state.ts';
import { damageOf } from './verified.ts';
import type { Entry } from './catalog.ts';
import { attachmentsOf, noteShared } from './verify.ts';
import type { Verifying } from './verify.ts';

/**
 * Makes a database of each backup that none was made of yet, checks it against what was taken, and throws it away. Where no
 * private key lies on this machine, as in production, drills elsewhere do that.
 *
 * Restoring takes as long as it takes, and a large database has a backup every few minutes: so at most a tenth of the time
 * goes into it (docs/decisions/0025-each-backup-is-restored-as-far-as-a-tenth-of-the-time-goes.md), the newest backup first.
 */

/** After so long of restoring, nine times as long passes without. */
const PAUSE_FACTOR = 9;
/** Within one run nothing more is begun after this. */
const MOST_MS = 30_000;
const SCRATCH = 'restoring-';

export interface Restoring {
  identities: readonly string[];
  /** Where databases are made, on the data's disk. */
  folder: string;
  /** Until when, by `performance.now()`, another one is begun. */
  until: number;
  progress: (text: string) => void;
}

/** Null: not here, or not now. */
export function mayRestore(
  config: Pick<Config, 'keyringDir' | 'backup' | 'environment'>,
  folder: string,
  now: number,
  progress: (text: string) => void,
): Restoring | null {
  removeLeftBehind(folder);
  const pausedUntil = readPause(folder);
  // A clock that was set back must not keep it from going on for ever.
  if (pausedUntil > now && pausedUntil - now < 24 * 60 * 60_000) return null;
  const identities = identitiesHere(config);
  return identities && { identities, folder, until: performance.now() + MOST_MS, progress };
}

function identitiesHere(config: Pick<Config, 'keyringDir' | 'backup' | 'environment'>): string[] | null {
  if (config.environment === 'production' && config.backup.identityFile === null) return null;
  try {
    return identitiesFor(config, undefined);
  } catch {
    return null;
  }
}

/** What trials came to, beside what was added to `found`. */
export interface Tried {
  damaged: { backupId: string; error: FactoryError }[];
  /** Made for keys that do not lie here, as after `keys rotate`: that says nothing of them, nor of their destination. */
  unopened: string[];
}

/** What it finds is added to `found`. Errors: those of the destination. */
export async function restoreEach(
  run: Verifying,
  { identities, folder, until, progress }: Restoring,
): Promise<Tried> {
  const { destination, catalog, known, found, now, signal } = run;
  const tried: Tried = { damaged: [], unopened: [] };
  const waiting = catalog.entries.filter((entry) => needsRestore(entry, known, found)).reverse();
  const started = performance.now();
  for (const entry of waiting) {
    if (performance.now() > until) break;
    const { backupId } = entry.manifest;
    progress(`Restoring ${backupId} of ${destination.url} for a trial`);
    const scratch = mkdtempSync(join(folder, SCRATCH));
    const at = new Date(now()).toISOString();
    try {
      const job = { destination, ...withBase(catalog, entry), identities, signal, progress };
      await restoreTo({ ...job, to: join(scratch, 'restored.db') });
      found[backupId] = { at, how: 'restored' };
      // A database without its files is no backup that was restored.
      const shared = await attachmentsOf(run, entry);
      if (shared === null) continue;
      noteShared(run, backupId, shared);
      tried.damaged.push({ backupId, error: shared.error });
    } catch (error) {
      const failure = asFactoryError(error, 'restore backup for a trial');
      if (failure.code === 'identity-wrong') tried.unopened.push(backupId);
      else if (isOfTheBackup(failure)) {
        found[backupId] = damageOf(failure, at);
        tried.damaged.push({ backupId, error: failure });
      } else throw failure;
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  if (waiting.length > 0) pause(folder, now() + (performance.now() - started) * PAUSE_FACTOR);
  return tried;
}

function needsRestore(
  { manifest: { backupId, source } }: Entry,
  known: Verifying['known'],
  found: Verifying['found'],
): boolean {
  // A dump is restored by the drill, which has a server.
  if (source.engine !== 'sqlite') return false;
  const how = found[backupId]?.how === 'damaged' ? 'damaged' : known?.[backupId]?.how;
  return how !== 'restored' && how !== 'damaged';
}

/** Else it is the disk or the network, which say nothing of the backup. */
const isOfTheBackup = ({ code }: FactoryError): boolean =>
  /^(backup-damaged|backup-incomplete|ciphertext-damaged|destination-object-missing)$/.test(code);

function removeLeftBehind(folder: string): void {
  makeFolder(folder, 0o700);
  for (const name of readdirSync(folder))
    if (name.startsWith(SCRATCH)) rmSync(join(folder, name), { recursive: true, force: true });
}

const pathIn = (folder: string): string => join(folder, 'restoring.json');

function readPause(folder: string): number {
  try {
    return z.strictObject({ pausedUntil: z.number() }).parse(JSON.parse(readFileSync(pathIn(folder), 'utf8')))
      .pausedUntil;
  } catch {
    return 0;
  }
}

function pause(folder: string, until: number): void {
  replaceFile(pathIn(folder), JSON.stringify({ pausedUntil: Math.round(until) }));
}

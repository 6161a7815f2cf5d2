import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import type { Entry } from './catalog.ts';
import { replaceFile } from './state.ts';

/**
 * Which backups were read again, how far, and which were found damaged. It is this machine's knowledge: another one that
 * prunes verifies first.
 *
 *   ciphertext   every object was fetched, and its bytes are the ones that the signed manifest names
 *   restored     a database was made of it, and SQLite and the manifest agree that it is the one that was taken
 *
 * A differential counts as verified only together with the full backup that it rests on: that one was read within a day
 * before it (`BASE_READ_WITHIN_MS`), and was not found damaged since. Damage is remembered until a check finds that
 * backup whole, or it is gone.
 */
export const VERIFIED = ['ciphertext', 'restored'] as const;
export interface Verified {
  /** When that was found out, ISO-8601 UTC. What is stronger stays when less is shown later. */
  at: string;
  how: (typeof VERIFIED)[number];
  /** When its bytes were last read, where that is later than `at`. */
  readAt?: string | undefined;
}

/** Why a backup does not do. */
export interface Damage {
  how: 'damaged';
  /** When it was first found. */
  at: string;
  code: string;
  message: string;
  hint: string;
}

/** Backup -> what is known of it. */
type OfDestination = Record<string, Verified | Damage>;

const at = z.string();
const schema = z.record(
  z.string(),
  z.record(
    z.string(),
    z.discriminatedUnion('how', [
      z.strictObject({ at, how: z.enum(VERIFIED), readAt: at.optional() }),
      z.strictObject({
        at,
        how: z.literal('damaged'),
        code: z.string(),
        message: z.string(),
        hint: z.string(),
      }),
    ]),
  ),
);

/** A full backup is read again this long after the last time, when a differential that rests on it is verified. */
export const BASE_READ_WITHIN_MS = 24 * 60 * 60_000;

const pathIn = (folder: string): string => join(folder, 'verified.json');

/** By destination. Nothing where it is missing or unreadable: verifying again costs time only. */
export function readVerified(folder: string): Record<string, OfDestination> {
  try {
    return schema.parse(JSON.parse(readFileSync(pathIn(folder), 'utf8')));
  } catch {
    return {};
  }
}

/** Adds what was found about backups of a destination; those that are no longer there are forgotten. */
export function saveVerified(
  folder: string,
  url: string,
  found: OfDestination,
  present: readonly string[],
): void {
  const all = readVerified(folder);
  const known = { ...all[url] };
  for (const [id, one] of Object.entries(found)) known[id] = merged(known[id], one);
  // Another machine that prunes has none.
  makeFolder(folder, 0o700);
  const kept = Object.entries(known).filter(([id]) => present.includes(id));
  replaceFile(pathIn(folder), JSON.stringify({ ...all, [url]: Object.fromEntries(kept) }));
}

function merged(before: Verified | Damage | undefined, now: Verified | Damage): Verified | Damage {
  if (before === undefined) return now;
  if (now.how === 'damaged') return before.how === 'damaged' ? { ...now, at: before.at } : now;
  return before.how === 'restored' && now.how === 'ciphertext' ? { ...before, readAt: now.at } : now;
}

export function damageOf(error: FactoryError, at: string): Damage {
  return { how: 'damaged', at, code: error.code, message: error.message, hint: error.hint };
}

export function errorOf({ code, message, hint }: Damage, target: string): FactoryError {
  return new FactoryError({ code, op: 'verify backup', target, message, hint });
}

/** Backups of a destination that were found damaged. */
export function damagedIn(known: OfDestination | undefined): Set<string> {
  return new Set(Object.entries(known ?? {}).flatMap(([id, { how }]) => (how === 'damaged' ? [id] : [])));
}

/** What shows that a backup can be restored: it was read, and what it rests on was, too. Null: nothing does. */
export function verifiedWithBase(
  known: OfDestination | undefined,
  { manifest: { backupId, base } }: Pick<Entry, 'manifest'>,
): Verified | null {
  const [one, below] = [known?.[backupId], base && known?.[base.backupId]];
  if (one === undefined || one.how === 'damaged') return null;
  if (base === null) return one;
  // Where a database was made of it, the full backup was read for that, whatever is remembered of it.
  if (!below) return one.how === 'restored' ? one : null;
  return below.how === 'damaged' ? null : one;
}

/** Whether its bytes were read so lately that it need not be read for each differential that rests on it. */
export function wasReadLately(one: Verified | Damage | undefined, now: number): boolean {
  if (one === undefined || one.how === 'damaged') return false;
  const age = now - Date.parse(one.readAt ?? one.at);
  return age >= 0 && age < BASE_READ_WITHIN_MS;
}

/**
 * The first damage that nothing made up for: no full backup that was begun after it was found has been verified. What is
 * older is still damaged, and no new backup rests on it.
 */
export function openDamage(
  known: OfDestination | undefined,
  entries: readonly Pick<Entry, 'manifest'>[],
): FactoryError | null {
  const full = entries.findLast(
    (entry) => entry.manifest.kind === 'full' && verifiedWithBase(known, entry) !== null,
  );
  const since = Date.parse(full?.manifest.startedAt ?? '');
  for (const { manifest } of entries) {
    const one = known?.[manifest.backupId];
    if (one?.how === 'damaged' && !(since > Date.parse(one.at))) return errorOf(one, manifest.backupId);
  }
  return null;
}

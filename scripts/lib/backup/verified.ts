import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import type { Entry } from './catalog.ts';
import { readDamagedObjects } from './damaged-objects.ts';
import { replaceFile } from './state.ts';

/**
 * Which backups were read again, how far, and which were found damaged. It is this machine's knowledge: another one that
 * prunes verifies first.
 *
 *   ciphertext   every object was fetched, and its bytes are the ones that the signed manifest names
 *   restored     a database was made of it, and SQLite and the manifest agree that it is the one that was taken
 *
 * Both say as well that the list of its attachments was read then, and each of them in that destination within a day before
 * (`BASE_READ_WITHIN_MS`). Where one of these was found damaged, every backup that names it is, until that one is whole again.
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
  /** Nothing but these shared objects is damaged, as far as is known: it is whole again when they are. */
  objects?: string[] | undefined;
  /** What is known of the rest; absent: nothing. */
  own?: Verified | undefined;
}

/** Backup -> what is known of it. */
type OfDestination = Record<string, Verified | Damage>;

const at = z.string();
const verified = z.strictObject({ at, how: z.enum(VERIFIED), readAt: at.optional() });
const schema = z.record(
  z.string(),
  z.record(
    z.string(),
    z.discriminatedUnion('how', [
      verified,
      z.strictObject({
        at,
        how: z.literal('damaged'),
        code: z.string(),
        message: z.string(),
        hint: z.string(),
        objects: z.array(z.string()).optional(),
        own: verified.optional(),
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
    const all = schema.parse(JSON.parse(readFileSync(pathIn(folder), 'utf8')));
    const healed = ([url, known]: [string, OfDestination]): [string, OfDestination] => [
      url,
      withoutHealed(known, readDamagedObjects(folder, url)),
    ];
    return Object.fromEntries(Object.entries(all).map(healed));
  } catch {
    return {};
  }
}

function withoutHealed(known: OfDestination, damaged: Pick<Set<string>, 'has'>): OfDestination {
  const now = Object.entries(known).map(([id, one]): [string, Verified | Damage | undefined] => {
    const isHealed = one.how === 'damaged' && one.objects?.every((key) => !damaged.has(key));
    return [id, isHealed ? one.own : one];
  });
  return Object.fromEntries(now.filter((one): one is [string, Verified | Damage] => one[1] !== undefined));
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
  if (now.how === 'damaged') {
    const own = now.own && merged(ownOf(before), now.own);
    const since = before.how === 'damaged' ? { at: before.at } : {};
    return { ...now, ...since, ...(own && own.how !== 'damaged' ? { own } : {}) };
  }
  return before.how === 'restored' && now.how === 'ciphertext' ? { ...before, readAt: now.at } : now;
}

export function damageOf(error: FactoryError, at: string): Damage {
  return { how: 'damaged', at, code: error.code, message: error.message, hint: error.hint };
}

export function errorOf({ code, message, hint }: Damage, target: string): FactoryError {
  return new FactoryError({ code, op: 'verify backup', target, message, hint });
}

/** What is known of a backup apart from the attachments that it shares with others. */
export function ownOf(one: Verified | Damage | undefined): Verified | Damage | undefined {
  return one?.how === 'damaged' && one.objects ? one.own : one;
}

/** Those that are damaged in what they share with others, and in nothing else. */
export function lackingIn(known: OfDestination | undefined): Set<string> {
  return new Set(
    Object.entries(known ?? {}).flatMap(([id, one]) => (one.how === 'damaged' && one.objects ? [id] : [])),
  );
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
  // Attachments of its own are all that it needs.
  const [one, below] = [known?.[backupId], base && ownOf(known?.[base.backupId])];
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
 * The first damage that nothing made up for: no full backup that was begun after it was found has been verified; where only
 * attachments are damaged, no backup at all, since a differential has its own. What is older is still damaged, and no new
 * backup rests on it.
 */
export function openDamage(
  known: OfDestination | undefined,
  entries: readonly Pick<Entry, 'manifest'>[],
): FactoryError | null {
  const good = entries.filter((entry) => verifiedWithBase(known, entry) !== null);
  const begunAt = (one: Pick<Entry, 'manifest'> | undefined): number =>
    Date.parse(one?.manifest.startedAt ?? '');
  const full = begunAt(good.findLast(({ manifest }) => manifest.kind === 'full'));
  const any = begunAt(good.at(-1));
  for (const { manifest } of entries) {
    const one = known?.[manifest.backupId];
    if (one?.how !== 'damaged') continue;
    if (!((one.objects ? any : full) > Date.parse(one.at))) return errorOf(one, manifest.backupId);
  }
  return null;
}

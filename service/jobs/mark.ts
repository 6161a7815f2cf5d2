import { readMeta, writeMeta } from '../storage/meta.ts';
import { installationId } from '../storage/open.ts';
import type { Reader, Storage } from '../storage/transaction.ts';
import { newest } from './store.ts';

/**
 * What tells that nothing of weight changed in the product's database: every change that matters has its audit entry.
 * Sessions, uses of tokens, jobs and health write beside them all the time, and would make each differential a real one.
 */
export async function ownMark(reader: Reader): Promise<string> {
  const entry = await reader.get(newest.entry, {});
  const event = await reader.get(newest.event, {});
  return `${await installationId(reader)} entry ${Number(entry?.seq ?? 0)} event ${Number(event?.seq ?? 0)}`;
}

const SENTINEL = 'backup.sentinel';

/** Leaves the time in the database before it is copied: whoever restores the copy finds out how old it is. */
export async function writeSentinel(storage: Storage, at: string): Promise<void> {
  await storage.write((tx) => writeMeta(tx, SENTINEL, at));
}

/** ISO-8601 UTC; null: no backup was made of this database, or only by older releases. */
export function readSentinel(reader: Reader): Promise<string | null> {
  return readMeta(reader, SENTINEL);
}

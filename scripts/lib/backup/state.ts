import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../../../service/replace-file.ts';

export { replaceFile } from '../../../service/replace-file.ts';

/**
 * What this machine remembers between two backups of a database: the last one, and the page list of the last full one.
 * It only saves work: without it the next backup is a full one.
 */

/** Bytes by key of what was sent; absent: an older release sent it, and whether it is whole there is not known. */
const objects = z.record(z.string(), z.int()).optional();

const stateSchema = z.strictObject({
  sequence: z.int().nonnegative(),
  /** In which the rest was made: after a restore in place it says nothing of the database that is there. */
  epoch: z.int().nonnegative().default(0),
  /** The mark of the database as it was when the last backup began (null: nothing tells a change), and the destinations that have it. */
  last: z
    .strictObject({
      backupId: z.string(),
      sha256: z.string(),
      mark: z.string().nullable(),
      urls: z.array(z.string()),
      objects,
    })
    .nullable(),
  full: z
    .strictObject({
      backupId: z.string(),
      sha256: z.string(),
      startedAt: z.string(),
      pageSize: z.int(),
      urls: z.array(z.string()),
      objects,
    })
    .nullable(),
  /** `PRAGMA application_id` of the database of the last backup; absent: none of SQLite, or an older release. */
  applicationId: z.int().optional(),
  /** Names who can read these two; others could not read a differential that rests on them. */
  recipients: z.string().optional(),
});
export type State = z.output<typeof stateSchema>;

const NOTHING: State = { sequence: 0, epoch: 0, last: null, full: null };

const statePath = (folder: string): string => join(folder, 'state.json');
const pagesPath = (folder: string): string => join(folder, 'pages.bin');

/** Nothing where it is missing or unreadable; of another epoch only the sequence. */
export function readState(folder: string, epoch: number): State {
  const state = remembered(folder);
  if (state === null) return { ...NOTHING, epoch };
  return state.epoch === epoch ? state : { ...state, epoch, last: null, full: null };
}

/** By destination, the last backup that it got, of the last one and the last full one; in whatever epoch. */
export function lastSent(folder: string): Map<string, string> {
  const { last, full } = remembered(folder) ?? NOTHING;
  return new Map([full, last].flatMap((one) => one?.urls.map((url) => [url, one.backupId] as const) ?? []));
}

/** Bytes that the last full backup came to, in whatever epoch; null: not known. */
export function lastFullBytes(folder: string): number | null {
  const { objects } = remembered(folder)?.full ?? {};
  return objects ? Object.values(objects).reduce((sum, bytes) => sum + bytes, 0) : null;
}

function remembered(folder: string): State | null {
  try {
    return stateSchema.parse(JSON.parse(readFileSync(statePath(folder), 'utf8')));
  } catch {
    return null;
  }
}

/** For other recipients than those of the last backups, the next one is full, even where nothing changed. */
export function forRecipients(state: State, recipients: string): State {
  return state.recipients === recipients ? state : { ...state, recipients, last: null, full: null };
}

export function saveState(folder: string, state: State): void {
  replaceFile(statePath(folder), JSON.stringify(state));
}

/** The page list of the full backup; it carries the backup's id, so that a list of another one is not taken for it. */
export function savePages(folder: string, backupId: string, list: Buffer): void {
  replaceFile(pagesPath(folder), Buffer.concat([Buffer.from(`${backupId}\n`), list]));
}

/** Null where there is none of this backup. */
export function readPages(folder: string, backupId: string): Buffer | null {
  const head = Buffer.from(`${backupId}\n`);
  try {
    const content = readFileSync(pagesPath(folder));
    return content.subarray(0, head.length).equals(head) ? content.subarray(head.length) : null;
  } catch {
    return null;
  }
}

/** What tells cheaply that a SQLite database was not written: its file and its write-ahead log, to the nanosecond. */
export function markOf(database: string): string {
  return ['', '-wal']
    .map((suffix) => statSync(database + suffix, { bigint: true, throwIfNoEntry: false }))
    .map((stat) => (stat ? `${stat.ino} ${stat.size} ${stat.mtimeNs}` : '-'))
    .join('; ');
}

import { existsSync, linkSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../../../service/config.ts';
import { makeFolder } from '../../../service/folders.ts';
import { replaceFile, syncFolder } from '../../../service/replace-file.ts';

/**
 * Restores in place, each in a folder `<data>/restores/<time>`: what it is about to do, and the database as it was before.
 * The one step that counts is the rename of the new file over the old one. Until then the old database is whole and the
 * rest is taken back; from then on the new one is.
 */
const journalSchema = z.strictObject({
  state: z.enum(['preparing', 'swapping', 'done']),
  why: z.enum(['restore', 'undo']),
  at: z.string(),
  database: z.string(),
  /** The new file, until it has the database's name. */
  beside: z.string(),
  /** The database as it was; null: there was none. */
  before: z.string().nullable(),
  /** Files that belonged to it and are put back with it, by their ends. */
  sidecars: z.array(z.string()),
  backupId: z.string(),
  from: z.string(),
});
export type Journal = z.output<typeof journalSchema> & { folder: string };

const SIDECARS = ['-wal', '-shm', '-journal'] as const;

export const restoresFolder = ({ dataDir }: Pick<Config, 'dataDir'>): string => join(dataDir, 'restores');

export function saveJournal({ folder, ...journal }: Journal): void {
  replaceFile(join(folder, 'journal.json'), `${JSON.stringify(journal)}\n`);
}

/** A folder of its own, with what is about to be done. */
export function beginJournal(
  config: Pick<Config, 'dataDir'>,
  facts: Pick<Journal, 'why' | 'at' | 'database' | 'backupId' | 'from'>,
): Journal {
  const folder = join(restoresFolder(config), facts.at.replaceAll(/[-:.]/g, ''));
  makeFolder(folder, 0o700);
  const beside = `${facts.database}.restoring`;
  const journal: Journal = { ...facts, folder, state: 'preparing', beside, before: null, sidecars: [] };
  saveJournal(journal);
  return journal;
}

/** Oldest first. A folder without a readable journal is none of ours. */
export function journals(config: Pick<Config, 'dataDir'>): Journal[] {
  const root = restoresFolder(config);
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .sort()
    .flatMap((name) => {
      const folder = join(root, name);
      try {
        const text = readFileSync(join(folder, 'journal.json'), 'utf8');
        return [{ ...journalSchema.parse(JSON.parse(text)), folder }];
      } catch {
        return [];
      }
    });
}

/** Keeps the old database under a second name: the same file, so it takes no time and no space. */
export function keepBefore(journal: Journal): Journal {
  const { database, folder } = journal;
  if (!existsSync(database)) return journal;
  const kept = place(journal, 'before.db');
  linkSync(database, kept);
  const sidecars = SIDECARS.filter((end) => existsSync(database + end));
  for (const end of sidecars) linkSync(database + end, kept + end);
  syncFolder(dirname(kept));
  const next = { ...journal, folder, before: kept, sidecars };
  saveJournal(next);
  return next;
}

/** Beside the database where the data folder is on another disk: a link cannot lead there. */
function place({ database, folder }: Journal, name: string): string {
  const probe = `${database}.probe`;
  const inFolder = join(folder, name);
  try {
    replaceFile(probe, '');
    linkSync(probe, `${inFolder}.probe`);
    return inFolder;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    return `${database}.before-${basename(folder)}`;
  } finally {
    rmSync(probe, { force: true });
    rmSync(`${inFolder}.probe`, { force: true });
  }
}

/** The new file takes the place of the old one. */
export function swap(journal: Journal, step: (name: string) => void): Journal {
  const { database, beside } = journal;
  const swapping: Journal = { ...journal, state: 'swapping' };
  saveJournal(swapping);
  // A log of the old file would be read into the new one.
  for (const end of SIDECARS) rmSync(database + end, { force: true });
  syncFolder(dirname(database));
  step('swapping');
  renameSync(beside, database);
  syncFolder(dirname(database));
  const done: Journal = { ...swapping, state: 'done' };
  saveJournal(done);
  return done;
}

/** What was done about restores that were cut off; nobody restores meanwhile. Empty: there was none. */
export function settle(config: Pick<Config, 'dataDir'>): string[] {
  return journals(config).flatMap((journal) => {
    if (journal.state === 'done') return [];
    if (journal.state === 'swapping' && !existsSync(journal.beside)) {
      saveJournal({ ...journal, state: 'done' });
      return [
        `The restore of ${journal.at} was cut off when it was done: ${journal.database} is ${journal.backupId}.`,
      ];
    }
    takeBack(journal);
    return [`The restore of ${journal.at} was cut off and taken back: ${journal.database} is as it was.`];
  });
}

/** Removes what a restore prepared; the database has not been replaced. */
export function takeBack({ database, beside, before, sidecars, folder }: Journal): void {
  for (const end of before === null ? [] : sidecars)
    if (!existsSync(database + end)) linkSync(`${before}${end}`, database + end);
  const inFolder = dirname(beside);
  for (const name of existsSync(inFolder) ? readdirSync(inFolder) : [])
    if (name.startsWith(basename(beside))) rmSync(join(inFolder, name), { force: true });
  if (before !== null) for (const end of ['', ...SIDECARS]) rmSync(before + end, { force: true });
  rmSync(folder, { recursive: true, force: true });
}

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../../../service/config.ts';
import { makeFolder } from '../../../service/folders.ts';
import { replaceFile } from '../../../service/replace-file.ts';
import { ENGINES } from '../backup/format.ts';

/**
 * Restores in place, each in a folder `<data>/restores/<time>`: what it is about to do, and the database as it was before.
 * The one step that counts is the rename of the new one to the database's name. Until then the old database is whole and the
 * rest is taken back; from then on the new one is.
 */
const journalSchema = z.strictObject({
  state: z.enum(['preparing', 'swapping', 'done']),
  why: z.enum(['restore', 'undo']),
  at: z.string(),
  engine: z.enum(ENGINES).default('sqlite'),
  /** Path of a file, or name of a database on its server; so are `beside` and `before`. */
  database: z.string(),
  /** The new one, until it has the database's name. */
  beside: z.string(),
  /** The database as it was; null: there was none. */
  before: z.string().nullable(),
  /** Files that belonged to it and are put back with it, by their ends. */
  sidecars: z.array(z.string()),
  backupId: z.string(),
  from: z.string(),
});
export type Journal = z.output<typeof journalSchema> & { folder: string };

export const restoresFolder = ({ dataDir }: Pick<Config, 'dataDir'>): string => join(dataDir, 'restores');

export function saveJournal({ folder, ...journal }: Journal): void {
  replaceFile(join(folder, 'journal.json'), `${JSON.stringify(journal)}\n`);
}

/** A folder of its own, with what is about to be done. */
export function beginJournal(
  config: Pick<Config, 'dataDir'>,
  facts: Pick<Journal, 'why' | 'at' | 'engine' | 'database' | 'beside' | 'backupId' | 'from'>,
): Journal {
  const folder = join(restoresFolder(config), facts.at.replaceAll(/[-:.]/g, ''));
  makeFolder(folder, 0o700);
  const journal: Journal = { ...facts, folder, state: 'preparing', before: null, sidecars: [] };
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

import { COPYFILE_FICLONE } from 'node:constants';
import { existsSync, linkSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { makeFolder } from '../../../service/folders.ts';
import { replaceFile, syncFile, syncFolder } from '../../../service/replace-file.ts';
import { takeSole } from '../../../service/storage/sole-user.ts';
import { sqliteFacts, sqliteProblems } from '../../../service/storage/sqlite-snapshot.ts';
import { otherUsers } from '../neighbour.ts';
import { assertRoomFor } from '../backup/restore.ts';
import { blockersIn } from './blockers.ts';
import { saveJournal } from './journal.ts';
import type { Journal } from './journal.ts';
import { inUse } from './seat.ts';
import type { Seat } from './seat.ts';

/** A SQLite file: another one takes its place by one rename, and the old one keeps a second name. */
export function fileSeat(config: Config): Seat {
  const database = config.databaseUrl.slice('sqlite:'.length);
  return {
    ...{ engine: 'sqlite', database, shown: database, typed: basename(database) },
    beside: `${database}.restoring`,
    target: (path) => path,
    url: (path) => `sqlite:${path}`,
    has: async (path) => existsSync(path),
    bytes: async (path) => statSync(path).size,
    blockers: (bytes) =>
      blockersIn(
        () => {
          const others = otherUsers(config, process.pid);
          if (others.length > 0) throw inUse(database, others);
        },
        () => assertRoomFor(database, bytes),
      ),
    async takeStopped() {
      makeFolder(dirname(database), 0o700);
      return takeStopped(config, database);
    },
    // The lock is held from then on.
    hold: async () => undefined,
    settled: (path) => syncFile(path),
    keep: async (journal) => keepBefore(journal),
    swap: async (journal, step) => swap(journal, step),
    takeBack: async (journal) => takeBack(journal),
    copy: copyWhole,
  };
}

const SIDECARS = ['-wal', '-shm', '-journal'] as const;

/** The application is stopped: proven by SQLite's lock, which is held until the new file is in place. */
function takeStopped(config: Config, database: string): () => void {
  const sole = takeSole(database);
  if (sole.state === 'sole') return sole.release;
  const others = otherUsers(config, process.pid);
  if (sole.state === 'in-use' || others.length > 0) throw inUse(database, others);
  return () => undefined;
}

/** Keeps the old database under a second name: the same file, so it takes no time and no space. */
function keepBefore(journal: Journal): Journal {
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
function swap(journal: Journal, step: (name: string) => void): Journal {
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

/** Removes what a restore prepared; the database has not been replaced. */
function takeBack({ database, beside, before, sidecars, folder }: Journal): void {
  for (const end of before === null ? [] : sidecars)
    if (!existsSync(database + end)) linkSync(`${before}${end}`, database + end);
  const inFolder = dirname(beside);
  for (const name of existsSync(inFolder) ? readdirSync(inFolder) : [])
    if (name.startsWith(basename(beside))) rmSync(join(inFolder, name), { force: true });
  if (before !== null) for (const end of ['', ...SIDECARS]) rmSync(before + end, { force: true });
  rmSync(folder, { recursive: true, force: true });
}

/** A copy that SQLite finds whole. */
async function copyWhole(from: string, to: string): Promise<void> {
  assertRoomFor(to, statSync(from).size);
  await copyFile(from, to, COPYFILE_FICLONE);
  const [problem] = sqliteProblems(to);
  if (problem !== undefined) {
    rmSync(to, { force: true });
    throw beforeDamaged(from, problem);
  }
  sqliteFacts(to);
}

function beforeDamaged(target: string, problem: string): FactoryError {
  return new FactoryError({
    ...{ code: 'restore-before-damaged', op: 'undo restore', target },
    message: `The database of before is not put back: SQLite finds in it: ${problem}.`,
    hint: 'Nothing was changed. `npx factory restore --in-place --plan` shows the backups that there are.',
  });
}

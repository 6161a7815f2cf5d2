import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../../../service/config.ts';
import { openSqliteHandle } from '../../../service/storage/sqlite.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

const NODE_MAJOR = 24;
const LEAST_FREE_BYTES = 100e6;
const LITTLE_FREE_BYTES = 1e9;
/** File systems and machines that share files differ by less. */
const CLOCK_SLACK_MS = 60_000;
/** Nothing of ours is older; a clock that says so was never set. */
const FIRST_YEAR = 2025;

export function nodeCheck(version: string = process.versions.node): Check {
  if (Number(version.split('.')[0]) >= NODE_MAJOR) return ok('node', `Node ${version}.`);
  return fail(
    'node',
    `Node ${version}; ${NODE_MAJOR} is needed.`,
    'Use `npx factory`: it brings the right one.',
  );
}

/** Opens a database in memory: the version is that of the library, not of a file. */
export function sqliteCheck(): Check {
  const handle = openSqliteHandle(':memory:');
  try {
    const version = handle.prepare('select sqlite_version()').pluck().get() as string;
    return ok('sqlite', `SQLite ${version}.`);
  } finally {
    handle.close();
  }
}

/** The folder, or the nearest one above it that exists. */
export function nearestFolder(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestFolder(dirname(path));
}

export function diskCheck({ dataDir }: Pick<Config, 'dataDir'>): Check {
  const name = 'disk';
  const folder = nearestFolder(dataDir);
  const hint = 'Make it writable for the user that runs the service, or set FACTORY_DATA_DIR.';
  if (!statSync(folder).isDirectory()) return fail(name, `${folder} is a file where a folder belongs.`, hint);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    return fail(name, `${folder} cannot be written by this user.`, hint);
  }
  const { bavail, bsize } = statfsSync(folder);
  return spaceCheck(folder === dataDir ? dataDir : `${dataDir} (made at the first start)`, bavail * bsize);
}

/** What free space means; `where` names the folder. */
export function spaceCheck(where: string, freeBytes: number): Check {
  const detail = `${where} can be written; ${(freeBytes / 1e9).toFixed(1)} GB are free.`;
  const hint = 'Free some space: without it nothing can be written.';
  if (freeBytes < LEAST_FREE_BYTES) return fail('disk', detail, hint);
  return freeBytes < LITTLE_FREE_BYTES ? warn('disk', detail, hint) : ok('disk', detail);
}

/** Times of what the service wrote last; none where there is nothing yet. */
export function writtenTimes({ dataDir }: Pick<Config, 'dataDir'>): { what: string; at: number }[] {
  return [dataDir, join(dataDir, 'checkpoints')].flatMap((folder) => {
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .slice(-50)
      .flatMap((name) => {
        const stat = statSync(join(folder, name), { throwIfNoEntry: false });
        return stat?.isFile() ? [{ what: join(folder, name), at: stat.mtimeMs }] : [];
      });
  });
}

/** The clock against times that it gave before. */
export function clockCheck(now: number, written: readonly { what: string; at: number }[]): Check {
  const name = 'clock';
  const iso = new Date(now).toISOString();
  const hint = 'Set the clock and let NTP keep it: timedatectl set-ntp true.';
  if (new Date(now).getUTCFullYear() < FIRST_YEAR) return fail(name, `The clock says ${iso}.`, hint);
  const ahead = written.filter(({ at }) => at > now + CLOCK_SLACK_MS).sort((a, b) => b.at - a.at)[0];
  if (!ahead) return ok(name, `${iso}; nothing was written later than that.`);
  return warn(
    name,
    `The clock says ${iso}, but ${ahead.what} is of ${new Date(ahead.at).toISOString()}.`,
    hint,
  );
}

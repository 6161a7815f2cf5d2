import { rmSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { FactoryError } from '../service/errors.ts';
import { makeFolder } from '../service/folders.ts';
import { MIGRATIONS, SCHEMA } from '../service/storage/migrate.ts';
import { openStorage } from '../service/storage/open.ts';
import { inspectSqlite } from '../service/storage/sqlite.ts';
import { takeSnapshot } from './lib/backup/snapshot.ts';
import type { DatabasePlan } from './lib/deploy/types.ts';
import { inspectPostgres } from './lib/doctor/database.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Run, VerbContext } from './lib/verb.ts';

/** Brings the database to this release's schema, after a copy. `serve` does the same without one. */
export const migrate: Run = async (context, given) => {
  const { databaseUrl } = readConfig(context);
  const plan = await planOf(databaseUrl);
  const todo = plan.from < plan.to;
  const heading = todo
    ? `Schema ${plan.from} to ${plan.to}; then readable from schema ${plan.minReaderAfter} on.`
    : `The database has schema ${plan.from}; this release brings it to ${plan.to}: nothing to do.`;
  if (given.flag('plan') || !todo) return { json: { ...plan, snapshot: null }, text: heading };
  const copy = given.text('copy');
  const snapshot = copy === undefined || plan.from === 0 ? null : await copied(context, databaseUrl, copy);
  await (await openStorage(databaseUrl)).close();
  const text = snapshot === null ? heading : `${heading}\nThe database of before: ${snapshot}`;
  return { json: { ...plan, snapshot }, text };
};

async function planOf(url: string): Promise<DatabasePlan> {
  const path = sqlitePath(url);
  const { schema: from, minReader } = path === null ? await inspectPostgres(url) : inspectSqlite(path);
  const coming = MIGRATIONS.filter(({ number }) => number > from).map((one) => one.minReader);
  const minReaderAfter = Math.max(minReader, ...coming);
  return {
    from,
    to: Math.max(from, SCHEMA),
    minReader,
    minReaderAfter,
    bytes: path === null ? 0 : bytesOn(path),
  };
}

const sqlitePath = (url: string): string | null =>
  url.startsWith('sqlite:') ? url.slice('sqlite:'.length) : null;

const bytesOn = (path: string): number =>
  [path, `${path}-wal`].reduce((sum, one) => sum + (statSync(one, { throwIfNoEntry: false })?.size ?? 0), 0);

/** A consistent copy that SQLite has checked; Postgres has no copy beside itself, so a whole backup is made of it. */
async function copied(context: VerbContext, url: string, target: string): Promise<string> {
  const path = sqlitePath(url);
  if (path === null) return backedUp(context);
  const to = resolve(context.cwd, target);
  makeFolder(dirname(to), 0o700);
  // Of a run that was cut off: nothing was migrated since.
  rmSync(to, { force: true });
  const { checked } = await takeSnapshot(path, to, {
    signal: new AbortController().signal,
    onProgress: (done, total) => context.progress(`Copying the database: page ${done} of ${total}`),
  });
  await checked;
  return to;
}

async function backedUp(context: VerbContext): Promise<string> {
  const { backup } = await import('./backup.ts');
  const full = {
    ...{ arguments: [], text: () => undefined, list: () => [] },
    flag: (name: string) => name === 'full',
  };
  const answer = await backup(context, full);
  const { backupId } = (answer?.json ?? {}) as { backupId?: string };
  if (backupId !== undefined && answer?.exit !== EXIT.failed) return `backup ${backupId}`;
  throw new FactoryError({
    ...{ code: 'backup-failed', op: 'migrate database' },
    message: 'The backup before the migration failed, so nothing was migrated.',
    hint: 'Look at the destinations: `npx factory doctor`. Then migrate again.',
  });
}

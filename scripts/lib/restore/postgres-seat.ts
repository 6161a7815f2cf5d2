import { rmSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import { describe } from '../../../service/storage/postgres.ts';
import { databaseName, databaseUrl, openDatabases } from '../../../service/storage/postgres-databases.ts';
import type { Databases } from '../../../service/storage/postgres-databases.ts';
import { blockersIn } from './blockers.ts';
import { journals, saveJournal } from './journal.ts';
import type { Journal } from './journal.ts';
import { inUse } from './seat.ts';
import type { Seat } from './seat.ts';

/** What Postgres makes of a longer name, it cuts off. */
const NAME_BYTES = 63;
/** A process that has just ended may still be seen for a moment. */
const GOES_MS = 5_000;

/** A database on its server: another one takes its place by two renames in one transaction, and the old one is kept. */
export function postgresSeat(config: Config): Seat {
  const { databaseUrl: url } = config;
  const database = databaseName(url);
  const beside = withEnd(database, '_restoring');
  const shown = describe(url);
  const onServer = async <T>(work: (databases: Databases) => Promise<T>): Promise<T> => {
    const databases = await openDatabases(url);
    try {
      return await work(databases);
    } finally {
      await databases.close();
    }
  };
  const has = (name: string): Promise<boolean> => onServer((databases) => exists(databases, name));
  return {
    ...{ engine: 'postgres', database, shown, typed: database, beside, has },
    target: (name) => databaseUrl(url, name),
    url: (name) => databaseUrl(url, name),
    bytes: (name) => onServer((databases) => databases.size(name)),
    blockers: () =>
      blockersIn(
        () => onServer((databases) => assertAlone(databases, database, shown)),
        async () => {
          if (isSettled(config) && (await has(beside))) throw besideTaken(beside);
        },
      ),
    async takeStopped() {
      await onServer(async (databases) => {
        if (await exists(databases, beside)) throw besideTaken(beside);
        await assertAlone(databases, database, shown);
      });
      return () => undefined;
    },
    hold: () =>
      onServer(async (databases) => {
        if (!(await exists(databases, database))) return;
        await databases.setOpen(database, false);
        // Somebody may have come in just before.
        await assertAlone(databases, database, shown);
      }),
    settled: async () => undefined,
    async keep(journal) {
      const before = withEnd(database, `_before_${basename(journal.folder)}`);
      const next = { ...journal, before: (await has(database)) ? before : null };
      saveJournal(next);
      return next;
    },
    swap: (journal, step) => onServer((databases) => swap(databases, journal, step)),
    takeBack: (journal) => onServer((databases) => takeBack(databases, journal)),
    copy: (from, to) => onServer((databases) => databases.copy(from, to)),
  };
}

/** What a killed restore left is taken back by the next one, and stands in nobody's way. */
const isSettled = (config: Config): boolean => journals(config).every(({ state }) => state === 'done');

/** Cut in front, so that the end stays. Names of more than one byte a letter are none that anybody gives. */
const withEnd = (name: string, end: string): string => name.slice(0, NAME_BYTES - end.length) + end;

const exists = async (databases: Databases, name: string): Promise<boolean> =>
  (await databases.names()).includes(name);

async function assertAlone(databases: Databases, name: string, shown: string): Promise<void> {
  for (const until = performance.now() + GOES_MS; (await databases.connections(name)) > 0; await sleep(100))
    if (performance.now() > until) throw inUse(shown, []);
}

async function swap(databases: Databases, journal: Journal, step: (name: string) => void): Promise<Journal> {
  const { database, beside, before } = journal;
  const swapping: Journal = { ...journal, state: 'swapping' };
  saveJournal(swapping);
  step('swapping');
  const away = before === null ? [] : [{ from: database, to: before }];
  await databases.rename([...away, { from: beside, to: database }], before ?? undefined);
  const done: Journal = { ...swapping, state: 'done' };
  saveJournal(done);
  return done;
}

async function takeBack(databases: Databases, { database, beside, folder }: Journal): Promise<void> {
  await databases.drop(beside);
  if (await exists(databases, database)) await databases.setOpen(database, true);
  rmSync(folder, { recursive: true, force: true });
}

function besideTaken(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'restore-target-exists', op: 'restore in place', target },
    message: `The server has a database ${target}, which is no restore of this machine.`,
    hint: 'Rename or drop it, then restore. Nothing was changed.',
  });
}

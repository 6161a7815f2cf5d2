import { FactoryError } from '../errors.ts';
import { migration as workQueue } from './migrations/0001-work-queue.ts';
import { migration as tokenUses } from './migrations/0002-token-uses.ts';
import { migration as jobs } from './migrations/0003-jobs.ts';

/** Column types by engine; everything else in a migration is common SQL. */
export interface ColumnTypes {
  integer: string;
  blob: string;
}

/** Forward only. `minReader`: the oldest schema number whose release can still use the database afterwards. */
export interface Migration {
  number: number;
  name: string;
  minReader: number;
  up(types: ColumnTypes): string[];
}

export const MIGRATIONS: readonly Migration[] = [workQueue, tokenUses, jobs];

/** The schema number of this release. */
export const SCHEMA = MIGRATIONS.length;

/** What the engine tells and does for a migration, inside one transaction. */
export interface MigrationTarget {
  types: ColumnTypes;
  execute(sql: string): Promise<void>;
  /** Records schema number and min_reader. */
  mark(schema: number, minReader: number): Promise<void>;
}

/** Throws `database-newer` when this release must not touch the database. */
export function assertReadable(target: string, minReader: number): void {
  if (minReader <= SCHEMA) return;
  throw new FactoryError({
    code: 'database-newer',
    op: 'open database',
    target,
    message: `The database needs a release with schema ${minReader} or later; this one has ${SCHEMA}.`,
    hint: 'Nothing was changed. Start the newer release again, or restore a backup that was taken before the upgrade.',
  });
}

/** Applies what is missing. A database newer than this release (within `min_reader`) is left as it is. */
export async function migrate(target: MigrationTarget, from: number): Promise<void> {
  for (const migration of MIGRATIONS) {
    if (migration.number <= from) continue;
    for (const sql of migration.up(target.types)) await target.execute(sql);
    await target.mark(migration.number, migration.minReader);
  }
}

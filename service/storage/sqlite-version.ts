import type Database from 'better-sqlite3';
import { FactoryError } from '../errors.ts';

/** Older SQLite corrupts when two connections write and checkpoint at once (WAL-reset bug). */
const MINIMUM_SQLITE = '3.51.3';

/** Errors: `sqlite-too-old`. `version`: that of the connection, unless it is given. */
export function assertSqliteVersion(
  handle: Database.Database,
  version = handle.prepare('select sqlite_version()').pluck().get() as string,
): void {
  const parts = (text: string) => text.split('.').reduce((sum, part) => sum * 1000 + Number(part), 0);
  if (parts(version) >= parts(MINIMUM_SQLITE)) return;
  throw new FactoryError({
    code: 'sqlite-too-old',
    op: 'open database',
    message: `SQLite ${version} can corrupt a database that two connections write; ${MINIMUM_SQLITE} is needed.`,
    hint: 'Reinstall with `npm ci`, so that the bundled SQLite is used.',
  });
}

import { readMeta } from './meta.ts';
import { statement } from './statement.ts';
import type { Reader, Storage } from './transaction.ts';

/**
 * Opens the database that `url` names (`sqlite:PATH` or `postgres://…`), creating or migrating it.
 * Errors: `database-foreign`, `database-newer`, `database-unwritable`, `database-unreachable`, `sqlite-too-old`.
 */
export async function openStorage(url: string): Promise<Storage> {
  // Each engine's driver is loaded where it is used only.
  if (engineOf(url) === 'sqlite')
    return (await import('./open-sqlite.ts')).openSqlite(url.slice('sqlite:'.length));
  return (await import('./open-postgres.ts')).openPostgres(url);
}

export function engineOf(url: string): 'sqlite' | 'postgres' {
  return url.startsWith('sqlite:') ? 'sqlite' : 'postgres';
}

/**
 * Opens the database as it is, without creating or migrating it; null: there is none, or an older release made it.
 * Errors: those of `openStorage`.
 */
export async function openAsItIs(url: string): Promise<Storage | null> {
  if (engineOf(url) === 'sqlite')
    return (await import('./open-sqlite.ts')).openSqliteAsItIs(url.slice('sqlite:'.length));
  return (await import('./open-postgres.ts')).openPostgresAsItIs(url);
}

/** The id of the installation whose database `url` names; null: there is none yet. Makes and changes nothing. */
export async function knownInstallation(url: string): Promise<string | null> {
  if (engineOf(url) === 'sqlite')
    return (await import('./open-sqlite.ts')).sqliteInstallation(url.slice('sqlite:'.length));
  return (await import('./open-postgres.ts')).postgresInstallation(url);
}

/** The id of this installation, set when the database was made; names its audit log. */
export async function installationId(reader: Reader): Promise<string> {
  return (await readMeta(reader, 'installation')) ?? '';
}

const newestEntry = statement()((db) =>
  db.selectFrom('audit_entries').select((e) => e.fn.max('seq').as('seq')),
);

/** Whether the audit log has begun: then its keys must exist. */
export async function logHasEntries(reader: Reader): Promise<boolean> {
  const row = await reader.get(newestEntry, {});
  return Number(row?.seq ?? 0) > 0;
}

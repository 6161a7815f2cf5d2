import { assertReadable, COLUMN_TYPES, migrate, SCHEMA } from './migrate.ts';
import { markSql } from './mark.ts';
import { APPLICATION_ID } from './application-id.ts';
import { inspectSqlite, openSqliteHandle, sqliteStorage } from './sqlite.ts';
import type { Storage } from './transaction.ts';

/** Reads the id of the installation and makes no file. */
export function sqliteInstallation(path: string): string | null {
  if (inspectSqlite(path).state !== 'ours') return null;
  const handle = openSqliteHandle(path, { readonly: true });
  try {
    const value = handle.prepare("select value from meta where key = 'installation'").pluck().get();
    return typeof value === 'string' ? value : null;
  } finally {
    handle.close();
  }
}

/** Null where opening would create or migrate it. */
export function openSqliteAsItIs(path: string): Storage | null {
  const found = inspectSqlite(path);
  assertReadable(path, found.minReader);
  return found.schema < SCHEMA ? null : sqliteStorage(path);
}

/** Opens, creates or migrates the SQLite file. */
export async function openSqlite(path: string): Promise<Storage> {
  const found = inspectSqlite(path);
  assertReadable(path, found.minReader);
  if (found.schema < SCHEMA) {
    const handle = openSqliteHandle(path);
    try {
      handle.pragma('busy_timeout = 10000');
      handle.exec('BEGIN IMMEDIATE');
      // Another process may have been first.
      const from = handle.pragma('user_version', { simple: true }) as number;
      await migrate(
        {
          types: COLUMN_TYPES.sqlite,
          execute: async (sql) => void handle.exec(sql),
          mark: async (schema, minReader) => {
            handle.pragma(`user_version = ${schema}`);
            handle.pragma(`application_id = ${APPLICATION_ID}`);
            handle.exec(markSql(minReader));
          },
        },
        from,
      );
      handle.exec('COMMIT');
    } finally {
      handle.close();
    }
  }
  return sqliteStorage(path);
}

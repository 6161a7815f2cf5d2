import Database from 'better-sqlite3';
import pg from 'pg';
import { unreachable } from './postgres.ts';

/** Which sealed files of conversations a database names: what a backup of it needs beside it. In their order, each once. */

const QUERY = 'select distinct blob from chat_attachments order by blob';

/** Of a file, a copy or a live one; none where it is older than conversations are. */
export function sqliteBlobNames(path: string): string[] {
  const handle = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const has = handle.prepare(`select 1 from sqlite_schema where name = 'chat_attachments'`).get();
    return has === undefined ? [] : (handle.prepare(QUERY).pluck().all() as string[]);
  } finally {
    handle.close();
  }
}

/** As the state that the client has open has it. */
export async function blobNamesOf(client: pg.Client): Promise<string[]> {
  const found = await client.query<{ has: string | null }>(
    `select to_regclass('chat_attachments')::text as has`,
  );
  if (!found.rows[0]?.has) return [];
  const { rows } = await client.query<{ blob: string }>(QUERY);
  return rows.map(({ blob }) => blob).sort();
}

/** Of a live database. Errors: `database-unreachable`. */
export async function postgresBlobNames(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await blobNamesOf(client);
  } catch (error) {
    throw unreachable(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

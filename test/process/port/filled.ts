import { join } from 'node:path';
import Database from 'better-sqlite3';
import { emptyFolder, factory } from '../../scripts/cli.ts';

/** A seeded generator of whole numbers below `n` (mulberry32). */
export function randomFrom(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

const TEXTS = [
  '',
  '\\N',
  '\\.',
  'tab\there',
  'line\nbreak\r',
  '\\',
  'ä 中文 😀 \ufffd',
  'a',
  'B',
  '_',
  '\u0001',
  '{"a":"\\u0000"}',
];

interface Column {
  name: string;
  type: string;
  notnull: number;
  pk: number;
}

/**
 * A data folder whose database has rows in every table, of the values that are hard to bring over: made by the product
 * first (keys, people, tokens, a log that verifies), then filled by the schema, so that a new table is filled, too.
 */
export async function filledFolder(rows: number, seed = 7): Promise<{ folder: string; path: string }> {
  const folder = await usedFolder();
  const path = join(folder, 'data', 'factory.db');
  const handle = new Database(path);
  handle.pragma('foreign_keys = OFF');
  const random = randomFrom(seed);
  const tables = handle
    .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
    .pluck()
    .all() as string[];
  handle.transaction(() => {
    for (const table of tables.filter((name) => name !== 'meta')) fill(handle, table, rows, random);
  })();
  // Numbers that were given and are gone are not given again.
  handle.exec(`delete from chat_messages where number = (select max(number) from chat_messages)`);
  handle.exec(`insert into meta values ('remembered', '\\\\N')`);
  repairReferences(handle, tables);
  handle.close();
  return { folder, path };
}

/** A data folder that people have worked in, on the command line. */
export async function usedFolder(): Promise<string> {
  const folder = emptyFolder();
  for (const name of ['Ada', 'Grace'])
    await factory(folder, ['people', 'invite', '--name', name, '--role', 'planner']);
  await factory(folder, ['token', 'create', '--name', 'T', '--role', 'agent', '--owner', 'Ada']);
  return folder;
}

function fill(handle: Database.Database, table: string, rows: number, random: (n: number) => number): void {
  const columns = handle.pragma(`table_info(${table})`) as Column[];
  const start = Number(handle.prepare(`select coalesce(max(rowid), 0) from ${table}`).pluck().get());
  const insert = handle.prepare(
    `insert into ${table} (${columns.map(({ name }) => name).join()}) values (${columns.map(() => '?').join()})`,
  );
  for (let row = start + 1; row <= start + rows; row += 1)
    insert.run(columns.map((column) => valueOf(column, row, random)));
}

function valueOf({ type, notnull, pk }: Column, row: number, random: (n: number) => number): unknown {
  if (notnull === 0 && pk === 0 && random(3) === 0) return null;
  if (type.toLowerCase() === 'integer')
    return random(50) === 0 && pk === 0 ? Number.MAX_SAFE_INTEGER - row : row;
  if (type.toLowerCase() === 'blob') return Buffer.from([0, random(256), 0, 255, random(256), row % 256]);
  // Unique, and in another order than any language would have them.
  return `${TEXTS[random(TEXTS.length)]}${random(1000)}/${row}`;
}

/** Columns that refer to another table get the key of a row that is there. */
function repairReferences(handle: Database.Database, tables: readonly string[]): void {
  for (const table of tables) {
    const keys = handle.pragma(`foreign_key_list(${table})`) as {
      id: number;
      table: string;
      from: string;
      to: string;
    }[];
    for (const group of Map.groupBy(keys, ({ id }) => id).values()) {
      const parent = group[0]?.table ?? '';
      const own = group.map(({ from }) => `${table}.${from}`);
      const same = group.map(({ from, to }) => `p.${to} = ${table}.${from}`).join(' and ');
      const optional = new Map(
        (handle.pragma(`table_info(${table})`) as Column[]).map((c) => [c.name, c.notnull === 0]),
      );
      const broken = `not exists (select 1 from ${parent} p where ${same}) ${group.map(({ from }) => (optional.get(from) ? `and ${table}.${from} is not null` : '')).join(' ')}`;
      const first = handle.prepare(
        `select ${group.map(({ to }) => to).join()} from ${parent} order by rowid limit ?`,
      );
      const parents = first.raw().all(100_000) as unknown[][];
      const ids = handle.prepare(`select rowid from ${table} where ${broken}`).pluck().all() as number[];
      if (own.length === 0 || parents.length === 0) continue;
      // Keys that consist of the reference alone may take each parent once.
      const taken = new Set(
        (
          handle
            .prepare(`select ${group.map(({ from }) => from).join()} from ${table}`)
            .raw()
            .all() as unknown[][]
        ).map(String),
      );
      for (const id of ids) {
        const free = parents.find((key) => !taken.has(String(key))) ?? parents[id % parents.length] ?? [];
        taken.add(String(free));
        handle
          .prepare(`update ${table} set ${group.map(({ from }) => `${from} = ?`).join()} where rowid = ?`)
          .run(...free, id);
      }
    }
  }
  const left = handle.pragma('foreign_key_check') as unknown[];
  if (left.length > 0) throw new Error(`references that lead nowhere: ${JSON.stringify(left.slice(0, 3))}`);
}

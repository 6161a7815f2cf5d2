/** The statements of the log, and its tiles and leaves as the tree's source. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FactoryError } from '../errors.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader, Transaction } from '../storage/transaction.ts';
import type { Tables } from '../storage/tables.ts';
import { leafHash } from './merkle.ts';
import type { Tile, TileSource } from './tiles.ts';

export const insertLeaf = statement<Tables['audit_entries']>()((db) =>
  db.insertInto('audit_entries').values({ seq: param<number>('seq'), leaf: param<string>('leaf') }),
);

/** Leaves from `from` on, oldest first. */
export const leavesFrom = statement<{ from: number; limit: number }>()((db) =>
  db
    .selectFrom('audit_entries')
    .select(['seq', 'leaf'])
    .where('seq', '>=', param('from'))
    .orderBy('seq')
    .limit(param<number>('limit')),
);

const leavesBetween = statement<{ from: number; to: number }>()((db) =>
  db
    .selectFrom('audit_entries')
    .select(['seq', 'leaf'])
    .where('seq', '>=', param('from'))
    .where('seq', '<=', param('to'))
    .orderBy('seq'),
);

const tileAt = statement<{ level: number; index: number }>()((db) =>
  db
    .selectFrom('audit_tiles')
    .select('hashes')
    .where('level', '=', param('level'))
    .where('tile_index', '=', param('index')),
);

/** Another process may have stored the tile already; it is the same one. */
const insertTile = statement<Tables['audit_tiles']>()((db) =>
  db
    .insertInto('audit_tiles')
    .values({
      level: param<number>('level'),
      tile_index: param<number>('tile_index'),
      hashes: param<Buffer>('hashes'),
    })
    .onConflict((conflict) => conflict.doNothing()),
);

const newestTile = statement()((db) =>
  db
    .selectFrom('audit_tiles')
    .select((row) => row.fn.max('tile_index').as('index'))
    .where('level', '=', 0),
);

export async function storeTiles(tx: Transaction, tiles: Tile[]): Promise<void> {
  for (const { level, index, hashes } of tiles)
    await tx.run(insertTile, { level, tile_index: index, hashes });
}

/** How many full tiles of leaves are stored; 0 for none. */
export async function storedTiles(reader: Reader): Promise<number> {
  const row = await reader.get(newestTile, {});
  const newest = row?.index ?? null;
  return newest === null ? 0 : newest + 1;
}

export async function readTile(reader: Reader, level: number, index: number): Promise<Buffer | null> {
  const row = await reader.get(tileAt, { level, index });
  // SQLite gives a text back where somebody put one.
  return row === undefined ? null : Buffer.from(row.hashes);
}

/** The stored log as the tree's source; it lets the event loop turn between tiles. */
export function storedSource(reader: Reader): TileSource {
  return {
    tile: async (level, index) => {
      await nextTurn();
      return readTile(reader, level, index);
    },
    leafHashes: async (from, to) => {
      const rows = await reader.all(leavesBetween, { from: from + 1, to });
      if (rows.length !== to - from) {
        throw logAltered(`Of the entries ${from + 1} to ${to} only ${rows.length} are in the log.`);
      }
      return rows.map((row) => leafHash(row.leaf));
    },
  };
}

const tileCounts = statement()((db) =>
  db
    .selectFrom('audit_tiles')
    .select((row) => ['level', row.fn.countAll().as('count')])
    .groupBy('level'),
);

export async function countTiles(reader: Reader): Promise<{ level: number; count: number }[]> {
  return (await reader.all(tileCounts, {})).map(({ level, count }) => ({ level, count: Number(count) }));
}

export function logAltered(message: string): FactoryError {
  return new FactoryError({
    code: 'audit-log-altered',
    op: 'read audit log',
    message,
    hint: 'Run `npx factory verify-audit`: it names the damaged entries. No checkpoint is signed until then.',
  });
}

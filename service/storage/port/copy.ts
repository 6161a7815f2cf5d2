import pg from 'pg';
import type { Source, SourceRow } from './source.ts';
import type { Defect, Table } from './table.ts';
import {
  claimTarget,
  connectTarget,
  copyRows,
  emptyTarget,
  inspectTarget,
  inTransaction,
  prepareTarget,
  quarantine,
  quarantined,
  setSequence,
  setWatermark,
  watermark,
} from './target.ts';
import type { Quarantined } from './target.ts';
import { FactoryError } from '../../errors.ts';
import { describe } from '../postgres.ts';

const CHUNK_ROWS = 5_000;
const CHUNK_CHARACTERS = 8 * 1024 * 1024;

export interface Copied {
  /** Rows that lie in the target now, by table; `before`: those that an earlier run had copied. */
  tables: { name: string; rows: number; before: number }[];
  quarantined: Quarantined[];
  /** Why what was there before was thrown away; null: nothing was. */
  again: 'asked' | 'source-changed' | null;
}

export interface CopyOptions {
  again: boolean;
  progress: (table: string, rows: number) => void;
}

/**
 * Copies everything, going on where an earlier run stopped. Errors: `database-in-use`, `database-foreign`,
 * `port-target-taken`, `port-finished`, `database-unreachable`.
 */
export async function copy(source: Source, url: string, { again, progress }: CopyOptions): Promise<Copied> {
  const client = await connectTarget(url);
  try {
    await claimTarget(client, url);
    const begun = await begin(client, source, url, again);
    const tables: Copied['tables'] = [];
    for (const table of source.tables) {
      const before = (await watermark(client, table)).rows;
      const rows = await copyTable(client, source, table, (n) => progress(table.name, n));
      tables.push({ name: table.name, rows, before });
    }
    await client.query('analyze');
    return { tables, quarantined: await quarantined(client), again: begun };
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function begin(
  client: pg.Client,
  source: Source,
  url: string,
  asked: boolean,
): Promise<Copied['again']> {
  const { installation } = source;
  const state = { installation, fingerprint: source.fingerprint() };
  const found = await inspectTarget(client, url, installation);
  if (found.state === 'ported') throw finished(url);
  if (found.state === 'empty') {
    await prepareTarget(client, state);
    return null;
  }
  const why = asked ? 'asked' : found.fingerprint === state.fingerprint ? null : 'source-changed';
  if (why !== null) await emptyTarget(client, source.tables, state);
  return why;
}

function finished(url: string): FactoryError {
  return new FactoryError({
    code: 'port-finished',
    op: 'port copy',
    target: describe(url),
    message: `${describe(url)} is this installation's database already: its port was verified.`,
    hint: 'Set FACTORY_DATABASE_URL to it and start the service; for another port name an empty database.',
  });
}

async function copyTable(
  client: pg.Client,
  source: Source,
  table: Table,
  progress: (rows: number) => void,
): Promise<number> {
  let { rowid, rows } = await watermark(client, table);
  for (;;) {
    const chunk = source.chunk(table, rowid, CHUNK_ROWS, CHUNK_CHARACTERS);
    const last = chunk.at(-1);
    if (last === undefined) break;
    rowid = last.rowid;
    const before = rows;
    rows = await inTransaction(client, async () => {
      const sum = before + (await copyChunk(client, table, chunk));
      await setWatermark(client, table, last.rowid, sum);
      return sum;
    });
    progress(rows);
  }
  if (table.counted) await setSequence(client, table, source.lastNumber(table));
  return rows;
}

/** Answers how many rows the target took; the others are in quarantine. */
async function copyChunk(client: pg.Client, table: Table, chunk: readonly SourceRow[]): Promise<number> {
  const whole = chunk.filter(({ defects }) => defects.length === 0);
  for (const row of chunk)
    if (row.defects.length > 0) await quarantine(client, entry(table, row, whyNot(row.defects)));
  if (whole.length === 0) return 0;
  await client.query('savepoint chunk');
  try {
    await copyRows(
      client,
      table,
      whole.map(({ cells }) => cells),
    );
    return whole.length;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || !isOfRow(error)) throw error;
    await client.query('rollback to savepoint chunk');
    return copyOneByOne(client, table, whole);
  }
}

/** Data exceptions and broken constraints: another row may still go. */
const isOfRow = ({ code = '' }: pg.DatabaseError): boolean => /^2[23]/.test(code);

async function copyOneByOne(client: pg.Client, table: Table, rows: readonly SourceRow[]): Promise<number> {
  let taken = 0;
  for (const row of rows) {
    await client.query('savepoint row');
    try {
      await copyRows(client, table, [row.cells]);
      taken += 1;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || !isOfRow(error)) throw error;
      await client.query('rollback to savepoint row');
      // `detail` has values of the row; the name of the constraint does not.
      await quarantine(client, entry(table, row, `Postgres refuses it: ${error.constraint ?? error.code}`));
    }
    await client.query('release savepoint row');
  }
  return taken;
}

const entry = (table: Table, { rowid, key }: SourceRow, reason: string): Quarantined => ({
  ...{ table: table.name, rowid, key, reason },
});

const REASONS: Record<Defect['reason'], string> = {
  nul: 'holds a NUL byte, which no text of Postgres can',
  'utf-8': 'holds bytes that are no UTF-8',
  type: 'holds a value of another type',
};

export function whyNot(defects: readonly Defect[]): string {
  return defects.map(({ column, reason }) => `${column} ${REASONS[reason]}`).join('; ');
}

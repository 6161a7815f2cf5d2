import { setImmediate as turn } from 'node:timers/promises';
import pg from 'pg';
import type { Source, SourceRow } from './source.ts';
import type { Defect, Table } from './table.ts';
import {
  claimTarget,
  connectTarget,
  copyRows,
  emptyTarget,
  inspectTarget,
  prepareTarget,
  quarantine,
  quarantined,
  setSequence,
  watermarks,
  watermarkSql,
} from './target.ts';
import type { Quarantined, Watermark } from './target.ts';
import { FactoryError } from '../../errors.ts';
import { describe } from '../postgres.ts';

const CHUNK_ROWS = 5_000;
const CHUNK_CHARACTERS = 8 * 1024 * 1024;
const SLICE_ROWS = 250;
const BEGINNING: Watermark = { rowid: '-9223372036854775808', rows: 0 };

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
    const marks = await watermarks(client);
    const tables: Copied['tables'] = [];
    for (const table of source.tables) {
      const mark = marks.get(table.name) ?? BEGINNING;
      const rows = await copyTable(client, source, table, mark, (n) => progress(table.name, n));
      tables.push({ name: table.name, rows, before: mark.rows });
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
  begun: Watermark,
  progress: (rows: number) => void,
): Promise<number> {
  let { rows } = begun;
  let ahead = readAhead(source, table, begun.rowid);
  for (;;) {
    const chunk = await ahead;
    const last = chunk.at(-1);
    if (last === undefined) break;
    // The next one is read while the server takes this one.
    ahead = readAhead(source, table, last.rowid);
    ahead.catch(() => undefined);
    rows += await takeChunk(client, table, chunk, (taken) => ({ rowid: last.rowid, rows: rows + taken }));
    progress(rows);
  }
  if (table.counted) await setSequence(client, table, source.lastNumber(table));
  return rows;
}

/** A chunk in slices, between which the connection gets on with what was sent. */
async function readAhead(source: Source, table: Table, after: string): Promise<SourceRow[]> {
  const chunk: SourceRow[] = [];
  let room = CHUNK_CHARACTERS;
  for (let last = after; chunk.length < CHUNK_ROWS && room > 0; await turn()) {
    const slice = source.chunk(table, last, SLICE_ROWS, room);
    const end = slice.at(-1);
    if (end === undefined) break;
    last = end.rowid;
    for (const row of slice) {
      chunk.push(row);
      for (const cell of row.cells) room -= cell?.length ?? 0;
    }
  }
  return chunk;
}

/**
 * Rows and their watermark in one transaction, with as few questions to the server as that takes. Answers how many rows it took;
 * the others are in quarantine.
 */
async function takeChunk(
  client: pg.Client,
  table: Table,
  chunk: readonly SourceRow[],
  mark: (taken: number) => Watermark,
): Promise<number> {
  await client.query('begin; savepoint chunk');
  try {
    const taken = await copyChunk(client, table, chunk);
    await client.query(`${watermarkSql(table, mark(taken))}; commit`);
    return taken;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function copyChunk(client: pg.Client, table: Table, chunk: readonly SourceRow[]): Promise<number> {
  const whole = chunk.filter(({ defects }) => defects.length === 0);
  let taken = whole.length;
  if (taken > 0)
    try {
      await copyRows(
        client,
        table,
        whole.map(({ cells }) => cells),
      );
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || !isOfRow(error)) throw error;
      await client.query('rollback to savepoint chunk');
      taken = await copyOneByOne(client, table, whole);
    }
  for (const row of chunk)
    if (row.defects.length > 0) await quarantine(client, entry(table, row, whyNot(row.defects)));
  return taken;
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

import { createHmac, randomBytes } from 'node:crypto';
import type pg from 'pg';
import { whyNot } from './copy.ts';
import type { Source, SourceRow } from './source.ts';
import { compareKeys, keyOf, OWN_META } from './table.ts';
import type { Cell, Table } from './table.ts';
import { columnList, quoted } from './target.ts';

const CHUNK_ROWS = 2_000;
const NAMED = 20;

export interface Row {
  key: Cell[];
  cells: Cell[];
}

export interface RowDifference {
  key: Cell[];
  /** `cannot-go`: in quarantine, or it would be. */
  what: 'missing' | 'added' | 'changed' | 'cannot-go';
  /** For `changed` the names of the columns, for `cannot-go` why. */
  where?: string[];
}

export interface TableComparison {
  name: string;
  /** Rows. */
  source: number;
  target: number;
  /** Of all chunks, keyed with a key of this run: it tells nothing about the content. */
  digest: string;
  targetDigest: string;
  /** Chunks whose digests differ. */
  chunks: number;
  differences: number;
  /** The first of them. */
  named: RowDifference[];
}

/** Compares all rows of a table on both sides, in the order of their keys, chunk by chunk. */
export async function compareTable(
  client: pg.Client,
  source: Source,
  table: Table,
  progress: (rows: number) => void,
  secret: Buffer = randomBytes(32),
): Promise<TableComparison> {
  const all = [createHmac('sha256', secret), createHmac('sha256', secret)] as const;
  const answer: TableComparison = {
    ...{ name: table.name, source: 0, target: 0, digest: '', targetDigest: '' },
    ...{ chunks: 0, differences: 0, named: [] },
  };
  const note = (found: readonly RowDifference[]): void => {
    answer.differences += found.length;
    answer.named.push(...found.slice(0, NAMED - answer.named.length));
  };
  const theirs = new Rows(client, table);
  await theirs.open();
  for (const chunk of chunksOf(source.inKeyOrder(table))) {
    const last = chunk.length < CHUNK_ROWS ? null : (chunk.at(-1)?.key ?? null);
    note(chunk.filter(({ defects }) => defects.length > 0).map(cannotGo));
    const ours = chunk.filter(({ defects }) => defects.length === 0);
    const other = await theirs.upTo(last);
    const digests = [digestOf(secret, ours), digestOf(secret, other)] as const;
    digests.forEach((digest, side) => all[side]?.update(digest));
    answer.source += chunk.length;
    answer.target += other.length;
    if (!digests[0].equals(digests[1])) {
      answer.chunks += 1;
      note(differencesOf(table, ours, other));
    }
    progress(answer.source);
  }
  await theirs.close();
  return { ...answer, digest: all[0].digest('hex'), targetDigest: all[1].digest('hex') };
}

const cannotGo = ({ key, defects }: SourceRow): RowDifference => ({
  ...{ key, what: 'cannot-go', where: [whyNot(defects)] },
});

/** At least one, and the last one is never full: it takes what the other side has behind it. */
function* chunksOf(rows: Iterable<SourceRow>): Generator<SourceRow[]> {
  let chunk: SourceRow[] = [];
  for (const row of rows) {
    chunk.push(row);
    if (chunk.length < CHUNK_ROWS) continue;
    yield chunk;
    chunk = [];
  }
  yield chunk;
}

/** The target's rows, read in pieces through a cursor of the open transaction. */
class Rows {
  private readonly client: pg.Client;
  private readonly table: Table;
  private waiting: Row[] = [];
  /** The next piece, which is on its way while others are compared. */
  private coming: Promise<Cell[][]> | null = null;
  private ended = false;

  constructor(client: pg.Client, table: Table) {
    this.client = client;
    this.table = table;
  }

  async open(): Promise<void> {
    const { name, columns, key } = this.table;
    // The bytes decide, as in SQLite, and not the language of the server.
    const order = key.map((one) => `${quoted(one.name)}${one.kind === 'text' ? ' collate "C"' : ''}`);
    const own = name === 'meta' ? ` where key not in (${OWN_META.map((one) => `'${one}'`).join(', ')})` : '';
    await this.client.query(
      `declare port_rows no scroll cursor for select ${columnList(columns)} from ${quoted(name)}${own} order by ${order.join(', ')}`,
    );
  }

  /** Null: all that are left. */
  async upTo(last: readonly Cell[] | null): Promise<Row[]> {
    const found: Row[] = [];
    for (;;) {
      if (this.waiting.length === 0) await this.fetch();
      const beyond =
        last === null ? -1 : this.waiting.findIndex(({ key }) => compareKeys(this.table.key, key, last) > 0);
      const taken = beyond === -1 ? this.waiting.length : beyond;
      found.push(...this.waiting.splice(0, taken));
      if (this.ended || beyond !== -1) return found;
    }
  }

  async close(): Promise<void> {
    await this.client.query('close port_rows');
  }

  private async fetch(): Promise<void> {
    if (this.ended) return;
    const rows = await (this.coming ?? this.next());
    this.ended = rows.length < CHUNK_ROWS;
    this.coming = this.ended ? null : this.next();
    this.coming?.catch(() => undefined);
    this.waiting = rows.map((cells) => ({ key: keyOf(this.table, cells), cells }));
  }

  private async next(): Promise<Cell[][]> {
    const text = `fetch ${CHUNK_ROWS} from port_rows`;
    return (await this.client.query<Cell[]>({ text, rowMode: 'array' })).rows;
  }
}

function digestOf(secret: Buffer, rows: readonly Row[]): Buffer {
  const hmac = createHmac('sha256', secret);
  for (const { cells } of rows) hmac.update(`${JSON.stringify(cells)}\n`);
  return hmac.digest();
}

function differencesOf(table: Table, ours: readonly Row[], theirs: readonly Row[]): RowDifference[] {
  const name = ({ key }: Row): string => JSON.stringify(key);
  const others = new Map(theirs.map((row) => [name(row), row]));
  const found = ours.flatMap((row): RowDifference[] => {
    const other = others.get(name(row));
    others.delete(name(row));
    if (other === undefined) return [{ key: row.key, what: 'missing' }];
    const where = table.columns
      .filter((_, at) => row.cells[at] !== other.cells[at])
      .map((column) => column.name);
    return where.length === 0 ? [] : [{ key: row.key, what: 'changed', where }];
  });
  return [...found, ...[...others.values()].map(({ key }): RowDifference => ({ key, what: 'added' }))];
}

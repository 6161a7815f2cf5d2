/**
 * The words of a port from SQLite to Postgres.
 *
 * cell       a value as Postgres writes it: whole numbers and texts as text, bytes as `\x` and hex; null
 * defect     why a value cannot be one of Postgres
 * chunk      rows in the order of their primary key that are copied, and compared, at once
 */
import { isUtf8 } from 'node:buffer';

export type Cell = string | null;
export type Kind = 'integer' | 'text' | 'blob';

export interface Column {
  name: string;
  kind: Kind;
}

export interface Table {
  name: string;
  columns: Column[];
  /** Primary key, in its order. */
  key: Column[];
  /** Tables that have to be there first. */
  parents: string[];
  /** Whether its numbers are counted by the engine. */
  counted: boolean;
}

export interface Defect {
  column: string;
  reason: 'nul' | 'utf-8' | 'type';
}

/** What an engine writes about itself differs: SQLite keeps these in the header of its file. */
export const OWN_META = ['application', 'schema'] as const;

/** Parents first, else by name. Throws where tables refer to each other in a circle. */
export function inOrder(tables: readonly Table[]): Table[] {
  const ordered: Table[] = [];
  let rest = tables.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  while (rest.length > 0) {
    const done = new Set(ordered.map(({ name }) => name));
    const ready = rest.filter(({ name, parents }) => parents.every((one) => one === name || done.has(one)));
    if (ready.length === 0) throw new Error(`tables refer to each other: ${rest.map((t) => t.name).join()}`);
    ordered.push(...ready);
    rest = rest.filter((table) => !ready.includes(table));
  }
  return ordered;
}

export type SqliteValue = bigint | number | string | Buffer | null;

/** U+FFFD may be what was written, or what the driver makes of bytes that are no UTF-8. */
const SUSPECT = /[\0\ufffd]/;

/** `bytesOf`: the bytes of a text, asked for only where it looks odd. */
export function defectOf(
  { name, kind }: Column,
  value: SqliteValue,
  bytesOf: (column: string) => Buffer,
): Defect | null {
  if (value === null) return null;
  const fits =
    kind === 'integer'
      ? typeof value === 'bigint'
      : kind === 'text'
        ? typeof value === 'string'
        : Buffer.isBuffer(value);
  if (!fits) return { column: name, reason: 'type' };
  if (typeof value !== 'string' || !SUSPECT.test(value)) return null;
  if (value.includes('\0')) return { column: name, reason: 'nul' };
  return isUtf8(bytesOf(name)) ? null : { column: name, reason: 'utf-8' };
}

export function cellOf(value: SqliteValue): Cell {
  if (value === null) return null;
  return Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : String(value);
}

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A line of Postgres' text format of COPY. */
export function copyLine(cells: readonly Cell[]): string {
  const fields = cells.map((cell) =>
    cell === null
      ? '\\N'
      : /[\\\n\r\t]/.test(cell)
        ? cell.replace(/[\\\n\r\t]/g, (one) => ESCAPES[one] ?? one)
        : cell,
  );
  return `${fields.join('\t')}\n`;
}

/** Order of keys on both engines: numbers by value, texts by their bytes. */
export function compareKeys(columns: readonly Column[], a: readonly Cell[], b: readonly Cell[]): number {
  for (const [index, { kind }] of columns.entries()) {
    const [one, other] = [a[index] ?? '', b[index] ?? ''];
    if (one === other) continue;
    if (kind === 'integer') return BigInt(one) < BigInt(other) ? -1 : 1;
    return Buffer.compare(Buffer.from(one), Buffer.from(other));
  }
  return 0;
}

export function keyOf(table: Table, cells: readonly Cell[]): Cell[] {
  return table.key.map(
    ({ name }) => cells[table.columns.findIndex((column) => column.name === name)] ?? null,
  );
}

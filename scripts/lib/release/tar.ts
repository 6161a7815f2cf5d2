/** Archives in the POSIX tar format (pax), as GNU tar and every other reads them. Pure: headers to bytes and back. */

export const BLOCK = 512;

/** Nothing in an archive tells when it was made: all times are this one, in seconds since 1970. */
const MTIME = 0;

export interface Header {
  path: string;
  /** Octal, e.g. `644`. */
  mode: string;
  bytes: number;
}

/** The header blocks of one file; owner, group and times are the same in every archive. */
export function headerOf({ path, mode, bytes }: Header): Buffer {
  if (Buffer.byteLength(path) <= 100) return block({ name: path, mode, bytes, type: '0' });
  const record = paxRecord('path', path);
  return Buffer.concat([
    block({ name: 'pax', mode: '644', bytes: record.length, type: 'x' }),
    record,
    padding(record.length),
    block({ name: path.slice(-100), mode, bytes, type: '0' }),
  ]);
}

/** What fills a content up to whole blocks. */
export const padding = (bytes: number): Buffer => Buffer.alloc((BLOCK - (bytes % BLOCK)) % BLOCK);

/** Two empty blocks end an archive. */
export const END = Buffer.alloc(2 * BLOCK);

/** `<length> path=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

interface Block {
  name: string;
  mode: string;
  bytes: number;
  type: '0' | 'x';
}

function block({ name, mode, bytes, type }: Block): Buffer {
  const header = Buffer.alloc(BLOCK);
  const number = (value: number, length: number): string =>
    `${value.toString(8).padStart(length - 1, '0')}\0`;
  header.write(name, 0, 100, 'utf8');
  header.write(`${mode.padStart(7, '0')}\0`, 100);
  header.write(number(0, 8), 108);
  header.write(number(0, 8), 116);
  header.write(number(bytes, 12), 124);
  header.write(number(MTIME, 12), 136);
  header.write(' '.repeat(8), 148);
  header.write(type, 156);
  header.write('ustar\u000000', 257);
  header.write('root', 265);
  header.write('root', 297);
  header.write(`${checksum(header).toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function checksum(header: Buffer): number {
  let sum = 0;
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 32 : byte;
  return sum;
}

export type Parsed =
  { kind: 'file'; name: string; bytes: number } | { kind: 'pax'; bytes: number } | { kind: 'end' };

/** One header block; null: it is none that this program writes. */
export function parseHeader(header: Buffer): Parsed | null {
  if (header.every((byte) => byte === 0)) return { kind: 'end' };
  const text = (from: number, length: number): string => {
    const field = header.toString('utf8', from, from + length);
    const end = field.indexOf('\0');
    return end < 0 ? field : field.slice(0, end);
  };
  const octal = (from: number, length: number): number => Number.parseInt(text(from, length).trim(), 8);
  if (octal(148, 8) !== checksum(header) || text(257, 6) !== 'ustar') return null;
  const bytes = octal(124, 12);
  const type = text(156, 1);
  if (!Number.isSafeInteger(bytes) || (type !== '0' && type !== 'x')) return null;
  return type === 'x' ? { kind: 'pax', bytes } : { kind: 'file', name: text(0, 100), bytes };
}

/** The path that a pax record gives to the file after it; null: it gives none. */
export function paxPath(record: Buffer): string | null {
  return /^\d+ path=([^\n]+)\n$/.exec(record.toString('utf8'))?.[1] ?? null;
}

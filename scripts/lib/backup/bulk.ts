import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { PageList } from './pages.ts';

/** Reading large files in little memory. */

/** A multiple of every page size. */
export const READ_BYTES = 1024 * 1024;

/**
 * The content of a file in pieces. While whoever takes it works on one piece, in another thread or on the way to a
 * disk, the next is read and given to `note`. There are two buffers for all of it: a piece is good until the next one
 * is asked for. A stream that holds less than a piece before it says "wait", as all of ours do, asks in time.
 */
export async function* readInTurn(
  path: string,
  signal: AbortSignal,
  note: (piece: Buffer) => void = () => undefined,
): AsyncGenerator<Buffer> {
  const file = await open(path);
  try {
    const buffers = [Buffer.allocUnsafeSlow(READ_BYTES), Buffer.allocUnsafeSlow(READ_BYTES)] as const;
    const next = async (turn: number): Promise<Buffer> => {
      const piece = await fill(file, buffers[turn % 2 === 0 ? 0 : 1]);
      note(piece);
      return piece;
    };
    let coming = next(0);
    for (let turn = 1; ; turn += 1) {
      const piece = await coming;
      signal.throwIfAborted();
      if (piece.length === 0) return;
      coming = next(turn);
      // Where nobody asks for it any more, nobody hears that it failed.
      coming.catch(() => undefined);
      yield piece;
    }
  } finally {
    await file.close();
  }
}

/** The next bytes of a file; fewer than the buffer holds at its end only. */
async function fill(file: FileHandle, buffer: Buffer): Promise<Buffer> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, null);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

export interface Pages {
  /** SHA-256 of the whole file. */
  sha256: string;
  pageSize: number;
  list: Buffer;
}

/** Digest and page list of a database file, from its pieces in order. */
export function pageTaker(pageSize: number): { take: (piece: Buffer) => void; pages: () => Pages } {
  const whole = createHash('sha256');
  const list = new PageList(pageSize);
  return {
    take(piece) {
      whole.update(piece);
      list.take(piece);
    },
    pages: () => ({ sha256: whole.digest('hex'), pageSize, list: list.list() }),
  };
}

/** Reads a database file once for its digest and its page list. */
export async function readPages(path: string, pageSize: number, signal: AbortSignal): Promise<Pages> {
  const taker = pageTaker(pageSize);
  const pieces = readInTurn(path, signal, taker.take);
  while ((await pieces.next()).done !== true);
  return taker.pages();
}

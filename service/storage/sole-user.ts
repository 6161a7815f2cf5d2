import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';

export type SoleUse =
  /** Nobody else has the file open, and nobody can open it until `release`; its write-ahead log is empty and gone. */
  | { state: 'sole'; release(): void }
  /** Another connection has it open. */
  | { state: 'in-use' }
  /** There is none, or SQLite cannot read it: locks tell nothing. */
  | { state: 'absent' | 'damaged' };

const DAMAGED = /^SQLITE_(NOTADB|CORRUPT)/;

/**
 * Takes a SQLite file for this process alone. Leaving WAL mode succeeds for a sole connection only, and brings what is in
 * the log into the file. Meanwhile nothing else in this process may open and close the file: the system would take the
 * lock away with it.
 */
export function takeSole(path: string): SoleUse {
  if (!existsSync(path)) return { state: 'absent' };
  const handle = new Database(path, { timeout: 0 });
  try {
    handle.pragma('locking_mode = EXCLUSIVE');
    handle.pragma('journal_mode = DELETE');
    handle.exec('BEGIN EXCLUSIVE');
    return { state: 'sole', release: () => void handle.close() };
  } catch (error) {
    handle.close();
    const code = error instanceof Database.SqliteError ? error.code : '';
    if (code.startsWith('SQLITE_BUSY')) return { state: 'in-use' };
    if (DAMAGED.test(code)) return { state: 'damaged' };
    throw error;
  }
}

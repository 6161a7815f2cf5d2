/**
 * A process of its own for SQLite's check of a whole database, which blocks a thread for seconds. Argument: the file,
 * which is read only. One message to the parent: `checked` or `failed`.
 */
import { asFactoryError } from '../../../service/errors.ts';
import { sqliteFacts, sqliteProblems } from '../../../service/storage/sqlite-snapshot.ts';
import type { SqliteFacts } from '../../../service/storage/sqlite-snapshot.ts';

export type CheckMessage =
  | { kind: 'checked'; facts: SqliteFacts; problems: string[] }
  | { kind: 'failed'; code: string; message: string; hint: string };

const tell = (message: CheckMessage): void => void process.send?.(message);

const [path] = process.argv.slice(2);
if (path === undefined) throw new TypeError('the file is missing');
process.on('disconnect', () => process.exit(1));
try {
  tell({ kind: 'checked', facts: sqliteFacts(path), problems: sqliteProblems(path) });
} catch (error) {
  const { code, message, hint } = asFactoryError(error, 'check database');
  tell({ kind: 'failed', code, message, hint });
}
process.disconnect?.();

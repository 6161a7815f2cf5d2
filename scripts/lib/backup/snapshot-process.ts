/**
 * A process of its own for what blocks a thread for seconds: the copy of the database, and SQLite's check of it.
 * Arguments: source, target. Messages to the parent: `progress`, then `copied` with the facts, then `checked`; or
 * `failed`. The parent may kill it at any time: only the target is written.
 */
import { openSync, closeSync, fsyncSync } from 'node:fs';
import { asFactoryError } from '../../../service/errors.ts';
import { copySqlite, sqliteFacts, sqliteProblems } from '../../../service/storage/sqlite-snapshot.ts';
import type { SqliteFacts } from '../../../service/storage/sqlite-snapshot.ts';

export type SnapshotMessage =
  | { kind: 'progress'; done: number; total: number }
  | { kind: 'copied'; facts: SqliteFacts; seconds: number }
  | { kind: 'checked'; problems: string[] }
  | { kind: 'failed'; code: string; message: string; hint: string };

const tell = (message: SnapshotMessage): void => void process.send?.(message);

async function main(source: string, target: string): Promise<void> {
  const started = performance.now();
  await copySqlite(source, target, (done, total) => tell({ kind: 'progress', done, total }));
  const file = openSync(target, 'r');
  fsyncSync(file);
  closeSync(file);
  tell({ kind: 'copied', facts: sqliteFacts(target, source), seconds: (performance.now() - started) / 1000 });
  tell({ kind: 'checked', problems: sqliteProblems(target) });
}

const [source, target] = process.argv.slice(2);
if (source === undefined || target === undefined) throw new TypeError('source and target are missing');
process.on('disconnect', () => process.exit(1));
await main(source, target)
  .catch((error: unknown) => {
    const { code, message, hint } = asFactoryError(error, 'copy database');
    tell({ kind: 'failed', code, message, hint });
  })
  .finally(() => process.disconnect?.());

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import Database from 'better-sqlite3';
import { runFactory } from '../../scripts/lib/program.ts';
import { newPlace } from '../process/service.ts';
import type { Place } from '../process/service.ts';

/** An application with a small database, and the command line for its backups. */
export interface BackupLab {
  place: Place;
  /** What makes the next backup another one. */
  change(): void;
  /** Runs the command line in this process: its exit code and its document. */
  run<T>(...argv: string[]): Promise<{ exit: number; answer: T }>;
  /** A path that nothing lies at. */
  target(): string;
  close(): void;
}

export const APP = ['--db', 'app.db', '--name', 'app'];
export const NAMED = ['--name', 'app'];
const ROWS = 300;

export interface Listed {
  backups: { backupId: string; kind: string; sequence: number }[];
  problems: { message: string }[];
}

export function openBackupLab(below = tmpdir()): BackupLab {
  const place = newPlace({ below: mkdtempSync(join(below, 'factory-backups-')) });
  mkdirSync(place.data, { recursive: true });
  const db = new Database(join(place.dir, 'app.db'));
  db.pragma('journal_mode = WAL');
  db.exec('create table pair (id integer primary key, a integer, b integer, note blob)');
  const insert = db.prepare('insert into pair (a, b, note) values (?, ?, randomblob(800))');
  db.transaction(() => {
    for (let n = 0; n < ROWS; n += 1) insert.run(n, -n);
  })();
  const update = db.prepare('update pair set a = a + 1, b = b - 1 where id % 50 = ?');
  let turn = 0;
  let targets = 0;
  return {
    place,
    change: () => void update.run((turn += 1) % 50),
    async run<T>(...argv: string[]) {
      const stdout = new Sink();
      const surroundings = { cwd: place.dir, env: place.env, stdout, stderr: new Sink() };
      const exit = await runFactory([...argv, '--json'], surroundings);
      return { exit, answer: JSON.parse(stdout.text) as T };
    },
    target: () => join(place.dir, `restored-${(targets += 1)}.db`),
    close() {
      db.close();
      rmSync(join(place.dir, '..'), { recursive: true, force: true });
    },
  };
}

/** Null: the file is a database in which what belongs together is together. */
export function wrongWith(path: string): string | null {
  const db = new Database(path, { readonly: true });
  try {
    const [rows, sum] = db.prepare('select count(*), sum(a + b) from pair').raw().get() as [number, number];
    return rows === ROWS && sum === 0 ? null : `${rows} rows, sum ${sum}`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    db.close();
  }
}

export class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

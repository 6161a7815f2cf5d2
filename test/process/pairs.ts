import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished } from 'vitest';
import { factory } from '../scripts/cli.ts';
import { newPlace } from './service.ts';
import type { Place } from './service.ts';

/** An application with rows that belong together, and its backups: whatever is listed has to restore. */

export const NAMED = ['--name', 'app'];
export const APP = ['--db', 'app.db', ...NAMED];

export interface Made {
  backupId: string;
  kind: string;
  destinations: { url: string; status: string; error?: { code: string; hint: string } }[];
}
export interface Listed {
  backups: { backupId: string; destination: string; bytes: number }[];
  problems: { code: string }[];
}

/** `note`: as SQL, of each row. The database stays open until the test ends. */
export function newPairs(rows: number, note: string): { place: Place; db: Database.Database } {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  mkdirSync(place.data, { recursive: true });
  const db = new Database(join(place.dir, 'app.db'));
  onTestFinished(() => void db.close());
  db.exec('create table pair (id integer primary key, a integer, b integer, note blob)');
  const insert = db.prepare(`insert into pair (a, b, note) values (?, ?, ${note})`);
  db.transaction(() => {
    for (let n = 0; n < rows; n += 1) insert.run(n, -n);
  })();
  return { place, db };
}

export async function listed({ dir, env }: Place): Promise<Listed> {
  return (await factory(dir, ['backups', 'list', ...NAMED, '--json'], env)).json();
}

/** Restores everything that is listed, from where it is listed; throws where one of them is not what was taken. */
export async function assertRestores(place: Place, rows: number): Promise<Listed> {
  const answer = await listed(place);
  for (const { backupId, destination } of answer.backups)
    await assertRestored(place, rows, ['--from', destination, '--backup', backupId]);
  return answer;
}

/** Restores what is asked for; throws where it is not what was taken. */
export async function assertRestored(place: Place, rows: number, words: readonly string[]): Promise<void> {
  const to = join(place.dir, 'restored.db');
  const ran = await factory(place.dir, ['restore', ...NAMED, ...words, '--to', to], place.env);
  expect([ran.exit, ran.stderr]).toEqual([0, expect.not.stringContaining('Not usable')]);
  const db = new Database(to, { readonly: true });
  expect(db.prepare('select count(*), sum(a + b) from pair').raw().get()).toEqual([rows, 0]);
  db.close();
  rmSync(to);
}

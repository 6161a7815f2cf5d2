/**
 * Commits transfers at a steady rate until its parent is gone. Arguments: the database, commits a second. Says `ready`
 * once, and its figures whenever it is asked.
 */
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { mover } from './ledger.ts';

export interface WriterFigures {
  commits: number;
  /** Of single commits, in ms. */
  p99Ms: number;
  maxMs: number;
  /** The largest that the write-ahead log was. */
  walBytes: number;
}

const [path = '', rate = '100'] = process.argv.slice(2);
const db = new Database(path);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.pragma('busy_timeout = 10000');
const move = mover(db);
let times: number[] = [];
let walBytes = 0;
let on = true;
process.on('disconnect', () => (on = false));
process.on('message', () => {
  const sorted = times.sort((a, b) => a - b);
  const p99Ms = sorted[Math.max(0, Math.ceil(sorted.length * 0.99) - 1)] ?? 0;
  const figures: WriterFigures = { commits: sorted.length, p99Ms, maxMs: sorted.at(-1) ?? 0, walBytes };
  process.send?.(figures);
  times = [];
  walBytes = 0;
});
process.send?.('ready');
const pauseMs = 1000 / Number(rate);
const first = performance.now();
for (let turn = 0; on; turn += 1) {
  // Commits that were held up are made up for: the rate is one of the whole time.
  await sleep(Math.max(0, first + turn * pauseMs - performance.now()));
  const before = performance.now();
  move(turn);
  times.push(performance.now() - before);
  walBytes = Math.max(walBytes, statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0);
}
db.close();

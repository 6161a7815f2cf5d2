import { randomBytes } from 'node:crypto';
import Database from 'better-sqlite3';

/**
 * A database of a given size with content as applications have it: prose and JSON, which zstd makes smaller, beside
 * digests, which nothing does. Its rows belong together: see `isConsistent`.
 */

const WORDS = (
  'the work item was moved to review because all criteria hold and evidence of each run is kept with its digest ' +
  'a person claims it starts it records a decision and hands it over queue lane gate policy token checkpoint leaf ' +
  'backup restore drill manifest recovery release deployment incident owner operator auditor planner reviewer agent'
).split(' ');
const ACCOUNTS = 1_000;
/** Rows in one transaction while the database is filled. */
const BATCH = 20_000;
const SCHEMA = `
  create table account (id integer primary key, balance integer not null);
  create table transfer (id integer primary key, source integer not null, target integer not null, amount integer not null, note text not null);
  create table event (seq integer primary key, stream text not null, version integer not null, at text not null, payload text not null);
  create index event_stream on event (stream, version);
  create table leaf (seq integer primary key references event (seq), salt blob not null, digest blob not null);
`;

/** A sequence of numbers from 0 to `below`, the same for each seed (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function prose(next: (below: number) => number, words: number): string {
  return Array.from({ length: words }, () => WORDS[next(WORDS.length)]).join(' ');
}

/** Fills a new file in WAL mode until it has `bytes`, and a page more at most of a batch. */
export function fillDatabase(path: string, bytes: number): void {
  const db = new Database(path);
  try {
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = OFF');
    db.exec(SCHEMA);
    const next = numbers(7);
    const event = db.prepare('insert into event (stream, version, at, payload) values (?, ?, ?, ?)');
    const leaf = db.prepare('insert into leaf (seq, salt, digest) values (?, ?, ?)');
    const account = db.prepare('insert into account (id, balance) values (?, 0)');
    db.transaction(() => {
      for (let id = 0; id < ACCOUNTS; id += 1) account.run(id);
    })();
    const fill = db.transaction(() => {
      for (let n = 0; n < BATCH; n += 1) {
        const at = new Date(1_700_000_000_000 + next(1e9)).toISOString();
        const note = prose(next, 5 + next(30));
        const payload = JSON.stringify({
          type: 'lane-moved',
          from: 'review',
          to: 'done',
          at,
          note,
          run: next(1e9),
        });
        const { lastInsertRowid } = event.run(`wi-BF-${next(10_000)}`, n, at, payload);
        leaf.run(lastInsertRowid, randomBytes(32), randomBytes(32));
      }
    });
    const size = (): number =>
      Number(db.pragma('page_count', { simple: true })) * Number(db.pragma('page_size', { simple: true }));
    while (size() < bytes) {
      fill();
      db.pragma('wal_checkpoint(TRUNCATE)');
    }
  } finally {
    db.close();
  }
}

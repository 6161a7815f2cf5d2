import { randomBytes } from 'node:crypto';
import Database from 'better-sqlite3';
import { createLedger } from '../test/acceptance/ledger.ts';
import { createRandom } from '../test/acceptance/random.ts';

/**
 * A database of a given size with content as applications have it: prose and JSON, which zstd makes smaller, beside
 * digests, which nothing does; and a ledger, whose rows belong together.
 */

const WORDS = (
  'the work item was moved to review because all criteria hold and evidence of each run is kept with its digest ' +
  'a person claims it starts it records a decision and hands it over queue lane gate policy token checkpoint leaf ' +
  'backup restore drill manifest recovery release deployment incident owner operator auditor planner reviewer agent'
).split(' ');
/** Rows in one transaction while the database is filled. */
const BATCH = 20_000;
/** Of the bytes; what the index adds at the end. */
const INDEX_SHARE = 0.05;

/** Fills a new file in WAL mode until it has about `bytes`. */
export function fillDatabase(path: string, bytes: number): void {
  const db = new Database(path);
  try {
    createLedger(db);
    db.pragma('synchronous = OFF');
    db.exec(
      'create table event (seq integer primary key, stream text not null, version integer not null, payload text not null);' +
        'create table leaf (seq integer primary key references event (seq), salt blob not null, digest blob not null)',
    );
    const { below } = createRandom(7);
    const prose = Array.from({ length: 50_000 }, () => WORDS[below(WORDS.length)]);
    const event = db.prepare('insert into event (stream, version, payload) values (?, ?, ?)');
    const leaf = db.prepare('insert into leaf (seq, salt, digest) values (?, ?, ?)');
    const fill = db.transaction(() => {
      for (let n = 0; n < BATCH; n += 1) {
        const from = below(prose.length - 150);
        const note = prose.slice(from, from + 20 + below(120)).join(' ');
        const at = new Date(1_700_000_000_000 + below(1e9)).toISOString();
        const payload = { type: 'lane-moved', from: 'review', to: 'done', at, note, run: below(1e9) };
        const { lastInsertRowid } = event.run(`wi-BF-${below(10_000)}`, n, JSON.stringify(payload));
        leaf.run(lastInsertRowid, randomBytes(32), randomBytes(32));
      }
    });
    while (sizeOf(db) < bytes * (1 - INDEX_SHARE)) {
      fill();
      db.pragma('wal_checkpoint(TRUNCATE)');
    }
    db.exec('create index event_stream on event (stream, version)');
    db.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
}

/** Changes a share of the pages, as an application does that works on what is recent. */
export function changePages(path: string, share: number): void {
  const db = new Database(path);
  try {
    const [last, bytes] = db
      .prepare('select max(seq), sum(length(payload) + length(stream) + 12) from event')
      .raw()
      .get() as [number, number];
    const part = Math.min(1, (share * sizeOf(db)) / bytes);
    // As long as it was, so that each row stays in its page.
    db.prepare('update event set payload = replace(payload, \'"review"\', \'"queued"\') where seq > ?').run(
      Math.floor(last * (1 - part)),
    );
    db.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
}

function sizeOf(db: Database.Database): number {
  const number = (pragma: string): number => Number(db.pragma(pragma, { simple: true }));
  return number('page_count') * number('page_size');
}

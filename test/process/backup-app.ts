import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import Database from 'better-sqlite3';
import { onTestFinished } from 'vitest';
import { readCatalog } from '../../scripts/lib/backup/catalog.ts';
import { makeBackup } from '../../scripts/lib/backup/make.ts';
import type { BackupResult } from '../../scripts/lib/backup/make.ts';
import type { BackupJob } from '../../scripts/lib/backup/job.ts';
import { pick } from '../../scripts/lib/backup/pick.ts';
import type { Wanted } from '../../scripts/lib/backup/pick.ts';
import { sqliteSource } from '../../scripts/lib/backup/sqlite-source.ts';
import { restoreTo } from '../../scripts/lib/backup/restore.ts';
import type { Destination } from '../../scripts/lib/destinations/destination.ts';
import { folderDestination } from '../../scripts/lib/destinations/folder.ts';

/** An application with a SQLite database, and a place for its backups. */

export const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const signing = generateKeyPairSync('ed25519').privateKey;
const ACCOUNTS = 50;
const TOTAL = ACCOUNTS * 100;

export interface App {
  dir: string;
  database: string;
  db: Database.Database;
  /** Now, in ms; tests move it. */
  clock: { now: number };
  destination: Destination;
  /** Moves money between accounts: the sum stays. */
  transfer(times?: number): void;
  backup(change?: Partial<BackupJob>): Promise<BackupResult>;
  restore(
    wanted?: Wanted,
    change?: { destination?: Destination; identities?: string[]; to?: string },
  ): Promise<string>;
}

export function folderAt(path: string): Destination {
  return folderDestination(pathToFileURL(path).href, path);
}

/** `kept`: who made it takes it away. */
export function newApp({ kept = false }: { kept?: boolean } = {}): App {
  const dir = mkdtempSync(join(tmpdir(), 'factory-backup-'));
  const database = join(dir, 'app.db');
  const db = new Database(database);
  db.pragma('journal_mode = WAL');
  db.exec('create table account (id integer primary key, amount integer not null, note text not null)');
  db.exec('create table transfer (id integer primary key, sum integer not null)');
  const insert = db.prepare('insert into account values (?, 100, ?)');
  for (let id = 1; id <= ACCOUNTS; id += 1) insert.run(id, `account ${id} `.repeat(200));
  const destination = folderAt(join(dir, 'destination'));
  const clock = { now: Date.parse('2026-05-01T00:00:00.000Z') };
  let restores = 0;
  const takeAway = (): void => {
    db.close();
    rmSync(dir, { recursive: true, force: true });
  };
  if (!kept) onTestFinished(takeAway);
  return {
    ...{ dir, database, db, clock, destination },

    transfer(times = 1) {
      const move = db.prepare('update account set amount = amount + ? where id = ?');
      for (let n = 0; n < times; n += 1) {
        db.transaction(() => {
          move.run(-1, 1 + (n % ACCOUNTS));
          move.run(1, 1 + ((n + 7) % ACCOUNTS));
          db.prepare('insert into transfer (sum) select sum(amount) from account').run();
        })();
      }
    },

    backup(change = {}) {
      clock.now += 1000;
      return makeBackup({
        ...{
          name: 'app',
          source: sqliteSource(database),
          destinations: [destination],
          recipients: [recipient],
          signing,
        },
        ...{
          folder: join(dir, 'state'),
          epoch: 0,
          release: null,
          auditCheckpoint: null,
          mark: null,
          full: false,
          waitMs: 0,
        },
        beforeCopy: async () => undefined,
        now: () => clock.now,
        signal: new AbortController().signal,
        say: () => undefined,
        progress: () => undefined,
        ...change,
      });
    },

    async restore(wanted = 'newest', change = {}) {
      const from = change.destination ?? destination;
      const signal = new AbortController().signal;
      const catalog = await readCatalog(from, 'app', { signal });
      const to = change.to ?? join(dir, `restored-${(restores += 1)}.db`);
      mkdirSync(dir, { recursive: true });
      const identities = change.identities ?? [identity];
      const picked = pick(catalog, wanted, clock.now + 1);
      await restoreTo({ ...picked, destination: from, identities, to, signal, progress: () => undefined });
      return to;
    },
  };
}

/** What holds in every committed state, and the number of transfers in this one. */
export function transfersIn(path: string): number {
  const db = new Database(path, { readonly: true });
  try {
    const sum = db.prepare('select sum(amount) from account').pluck().get();
    const wrong = db.prepare('select count(*) from transfer where sum <> ?').pluck().get(TOTAL);
    if (sum !== TOTAL || wrong !== 0)
      throw new Error(`the sum is ${String(sum)}, ${String(wrong)} transfers are wrong`);
    return Number(db.prepare('select count(*) from transfer').pluck().get());
  } finally {
    db.close();
  }
}

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import type { WriterFigures } from './ledger-writer.ts';

/** Accounts and transfers between them: rows that belong together in every committed state, and in no other. */

const ACCOUNTS = 1_000;
export const LEDGER_SCHEMA = `
  create table account (id integer primary key, balance integer not null);
  create table transfer (id integer primary key, source integer not null, target integer not null, amount integer not null, note text not null);
`;

/** Tables and accounts in a new or an existing database, in WAL mode. */
export function createLedger(db: Database.Database): void {
  db.pragma('journal_mode = WAL');
  db.exec(LEDGER_SCHEMA);
  const account = db.prepare('insert into account (id, balance) values (?, 0)');
  db.transaction(() => {
    for (let id = 0; id < ACCOUNTS; id += 1) account.run(id);
  })();
}

/** One commit: three rows of two tables. */
export function mover(db: Database.Database): (turn: number) => void {
  const change = db.prepare('update account set balance = balance + ? where id = ?');
  const note = db.prepare('insert into transfer (source, target, amount, note) values (?, ?, ?, ?)');
  return db.transaction((turn: number) => {
    const [source, target, amount] = [
      (turn * 7919) % ACCOUNTS,
      (turn * 104_729 + 1) % ACCOUNTS,
      1 + (turn % 97),
    ];
    change.run(-amount, source);
    change.run(amount, target);
    note.run(source, target, amount, `transfer ${turn} `.repeat(10));
  });
}

/** Null: the rows of a database belong together; else what does not. */
export function ledgerProblem(path: string): string | null {
  const db = new Database(path, { readonly: true });
  try {
    const wrong = db
      .prepare(
        `select count(*) from account a where balance <>
           coalesce((select sum(amount) from transfer where target = a.id), 0)
         - coalesce((select sum(amount) from transfer where source = a.id), 0)`,
      )
      .pluck();
    const sum = Number(db.prepare('select sum(balance) from account').pluck().get());
    const accounts = Number(db.prepare('select count(*) from account').pluck().get());
    if (accounts !== ACCOUNTS || sum !== 0) return `${accounts} accounts, their sum is ${sum}`;
    const count = Number(wrong.get());
    return count === 0 ? null : `${count} accounts do not have what was transferred`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    db.close();
  }
}

export interface LedgerWriter {
  /** What happened since the last time it was asked. */
  take(): Promise<WriterFigures>;
  stop(): Promise<void>;
}

/** Another process that commits so many times a second. */
export async function startWriter(path: string, perSecond: number): Promise<LedgerWriter> {
  const entry = fileURLToPath(new URL('ledger-writer.ts', import.meta.url));
  const child = fork(entry, [path, String(perSecond)], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await once(child, 'message');
  return {
    async take() {
      child.send('take');
      return ((await once(child, 'message')) as [WriterFigures])[0];
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

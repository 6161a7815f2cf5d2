import { statement } from './statement.ts';
import type { Transaction, Unit, Writer } from './transaction.ts';
import type { SequencedTable } from './tables.ts';

/** Units that share one commit at most; bounds how long one transaction holds the write lock. */
const BATCH = 128;

interface Waiting {
  unit: Unit<unknown>;
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

interface Ran extends Waiting {
  value: unknown;
  callbacks: (() => void)[];
}

const highest = {
  events: statement()((db) => db.selectFrom('events').select((e) => e.fn.max('seq').as('seq'))),
  audit_entries: statement()((db) => db.selectFrom('audit_entries').select((e) => e.fn.max('seq').as('seq'))),
};

/**
 * Collects units that arrive while the event loop turns, runs them one after the other in one transaction, a savepoint
 * each, and answers all of them after one durable commit. Throughput then is not bound to the disk's fsync rate.
 */
export class GroupCommit {
  private readonly writer: Writer;
  private queue: Waiting[] = [];
  private flushing: Promise<void> | null = null;
  private closed = false;

  constructor(writer: Writer) {
    this.writer = writer;
  }

  write<T>(unit: Unit<T>): Promise<T> {
    if (this.closed) return Promise.reject(new Error('storage is closed'));
    return new Promise<T>((resolve, reject) => {
      this.queue.push({ unit, resolve, reject });
      this.flushing ??= new Promise<void>((done) => setImmediate(done)).then(() => this.drain());
    });
  }

  /** Waits for what is queued, then refuses more. */
  async close(): Promise<void> {
    this.closed = true;
    await this.flushing;
  }

  private async drain(): Promise<void> {
    while (this.queue.length > 0) {
      const batch = this.queue.splice(0, BATCH);
      await this.commit(batch);
      // Let answers leave and requests arrive before the next batch.
      await new Promise<void>((done) => setImmediate(done));
    }
    this.flushing = null;
  }

  private async commit(batch: Waiting[]): Promise<void> {
    const ran: Ran[] = [];
    const failed: { waiting: Waiting; reason: unknown }[] = [];
    try {
      await this.writer.begin();
      const sequences = new Map<SequencedTable, number>();
      for (const waiting of batch) {
        const outcome = await this.attempt(waiting, sequences);
        if ('reason' in outcome) failed.push(outcome);
        else ran.push(outcome);
      }
      await this.writer.commit();
    } catch (error) {
      await this.writer.abandon();
      for (const waiting of batch) waiting.reject(error);
      return;
    }
    for (const { waiting, reason } of failed) waiting.reject(reason);
    for (const done of ran) {
      done.resolve(done.value);
      for (const callback of done.callbacks) callback();
    }
  }

  private async attempt(
    waiting: Waiting,
    sequences: Map<SequencedTable, number>,
  ): Promise<Ran | { waiting: Waiting; reason: unknown }> {
    const callbacks: (() => void)[] = [];
    await this.writer.savepoint();
    try {
      const value = await waiting.unit(this.transaction(sequences, callbacks));
      await this.writer.releaseSavepoint();
      return { ...waiting, value, callbacks };
    } catch (reason) {
      await this.writer.rollbackToSavepoint();
      sequences.clear();
      return { waiting, reason };
    }
  }

  private transaction(sequences: Map<SequencedTable, number>, callbacks: (() => void)[]): Transaction {
    const writer = this.writer;
    return {
      all: (statement, params) => writer.all(statement, params),
      get: (statement, params) => writer.get(statement, params),
      query: (build) => writer.query(build),
      run: (statement, params) => writer.run(statement, params),
      afterCommit: (callback) => void callbacks.push(callback),
      nextSeq: async (table) => {
        const last = sequences.get(table) ?? Number((await writer.get(highest[table], {}))?.seq ?? 0);
        sequences.set(table, last + 1);
        return last + 1;
      },
    };
  }
}

import type { Reader, Transaction } from '../../storage/transaction.ts';
import type { Deletion, How, Removed } from '../deletion/deletion.ts';
import type { Counts, Held } from './erasure.ts';
import { isHeld } from '../holds/holds.ts';
import { attachments, holds, quarantine, removal } from '../deletion/store-deletion.ts';
import { ofSubject } from './store-erasures.ts';
import { sessions, type SessionRow } from '../store.ts';

/** Takes away all that is about a subject, in steps that are transactions of bounded size; what is held stays. */

/** Messages that one step deletes. */
const STEP = 2000;

export interface Step {
  /** Class of the session. */
  class: string;
  counts: Partial<Counts>;
  /** Where this session goes on; null: it is done. */
  after: number | null;
}

export interface Eraser {
  /** One step of one session; null: it is not there any more. */
  step(tx: Transaction, subject: number, session: number, after: number, how: How): Promise<Step | null>;
  /** All steps of all sessions in the caller's transaction. */
  sweep(tx: Transaction, subject: number, how: How): Promise<void>;
  /** What holds keep of a subject. */
  held(reader: Reader, subject: number): Promise<Held>;
}

const PAGE = 200;
const NONE: Removed = { messages: 0, bytes: 0, held: 0, session: false };

/** Content of a subject in a session beside messages. */
interface Beside {
  files: number;
  waiting: number;
}
const NOTHING_BESIDE: Beside = { files: 0, waiting: 0 };

export function createEraser(deletion: Deletion, projectId: string): Eraser {
  async function step(
    tx: Transaction,
    subject: number,
    session: number,
    after: number,
    how: How,
  ): Promise<Step | null> {
    const row = await tx.get(sessions.byNumber, { number: session });
    if (!row || row.deleted_at !== null) return null;
    const before = await besideOf(tx, session, subject);
    const { closed, after: on, ...counts } = await take(tx, row, subject, after, how);
    const left = closed ? NOTHING_BESIDE : await besideOf(tx, session, subject);
    return {
      class: row.class,
      counts: {
        ...counts,
        attachments: before.files - left.files,
        quarantined: before.waiting - left.waiting,
        sessions: closed ? 1 : 0,
      },
      after: on,
    };
  }

  async function take(tx: Transaction, row: SessionRow, subject: number, after: number, how: How) {
    const of = { subject, session: row.number };
    const end = await tx.get(ofSubject.end, { ...of, after, skip: STEP - 1 });
    const mine = (message: { subject: number | null }): boolean => message.subject === subject;
    if (end) {
      const gone = await deletion.messages(tx, row, mine, how, { from: after + 1, to: end.seq });
      return { messages: gone.messages, bytes: gone.bytes, titles: 0, closed: false, after: end.seq };
    }
    const titled = row.title !== null && row.subject === subject;
    let whole: Removed = NONE;
    if (!(await isShared(tx, row, subject))) whole = await deletion.session(tx, row, how);
    const { messages, bytes } = whole;
    if (whole.session) return { messages, bytes, titles: titled ? 1 : 0, closed: true, after: null };
    const now = async (): Promise<SessionRow> => (await tx.get(sessions.byNumber, { number: row.number }))!;
    const between = { from: after + 1, to: Math.max(row.last_seq, after + 1) };
    const gone = await deletion.messages(tx, await now(), mine, how, between);
    await deletion.files(tx, await now(), mine, how);
    await deletion.quarantine(tx, await now(), mine, how);
    const closed = (await isEmpty(tx, row)) && (await deletion.session(tx, await now(), how)).session;
    const untitled = titled && (closed || (await deletion.title(tx, await now(), how)).held === 0);
    return {
      ...{ messages: messages + gone.messages, bytes: bytes + gone.bytes },
      ...{ titles: untitled ? 1 : 0, closed, after: null },
    };
  }

  async function besideOf(reader: Reader, session: number, subject: number): Promise<Beside> {
    const files = await reader.all(attachments.ofSession, { session });
    const waiting = await reader.all(quarantine.ofSession, { session });
    const mine = (one: { subject: number }): boolean => one.subject === subject;
    return { files: files.filter(mine).length, waiting: waiting.filter(mine).length };
  }

  /** Whether anything in it is about somebody else. */
  async function isShared(reader: Reader, row: SessionRow, subject: number): Promise<boolean> {
    const of = { session: row.number };
    const shares = await reader.all(ofSubject.shares, of);
    const files = await reader.all(attachments.ofSession, of);
    const waiting = await reader.all(quarantine.ofSession, of);
    return [...shares, ...files, ...waiting].some((one) => one.subject !== subject);
  }

  async function isEmpty(reader: Reader, row: SessionRow): Promise<boolean> {
    const of = { session: row.number };
    if ((await reader.all(ofSubject.shares, of)).length > 0) return false;
    if ((await reader.all(attachments.ofSession, of)).length > 0) return false;
    return (await reader.all(quarantine.ofSession, of)).length === 0;
  }

  /** What is still there of a subject; after a sweep that is what holds keep. */
  async function leftIn(reader: Reader, row: SessionRow, subject: number) {
    const of = { session: row.number };
    const [files, waiting, live] = [
      await reader.all(attachments.ofSession, of),
      await reader.all(quarantine.ofSession, of),
      await reader.all(removal.live, of),
    ];
    const mine = [live, files, waiting].map((all: { subject: number | null; created_at: string }[]) =>
      all.filter((one) => one.subject === subject),
    );
    const own = row.subject === subject;
    const stays = own && (row.title !== null || live.length + files.length + waiting.length === 0);
    return { mine, row: stays ? row : null };
  }

  async function held(reader: Reader, subject: number): Promise<Held> {
    const inForce = await reader.all(holds.inForce, { project_id: projectId });
    const found: Held = { messages: 0, attachments: 0, quarantined: 0, sessions: 0, holds: [] };
    const ids = new Set<string>();
    for await (const row of sessionsOf(reader, subject)) {
      const { mine, row: own } = await leftIn(reader, row, subject);
      const [messages = [], files = [], waiting = []] = mine;
      found.messages += messages.length;
      found.attachments += files.length;
      found.quarantined += waiting.length;
      found.sessions += own ? 1 : 0;
      for (const one of [...messages, ...files, ...waiting, ...(own ? [own] : [])])
        for (const hold of inForce)
          if (isHeld([hold], { ...one, session: row.number, class: row.class, createdAt: one.created_at }))
            ids.add(hold.id);
    }
    return { ...found, holds: [...ids].sort() };
  }

  return {
    step,
    held,
    async sweep(tx, subject, how) {
      for await (const { number } of sessionsOf(tx, subject))
        for (let after: number | null = 0; after !== null;)
          after = (await step(tx, subject, number, after, how))?.after ?? null;
    },
  };
}

/** Every session in which anything is about a subject, in the order of their numbers. */
export async function* sessionsOf(reader: Reader, subject: number): AsyncGenerator<SessionRow> {
  for (let after = 0; ;) {
    const page = await reader.all(ofSubject.sessions, { subject, after, limit: PAGE });
    for (const { session } of page) {
      const row = await reader.get(sessions.byNumber, { number: session });
      if (row && row.deleted_at === null) yield row;
    }
    if (page.length < PAGE) return;
    after = page.at(-1)!.session;
  }
}

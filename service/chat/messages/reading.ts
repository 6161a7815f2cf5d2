import type { Reader } from '../../storage/transaction.ts';
import { messageId, readableParts, seqOf } from './content.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import type { Finding as Finder } from './finding.ts';
import { findingsOf } from './findings.ts';
import { gapsOf, type Gap } from './gaps.ts';
import { noMessage } from '../refusals.ts';
import { messages, type MessageRow, type SessionRow } from '../store.ts';
import type { MessageRole, MessageView } from '../types.ts';

/** Reading messages. Each reading is an entry of the audit log, once a minute for the same reader and session. */

export interface MessageQuery {
  /** Messages after this place. */
  after?: number | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

export interface MessagePage {
  messages: MessageView[];
  /** Places of the page whose messages are gone. */
  gone: Gap[];
  nextCursor: string | null;
}

export interface Reading {
  /** The session, to read content of it; that is recorded. Errors: `not-found`, `gone`. */
  open(caller: Caller, session: string): Promise<SessionRow>;
  /** Records that content of these was shown, as `open` does for one. */
  shown(caller: Caller, sessions: readonly string[]): Promise<void>;
  /** The newest place. No content, so nothing is recorded. Errors: `not-found`, `gone`. */
  lastSeq(caller: Caller, session: string): Promise<number>;
  /** In the order of `seq`. Errors: `not-found`, `gone`, `cursor-unknown`. */
  page(caller: Caller, session: string, query: MessageQuery): Promise<MessagePage>;
  /** The newest ones, or those before a place; newest last. */
  newest(
    caller: Caller,
    session: string,
    query: { before?: number | undefined; limit: number },
  ): Promise<MessageView[]>;
  /** Errors: `not-found`, `gone`. */
  message(caller: Caller, session: string, id: string): Promise<MessageView>;
}

const PAGE = 50;
/** One entry says that somebody reads a session now; a page that is open asks every few seconds. */
const ENTRY_EVERY_MS = 60_000;

export function createReading(deps: ChatDependencies, find: Finder): Reading {
  const { storage, clock, cursors, directory, keys } = deps;
  const recordReading = createReadRecords(deps);

  async function viewOf(reader: Reader, session: SessionRow, row: MessageRow): Promise<MessageView> {
    const findings = findingsOf(row.findings);
    return {
      ...{ id: messageId(session.id, row.seq), seq: row.seq, role: row.role as MessageRole },
      ...readableParts(keys, session.id, row),
      subjectId: (await directory.shownName(reader, row.subject ?? session.subject)) ?? '',
      author: await directory.authorAt(reader, row.author),
      createdAt: row.created_at,
      ...(findings.length > 0 ? { findings } : {}),
    };
  }

  const viewsOf = (session: SessionRow, rows: MessageRow[]): Promise<MessageView[]> =>
    Promise.all(rows.map((row) => viewOf(storage.read, session, row)));

  async function open(caller: Caller, id: string): Promise<SessionRow> {
    const row = await find.session(storage.read, caller, id, 'read');
    await recordReading(caller, [id], clock.now());
    return row;
  }

  return {
    open,
    shown: (caller, shown) => recordReading(caller, shown, clock.now()),
    lastSeq: async (caller, id) => (await find.session(storage.read, caller, id, 'read')).last_seq,

    async page(caller, id, { after, cursor, limit = PAGE }) {
      const session = await open(caller, id);
      const kind = `messages ${id}`;
      const from = cursor === undefined ? (after ?? 0) : Number(cursors.decode(kind, cursor));
      const rows = await storage.read.all(messages.after, {
        session: session.number,
        after: from,
        limit: limit + 1,
      });
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      const end = last?.seq ?? Math.max(session.last_seq, page.at(-1)?.seq ?? 0);
      return {
        messages: await viewsOf(session, page),
        gone: gapsOf(page, from, end),
        nextCursor: last ? cursors.encode(kind, last.seq) : null,
      };
    },

    async newest(caller, id, { before = Number.MAX_SAFE_INTEGER, limit }) {
      const session = await open(caller, id);
      const rows = await storage.read.all(messages.before, { session: session.number, before, limit });
      return viewsOf(session, rows.reverse());
    },

    async message(caller, id, message) {
      const session = await open(caller, id);
      const seq = seqOf(id, message);
      const row = seq && (await storage.read.get(messages.bySeq, { session: session.number, seq }));
      if (!row) throw noMessage(message);
      if (row.deleted_at !== null || row.binned_at !== null)
        throw await find.gone('message', message, { ...row, class: session.class });
      return viewOf(storage.read, session, row);
    },
  };
}

function createReadRecords({ storage, audit, projectId }: ChatDependencies) {
  const told = new Map<string, number>();
  return async function record(caller: Caller, sessions: readonly string[], now: number): Promise<void> {
    const keyOf = (session: string): string => `${caller.kind} ${caller.id} ${session}`;
    const untold = sessions.filter((session) => {
      const last = told.get(keyOf(session));
      // A clock that was set back tells again.
      return last === undefined || Math.abs(now - last) >= ENTRY_EVERY_MS;
    });
    if (untold.length === 0) return;
    await storage.write(async (tx) => {
      for (const id of untold)
        await audit.append(tx, {
          ...{ project: projectId, actor: { kind: caller.kind, id: caller.id }, action: 'session.read' },
          ...{ object: { kind: 'session', id }, outcome: 'applied' },
        });
    });
    for (const [other, at] of told) if (Math.abs(now - at) >= ENTRY_EVERY_MS) told.delete(other);
    for (const session of untold) told.set(keyOf(session), now);
  };
}

import { openTitle, partsText } from '../messages/content.ts';
import { shownBytes, type AttachmentFiles } from '../attachments/attachment-files.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import type { Directory } from '../messages/directory.ts';
import type { Finding as Finder } from '../messages/finding.ts';
import { findingsOf } from '../messages/findings.ts';
import { noSession } from '../refusals.ts';
import { attachments, type AttachmentRow } from '../attachments/store-attachments.ts';
import { places } from './store-transfer.ts';
import { sessions, type MessageRow, type SessionRow } from '../store.ts';
import { attachmentLine, authorText, DATA_BYTES, dataLine, endLine } from './transfer.ts';
import { messageLine, sessionLine, tombstoneLine } from './transfer.ts';
import type { Reader } from '../../storage/transaction.ts';
import type { Cause, MessageRole } from '../types.ts';

/** Sessions as text, page by page: what is held in memory does not grow with them. */

export interface Page {
  rows: MessageRow[];
  attachments: AttachmentRow[];
}

/** What lies in the bin does not go anywhere else. */
const shown = (row: MessageRow): MessageRow =>
  row.tool_binned_at === null ? row : { ...row, tool_output: null };

export interface Export {
  /** Finds the session and records that it is exported. Errors: `not-found`, `gone`; `content-key-gone`, `subject-key-gone`: not all of it can be read. */
  open(caller: Caller, id: string): Promise<SessionRow>;
  /** Pages in the order of `seq`, up to the place that was the last when it began. Errors: `gone` where it goes meanwhile. */
  pages(row: SessionRow): AsyncGenerator<Page>;
  /** Lines of `transfer.ts`, several at once, each ended. `data` false: without the content of files. */
  jsonl(row: SessionRow, options?: { data?: boolean }): AsyncGenerator<string>;
}

/** Rows that are looked at, and content that is read, at once. */
const ROWS = 500;
const BYTES = 2 * 1024 * 1024;

export function createExport(deps: ChatDependencies, files: AttachmentFiles, find: Finder): Export {
  const { storage, audit, directory, keys, projectId } = deps;

  async function open(caller: Caller, id: string): Promise<SessionRow> {
    const row = await find.session(storage.read, caller, id, 'read');
    await assertReadable(row);
    await storage.write((tx) =>
      audit.append(tx, {
        ...{ project: projectId, actor: { kind: caller.kind, id: caller.id }, action: 'session.export' },
        ...{ object: { kind: 'session', id }, outcome: 'applied' },
      }),
    );
    return row;
  }

  /** Beforehand: an answer that has begun can say no more than that it broke off. */
  async function assertReadable({ number, subject, title, key_id }: SessionRow): Promise<void> {
    await directory.nameOrNull(storage.read, subject);
    if (title !== null) keys.byId(key_id);
    for (const sealed of await storage.read.all(places.keys, { session: number })) keys.byId(sealed.key_id);
  }

  /** So far that what is read stays small, whatever lies there. */
  async function nextEnd(session: number, after: number, last: number): Promise<number> {
    const next = await storage.read.all(places.sizes, { session, after, last, limit: ROWS });
    let [end, bytes] = [after, 0];
    for (const one of next) {
      bytes += one.bytes;
      if (end > after && bytes > BYTES) break;
      end = one.seq;
    }
    return end;
  }

  async function* pages({ id, number: session, last_seq: last }: SessionRow): AsyncGenerator<Page> {
    for (let after = 0; after < last;) {
      const to = await nextEnd(session, after, last);
      const now = await storage.read.get(sessions.byId, { project_id: projectId, id });
      if (to === after || now?.deleted_at !== null || now.binned_at !== null) throw noSession(id);
      const rows = (await storage.read.all(places.between, { session, from: after + 1, to })).map(shown);
      yield {
        rows,
        attachments: await storage.read.all(attachments.between, { session, from: after + 1, to }),
      };
      after = to;
    }
  }

  async function subjectOf(row: SessionRow): Promise<string | null> {
    const name = await directory.nameOrNull(storage.read, row.subject);
    return name === '' ? null : name;
  }

  async function headOf(row: SessionRow): Promise<string> {
    return sessionLine({
      ...{ id: row.id, class: row.class, itemId: row.item_id, subjectId: await subjectOf(row) },
      title: row.title && openTitle(keys.byId(row.key_id), row.id, row.row_version, row.title),
      author: await directory.authorAt(storage.read, row.foreign_author ?? row.author),
      ...{ version: row.version, createdAt: row.created_at, updatedAt: row.updated_at },
    });
  }

  async function* file(id: string, row: AttachmentRow, withData: boolean): AsyncGenerator<string> {
    const about = files.aboutOf(id, row);
    const { name, mediaType, sha256 } = about;
    const head = attachmentLine({
      ...{ id: row.id, seq: row.message ?? 0, name, mediaType, sha256 },
      bytes: shownBytes(about, row.bytes),
      subjectId: await directory.nameOf(storage.read, row.subject),
      author: await directory.authorAt(storage.read, row.author),
      createdAt: row.created_at,
    });
    yield `${head}\n`;
    if (!withData) return;
    let rest = Buffer.alloc(0);
    for await (const bytes of files.contentOf(row.blob, about)) {
      rest = Buffer.concat([rest, bytes]);
      for (; rest.length >= DATA_BYTES; rest = rest.subarray(DATA_BYTES))
        yield `${dataLine(rest.subarray(0, DATA_BYTES))}\n`;
    }
    if (rest.length > 0) yield `${dataLine(rest)}\n`;
  }

  async function lineOf(session: SessionRow, row: MessageRow, known: Texts): Promise<string> {
    const gone = row.deleted_at ?? row.binned_at;
    if (gone !== null)
      return tombstoneLine({
        ...{ seq: row.seq, role: row.role as MessageRole, createdAt: row.created_at, deletedAt: gone },
        author: await directory.authorAt(storage.read, row.author),
        deletedBy: (row.deleted_by ?? 'retention') as Cause,
      });
    return messageLine({
      ...{ seq: row.seq, role: row.role, createdAt: row.created_at },
      parts: partsText(keys, session.id, row),
      subject: await known.subject(row.subject ?? session.subject),
      author: await known.author(row.author),
      findings: findingsOf(row.findings),
    });
  }

  return {
    open,
    pages,
    async *jsonl(session, { data = true } = {}) {
      const known = textsOf(directory, storage.read);
      const counts = { messages: 0, attachments: 0 };
      yield `${await headOf(session)}\n`;
      for await (const page of pages(session)) {
        const waiting = [...page.attachments];
        let text = '';
        for (const row of page.rows) {
          for (; waiting[0]?.message === row.seq; waiting.shift(), counts.attachments += 1) {
            if (text !== '') yield text;
            text = '';
            yield* file(session.id, waiting[0], data);
          }
          text += `${await lineOf(session, row, known)}\n`;
          if (row.deleted_at === null && row.binned_at === null) counts.messages += 1;
        }
        yield text;
      }
      yield `${endLine({ ...counts, lastSeq: session.last_seq })}\n`;
    },
  };
}

/** Names and authors as text, of one export. */
function textsOf(directory: Directory, reader: Reader) {
  const authors = new Map<number, string>();
  const subjects = new Map<number, string>();
  return {
    async author(number: number): Promise<string> {
      const text = authors.get(number) ?? authorText(await directory.authorAt(reader, number));
      authors.set(number, text);
      return text;
    },
    async subject(number: number): Promise<string> {
      const text = subjects.get(number) ?? JSON.stringify(await directory.nameOf(reader, number));
      if (subjects.size > ROWS) subjects.clear();
      subjects.set(number, text);
      return text;
    },
  };
}

type Texts = ReturnType<typeof textsOf>;

import { FactoryError } from '../../errors.ts';
import type { Reader } from '../../storage/transaction.ts';
import { messageId, readableParts, titleOrNull } from '../messages/content.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import { subjectErased } from '../messages/directory.ts';
import { sessionsOf } from './erase.ts';
import { noSubject } from './erasures.ts';
import { openAbout, shownBytes } from '../attachments/attachment-files.ts';
import type { AttachmentRow } from '../attachments/store-attachments.ts';
import { quarantine } from '../deletion/store-deletion.ts';
import { countLostSubjects } from './lost-subjects.ts';
import { ofSubject } from './store-erasures.ts';
import type { SessionRow } from '../store.ts';

/**
 * Everything that is there about a subject, line by line: what an erasure would take away, found by the same selector. A
 * line is a JSON document with `type` subject, session, message, attachment, quarantined, or, at its end, `end`.
 */

const PAGE = 200;

export interface Line {
  type: 'subject' | 'session' | 'message' | 'attachment' | 'quarantined' | 'end';
  [member: string]: unknown;
}

export interface SubjectReport {
  /** The reading is recorded before the first line. Errors: `not-found`, `subject-erased`. */
  open(caller: Caller, name: string): Promise<AsyncGenerator<Line>>;
}

export function createSubjectReport(deps: ChatDependencies): SubjectReport {
  const { storage, audit, projectId, directory, keys } = deps;
  const reader: Reader = storage.read;

  async function* lines(name: string, subject: { id: string; number: number }): AsyncGenerator<Line> {
    yield { type: 'subject', subjectId: name, subject: subject.id };
    const counts = { sessions: 0, messages: 0, attachments: 0, quarantined: 0 };
    for await (const row of sessionsOf(reader, subject.number)) {
      counts.sessions += 1;
      for await (const line of ofSession(row, subject.number)) {
        if (line.type === 'message') counts.messages += 1;
        if (line.type === 'attachment') counts.attachments += 1;
        if (line.type === 'quarantined') counts.quarantined += 1;
        yield line;
      }
    }
    yield { type: 'end', ...counts };
  }

  async function* ofSession(row: SessionRow, subject: number): AsyncGenerator<Line> {
    const own = row.subject === subject;
    const title = own && row.title ? titleOrNull(keys, { ...row, title: row.title }) : null;
    const times = { createdAt: row.created_at, updatedAt: row.updated_at };
    yield { type: 'session', id: row.id, class: row.class, own, title, ...times };
    yield* messagesOf(row, subject);
    for (const file of await reader.all(ofSubject.attachments, { session: row.number, subject }))
      yield attachmentLine(row.id, file);
    for (const one of await reader.all(quarantine.ofSession, { session: row.number }))
      if (one.subject === subject)
        yield { type: 'quarantined', id: one.id, session: row.id, createdAt: one.created_at };
  }

  /** `bytes` and `sha256` are of what its path answers: while it waits in quarantine, of what stands for it. */
  function attachmentLine(session: string, file: AttachmentRow): Line {
    const { id, created_at: createdAt } = file;
    const message = file.message === null ? null : messageId(session, file.message);
    const about = readable(() => openAbout(keys, session, file));
    const { name, mediaType, sha256 } = about ?? { name: null, mediaType: null, sha256: null };
    const bytes = about === null ? file.bytes : shownBytes(about, file.bytes);
    // What lies in the bin is not to be had.
    const path = file.binned_at === null ? `/api/sessions/${session}/attachments/${id}` : null;
    return {
      ...{ type: 'attachment', id, session, message, name, mediaType, sha256, bytes, path, createdAt },
      ...(about === null ? { unreadable: true } : {}),
    };
  }

  async function* messagesOf(row: SessionRow, subject: number): AsyncGenerator<Line> {
    for (let after = 0; ;) {
      const page = await reader.all(ofSubject.messages, { subject, session: row.number, after, limit: PAGE });
      for (const message of page)
        yield {
          ...{ type: 'message', id: messageId(row.id, message.seq), session: row.id, seq: message.seq },
          role: message.role,
          ...readableParts(keys, row.id, { ...message, tool_binned_at: null }),
          author: await directory.authorAt(reader, message.author),
          createdAt: message.created_at,
        };
      if (page.length < PAGE) return;
      after = page.at(-1)!.seq;
    }
  }

  return {
    async open(caller, name) {
      const subject = await directory.findSubject(reader, name);
      if (!subject) throw noSubject(await countLostSubjects(reader, deps));
      if (subject.state === 'erased') throw subjectErased();
      await storage.write((tx) =>
        audit.append(tx, {
          ...{ project: projectId, actor: { kind: caller.kind, id: caller.id } },
          ...{ action: 'governance.subject-report', object: { kind: 'subject', id: subject.id } },
          outcome: 'applied',
        }),
      );
      return lines(name, subject);
    },
  };
}

/** Null: its key is gone. It does not keep back what can be read. */
function readable<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof FactoryError && error.code === 'content-key-gone') return null;
    throw error;
  }
}

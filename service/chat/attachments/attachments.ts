import { recordChange } from '../../audit/events.ts';
import { FactoryError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Transaction } from '../../storage/transaction.ts';
import { shownBytes, standInFor } from './attachment-files.ts';
import type { About, AttachmentFiles, NewFile, Stored } from './attachment-files.ts';
import { actorOf, type Caller, type ChatDependencies } from '../dependencies.ts';
import { isKeyGone } from '../keys/keys.ts';
import { subjectErased, type Subject } from '../messages/directory.ts';
import type { Finding } from '../messages/finding.ts';
import type { Policies } from '../policies.ts';
import { moveOriginal, withhold } from '../quarantine/withheld.ts';
import { assertNoSecretIn } from '../sensitive/screen.ts';
import { screenFile, type ScreenedFile } from '../sensitive/screen-file.ts';
import { FILE } from '../quarantine/store-quarantine.ts';
import { attachments, type AttachmentRow } from './store-attachments.ts';
import { messages, type SessionRow } from '../store.ts';
import type { AddedAttachment, Attachment, Part } from '../types.ts';

/** Files of sessions: sent, read, and tied to the one message that names them. */

export interface NewAttachment extends NewFile {
  /** Whom it is about; absent: as its session. */
  subjectId?: string | undefined;
}

export interface OpenAttachment {
  about: Attachment;
  /** Verified chunk by chunk. Errors: `content-missing`, `content-unreadable`. */
  content: AsyncIterable<Buffer>;
}

/** A file as its message shows it. */
export interface ShownFile {
  /** Null: it has none, or it is held back with what it says. */
  name: string | null;
  /** In quarantine. */
  waits: boolean;
}

export interface Attachments {
  /** Errors: `not-found`, `gone`, `digest-mismatch`, `subject-erased`, `sensitive-data-blocked`, and those of the content. */
  add(
    caller: Caller,
    session: string,
    input: NewAttachment,
    content: AsyncIterable<Buffer>,
  ): Promise<AddedAttachment>;
  /** Errors: `not-found`, `gone`. */
  open(caller: Caller, session: string, id: string): Promise<OpenAttachment>;
  /** What is said of the files of messages, by their ids; of one whose key is gone nothing is. Errors: `not-found`, `gone`. */
  ofMessages(
    caller: Caller,
    session: string,
    seqs: { from: number; to: number },
  ): Promise<ReadonlyMap<string, ShownFile>>;
  /** Ties the files that parts name to their message. Errors: `input-refused`. */
  bind(
    tx: Transaction,
    session: SessionRow,
    message: { seq: number; subject: Subject; parts: readonly Part[] },
  ): Promise<void>;
}

export function createAttachments(
  deps: ChatDependencies,
  files: AttachmentFiles,
  find: Finding,
  policies: Pick<Policies, 'ofClass'>,
  read: { open(caller: Caller, id: string): Promise<SessionRow> },
): Attachments {
  const { storage, audit, clock, directory, keys, projectId } = deps;

  async function subjectOf(row: SessionRow, subjectId: string | undefined): Promise<Subject> {
    if (subjectId === undefined) return directory.writable(storage.read, row.subject);
    const known = await directory.findSubject(storage.read, subjectId);
    if (known && known.state !== 'active') throw subjectErased();
    return known ?? storage.write((tx) => directory.subject(tx, subjectId));
  }

  /** Alone, or with the message that names it. */
  async function isInBin(session: SessionRow, { binned_at, message }: AttachmentRow): Promise<boolean> {
    if (binned_at !== null || message === null) return binned_at !== null;
    const named = await storage.read.get(messages.bySeq, { session: session.number, seq: message });
    return named?.binned_at !== null;
  }

  async function putDown(
    tx: Transaction,
    caller: Caller,
    sessionId: string,
    { stored, findings }: { stored: Stored; findings: ReturnType<ScreenedFile['heldBy']> },
  ) {
    const standIn = findings && standInFor(findings);
    const session = await find.session(tx, caller, sessionId, 'write');
    const { subject } = stored;
    await directory.writable(tx, subject.number);
    const [id, at] = [newId(), clock.iso()];
    const author = await directory.author(tx, caller);
    await files.putDown(tx, stored, { id, author, at, message: null, session }, standIn);
    await recordChange(tx, audit, {
      ...{ projectId, stream: 'session', streamId: session.id, version: session.version },
      ...{ type: 'attachment-added', action: 'session.attach', at },
      payload: { attachment: id, bytes: stored.bytes, subject: subject.id },
      actor: actorOf(caller),
    });
    if (findings === null || standIn === null) return viewOf(id, stored.bytes, stored.about, at);
    const quarantineId = await withhold(deps, tx, {
      ...{ session, seq: FILE, id, subject, author, at, findings },
      ...{ original: { file: stored.about }, by: actorOf(caller) },
    });
    // Its sender compares the digest with that of what was sent.
    const sent = viewOf(id, stored.bytes, { ...stored.about, name: standIn.name }, at);
    return { ...sent, findings, quarantineId };
  }

  return {
    async add(caller, sessionId, input, content) {
      const session = await find.session(storage.read, caller, sessionId, 'write');
      const { sensitive } = await policies.ofClass(session.class);
      assertNoSecretIn(input.subjectId, sensitive);
      const owner = await subjectOf(session, input.subjectId);
      const looked = screenFile(sensitive, input, content);
      const file = { ...input, name: looked.name, apart: () => looked.heldBy() !== null };
      const kept = files.store(owner, file, looked.content, (stored) =>
        storage.write((tx) => putDown(tx, caller, sessionId, { stored, findings: looked.heldBy() })),
      );
      return kept.catch(async (error: unknown) => {
        // While it was sent, it can have been erased, and its key with it.
        if (error instanceof FactoryError && error.code === 'subject-key-gone')
          await directory.writable(storage.read, owner.number);
        throw error;
      });
    },

    async open(caller, sessionId, id) {
      const session = await read.open(caller, sessionId);
      const row = await storage.read.get(attachments.byId, { session: session.number, id });
      if (!row || (await isInBin(session, row))) throw noAttachment(id);
      const about = files.aboutOf(session.id, row);
      return {
        about: viewOf(id, shownBytes(about, row.bytes), about, row.created_at),
        content: files.contentOf(row.blob, about),
      };
    },

    async ofMessages(caller, sessionId, { from, to }) {
      const session = await find.session(storage.read, caller, sessionId, 'read');
      const rows = await storage.read.all(attachments.between, { session: session.number, from, to });
      const shown = new Map<string, ShownFile>();
      for (const row of rows) {
        try {
          const { name, standIn } = files.aboutOf(session.id, row);
          const waits = standIn !== undefined;
          shown.set(row.id, { name: waits ? null : name, waits });
        } catch (error) {
          if (!isKeyGone(error)) throw error;
        }
      }
      return shown;
    },

    async bind(tx, session, { seq, subject, parts }) {
      for (const [index, part] of parts.entries()) {
        if (part.type !== 'attachment') continue;
        const { attachmentId: id } = part;
        const row = await tx.get(attachments.byId, { session: session.number, id });
        if (!row) throw unusable(index, id, 'is not in this session');
        if (row.message !== null) throw unusable(index, id, 'belongs to another message already');
        const sealed =
          row.subject === subject.number
            ? { key_id: row.key_id, row_version: row.row_version, about: row.about ?? Buffer.alloc(0) }
            : files.sealAgain(session.id, row, keys.current(session.id, subject.id));
        if (row.subject !== subject.number) await moveOriginal(deps, tx, session, id, subject);
        await tx.run(attachments.bind, {
          ...{ number: row.number, message: seq, subject: subject.number },
          ...sealed,
        });
      }
    },
  };
}

function viewOf(
  id: string,
  bytes: number,
  { sha256, mediaType, name }: About,
  createdAt: string,
): Attachment {
  return { id, bytes, sha256, mediaType, name, createdAt };
}

function noAttachment(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'find attachment', target },
    message: `There is no attachment ${target} in this session.`,
    hint: 'The messages of the session name its attachments; one that no message names is kept for a day.',
  });
}

function unusable(index: number, id: string, why: string): FactoryError {
  const path = `parts.${index}.attachmentId`;
  return new FactoryError({
    ...{ code: 'input-refused', op: 'append message', target: path },
    message: `The attachment ${id} ${why}.`,
    hint: 'Send the file to POST /api/sessions/{id}/attachments and name the id that it answers; equal content is stored once.',
    details: { problems: [{ path, message: `It ${why}.` }] },
  });
}

import type { KeyObject } from 'node:crypto';
import { recordChange } from '../../audit/events.ts';
import type { Transaction } from '../../storage/transaction.ts';
import { standInFor, type AttachmentFiles } from '../attachments/attachment-files.ts';
import { encodeParts, sealParts, sealTitle, sizeOf } from '../messages/content.ts';
import { actorOf, type Caller, type ChatDependencies } from '../dependencies.ts';
import type { Subject } from '../messages/directory.ts';
import { findingsText } from '../messages/findings.ts';
import { conflict, inFlight } from './import-refusals.ts';
import { importNames, type ImportNames } from './import-names.ts';
import { gone } from '../refusals.ts';
import type { Screened, ScreenedText } from '../sensitive/screen.ts';
import type { ScreenedFile } from '../sensitive/screen-file.ts';
import { attachments } from '../attachments/store-attachments.ts';
import { FILE } from '../quarantine/store-quarantine.ts';
import { stage } from './store-transfer.ts';
import { messages, sessions } from '../store.ts';
import type { AttachmentLine, MessageLine, SessionLine, TombstoneLine } from './transfer.ts';
import type { Part } from '../types.ts';
import { withhold } from '../quarantine/withheld.ts';

/**
 * Where a session lies while it is imported: under an id that nobody asks for, and gone for everybody. One last transaction
 * gives it its own id; whatever ends before that leaves nothing.
 */

/** A message that was looked through for sensitive data; what is found stays, and its keyed digests. */
export type ScreenedLine = MessageLine & Pick<Screened, 'digests' | 'original'> & { sent: MessageLine };

export interface Stage {
  add(one: ScreenedLine | TombstoneLine): Promise<void>;
  attach(line: AttachmentLine, looked: ScreenedFile): Promise<void>;
  /** All of it is there when this resolves. Errors: `import-conflict`, `gone`, `subject-erased`. */
  finish(): Promise<void>;
  /** Takes away what was written. */
  abandon(): Promise<void>;
}

export interface StageHead extends SessionLine {
  /** Whether those who wrote belong to another installation; else the caller wrote all of it. */
  foreign: boolean;
  /** What was found in its title; null: it has none. */
  looked: ScreenedText | null;
}

/** Messages of one transaction: it holds up every other writer. */
const ROWS = 200;
const BYTES = 4 * 1024 * 1024;
const stagedId = (id: string): string => `import ${id}`;

type Row = ScreenedLine | TombstoneLine;

interface Begun {
  /** Of its row. */
  number: number;
  subject: Subject;
  author: number;
}

export interface Stages {
  /** Errors: `import-conflict`, `gone`, `in-flight`, `subject-erased`. */
  begin(caller: Caller, head: StageHead): Promise<Stage>;
  /** Takes away what a crash left; before anything is served. */
  clear(): Promise<void>;
}

export function createStages(deps: ChatDependencies, files: AttachmentFiles): Stages {
  const { storage, clock, directory, keys, projectId } = deps;

  async function remove(number: number, id: string): Promise<void> {
    const blobs = (await storage.read.all(stage.blobs, { session: number })).map(({ blob }) => blob);
    await storage.write(async (tx) => {
      for (const table of ['chat_messages', 'chat_attachments', 'chat_quarantine'] as const)
        await tx.run(stage.clear[table], { session: number });
      await tx.run(stage.remove, { number });
    });
    // Keys of a session that came to be meanwhile stay.
    if (!(await storage.read.get(sessions.byId, { project_id: projectId, id }))) keys.forgetSession(id);
    await files.removeUnused(blobs);
  }

  async function begin(tx: Transaction, caller: Caller, { id, subjectId }: StageHead): Promise<Begun> {
    await assertFree(tx, projectId, id);
    if (await tx.get(sessions.byId, { project_id: projectId, id: stagedId(id) })) throw inFlight(id);
    const subject = await directory.subject(tx, subjectId ?? '');
    const author = await directory.author(tx, caller);
    const made = await tx.get(stage.begin, {
      ...{ project_id: projectId, id: stagedId(id), subject: subject.number, author },
      ...{ person_id: caller.personId, deleted_at: clock.iso() },
    });
    return { number: made!.number, subject, author };
  }

  return {
    async begin(caller, head) {
      const begun = await storage.write((tx) => begin(tx, caller, head));
      const own = { ...begun, subjectName: head.subjectId ?? '' };
      const names = importNames(directory, head.foreign, own);
      const abandon = (): Promise<void> => remove(begun.number, head.id);
      return { ...stageOf({ ...deps, files, caller, head, names, begun }), abandon };
    },
    async clear() {
      for (const { number, id } of await storage.read.all(stage.left, { project_id: projectId }))
        await remove(number, id.slice(stagedId('').length));
    },
  };
}

type Parts = ChatDependencies & {
  files: AttachmentFiles;
  caller: Caller;
  head: StageHead;
  names: ImportNames;
  begun: Begun;
};

interface Counts {
  messages: number;
  attachments: number;
  lastSeq: number;
  bytes: number;
  /** Messages and files that wait for a decision. */
  quarantined: number;
}

function stageOf(parts: Parts): Omit<Stage, 'abandon'> {
  const { storage, keys, files, names, head, begun } = parts;
  const { id } = head;
  const { number } = begun;
  const counts: Counts = { messages: 0, attachments: 0, lastSeq: 0, bytes: 0, quarantined: 0 };
  let waiting: Row[] = [];
  let size = 0;

  function rowOf(one: ScreenedLine) {
    const { seq, role, createdAt: created_at, findings = [], digests, original } = one;
    const subject = names.subjectOf(one.subjectId);
    const plain = encodeParts(one.parts as Part[]);
    const bytes = sizeOf(original ? encodeParts(original) : plain);
    const { id: key_id, key } = keys.current(id, subject.id);
    return {
      ...{ session: number, seq, subject: subject.number, author: names.authorOf(one), role, key_id },
      ...{ row_version: 1, bytes, created_at, idempotency: null, digest: null },
      findings: findingsText({ findings, digests }, keys.digestKey(subject.id)),
      ...sealParts(key, { session: id, seq, version: 1 }, plain),
    };
  }

  async function flush(): Promise<void> {
    const batch = waiting;
    [waiting, size] = [[], 0];
    const unknown = batch.filter((one) => names.isNew(one));
    if (unknown.length > 0)
      await storage.write(async (tx) => {
        for (const one of unknown) await names.resolve(tx, one);
      });
    const rows = batch.map((one) => (one.type === 'message' ? rowOf(one) : one));
    await storage.write(async (tx) => {
      for (const row of rows) {
        if ('body' in row) await tx.run(messages.insert, row);
        else await tx.run(stage.tombstone, goneRow(number, names.authorOf(row), row));
      }
      for (const one of batch)
        if (one.type === 'message' && one.original)
          await withhold(parts, tx, {
            ...{ session: { id, number }, seq: one.seq, subject: names.subjectOf(one.subjectId) },
            ...{ author: names.authorOf(one), original: { parts: one.original }, at: one.createdAt },
            ...{ findings: one.findings ?? [], by: null },
          });
    });
    counts.quarantined += batch.filter((one) => one.type === 'message' && one.original !== null).length;
    for (const row of rows) {
      if (!('body' in row)) continue;
      counts.messages += 1;
      counts.bytes += row.bytes;
    }
  }

  return {
    async add(one) {
      waiting.push(one);
      counts.lastSeq = one.seq;
      size += one.type === 'message' ? JSON.stringify(one.parts).length : 0;
      if (waiting.length >= ROWS || size >= BYTES) await flush();
    },
    async attach(line, { name, content, heldBy }) {
      await flush();
      if (await storage.read.get(attachments.taken, { id: line.id })) throw conflict(id);
      await storage.write((tx) => names.resolve(tx, line));
      const { id: file, seq: message, mediaType, sha256, createdAt: at } = line;
      const author = names.authorOf(line);
      const row = { id: file, author, at, message, session: { id, number } };
      const about = { name, mediaType, sha256, apart: () => heldBy() !== null };
      await files.store(names.subjectOf(line.subjectId), about, content, (stored) =>
        storage.write(async (tx) => {
          const findings = heldBy();
          await files.putDown(tx, stored, row, findings && standInFor(findings));
          if (findings !== null)
            await withhold(parts, tx, {
              ...{ session: { id, number }, seq: FILE, id: file, subject: stored.subject, author, findings },
              ...{ original: { file: stored.about }, at, by: null },
            });
        }),
      );
      counts.attachments += 1;
      counts.quarantined += heldBy() === null ? 0 : 1;
    },
    async finish() {
      await flush();
      const key = keys.current(id, begun.subject.id);
      await storage.write((tx) => publish(tx, parts, counts, key));
    },
  };
}

/** The one step by which it comes to be. */
async function publish(
  tx: Transaction,
  parts: Parts,
  { messages: count, attachments: fileCount, lastSeq, bytes, quarantined }: Counts,
  { id: key_id, key }: { id: number; key: KeyObject },
): Promise<void> {
  const { audit, clock, directory, projectId, changed, caller, head, names, begun } = parts;
  const { id, title, version, foreign, class: kind, itemId, looked } = head;
  const withheld = looked?.original ?? null;
  await assertFree(tx, projectId, id);
  await names.assertActive(tx);
  await tx.run(stage.finish, {
    ...{ number: begun.number, id, class: kind, item_id: itemId, key_id, version },
    ...{ last_seq: lastSeq, messages: count, bytes, created_at: head.createdAt, updated_at: head.updatedAt },
    foreign_author: foreign ? await directory.foreignAuthor(tx, head.author) : null,
    title: title === null ? null : sealTitle(key, id, 1, title),
  });
  await recordChange(tx, audit, {
    ...{ projectId, stream: 'session', streamId: id, version, type: 'session-imported' },
    payload: {
      ...{ class: kind, item: itemId, subject: begun.subject.id, foreign },
      ...{ messages: count, attachments: fileCount, lastSeq },
      quarantined: quarantined + (withheld === null ? 0 : 1),
    },
    ...{ actor: actorOf(caller), at: clock.iso(), action: 'session.import' },
  });
  if (withheld !== null)
    await withhold(parts, tx, {
      ...{ session: { id, number: begun.number }, seq: 0, subject: begun.subject, author: begun.author },
      ...{ original: { title: withheld }, findings: looked?.findings ?? [], at: head.createdAt, by: null },
    });
  tx.afterCommit(() => changed(id));
}

async function assertFree(tx: Transaction, project_id: string, id: string): Promise<void> {
  const row = await tx.get(sessions.byId, { project_id, id });
  if (row && row.deleted_at !== null) throw gone('session', id);
  if (row) throw conflict(id);
}

const goneRow = (session: number, author: number, one: TombstoneLine) => ({
  ...{ session, seq: one.seq, author, role: one.role, created_at: one.createdAt },
  ...{ deleted_at: one.deletedAt, deleted_by: one.deletedBy },
});

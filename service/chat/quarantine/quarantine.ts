import type { About, AttachmentFiles } from '../attachments/attachment-files.ts';
import { attachments } from '../attachments/store-attachments.ts';
import { recordChange } from '../../audit/events.ts';
import { FactoryError } from '../../errors.ts';
import type { Reader, Transaction } from '../../storage/transaction.ts';
import { messageId } from '../messages/content.ts';
import type { Deletion } from '../deletion/deletion.ts';
import { actorOf, type Caller, type ChatDependencies } from '../dependencies.ts';
import type { Finding as Finder } from '../messages/finding.ts';
import { findingsOf } from '../messages/findings.ts';
import type { PeopleFacts } from '../grants/new-grant.ts';
import { putBack } from './put-back.ts';
import { breakGlassNeeded, gone } from '../refusals.ts';
import { FILE, originals, waitingIn, type WaitingRow } from './store-quarantine.ts';
import { sessions, type SessionRow } from '../store.ts';
import type { Attachment, Author, Finding } from '../types.ts';
import { originalOf, type Original } from './withheld.ts';

/**
 * What waits for a decision. Letting it in takes two people: one asks with a reason, another agrees; in the solo preset the
 * same person after the waiting time of the queue's policy. One is enough to have it removed.
 */

export interface QuarantineView {
  id: string;
  kind: 'message' | 'title' | 'file';
  sessionId: string;
  /** Of a file, the message that names it. Null: the title, or a file that none names. */
  messageId: string | null;
  class: string;
  /** Null: of a title. */
  role: string | null;
  author: Author;
  createdAt: string;
  /** Rules and places, never the text. */
  findings: Finding[];
  /** `approved`: by one of the two. */
  state: 'waiting' | 'approved';
  approvedBy: string | null;
  approvedAt: string | null;
  reason: string | null;
  /** In the solo preset, from when on whoever asked can let it in. */
  releasableFrom: string | null;
}

export interface Quarantine {
  /** The newest first. Errors: `cursor-unknown`. */
  list(query: {
    cursor?: string | undefined;
    limit?: number | undefined;
  }): Promise<{ quarantined: QuarantineView[]; nextCursor: string | null }>;
  /** Errors: `not-found`. */
  show(id: string): Promise<QuarantineView>;
  /** The content, for the decision; each reading is recorded. Errors: `not-found`, `break-glass-needed`, `content-key-gone`. */
  original(caller: Caller, id: string): Promise<{ id: string } & OriginalView>;
  /** That of a file; recorded as well. Errors: the same, and those of the content. */
  content(caller: Caller, id: string): Promise<{ about: FileView; content: AsyncIterable<Buffer> }>;
  /** Asks, or agrees; null: it is let in. Errors: `not-found`, `gone`, `content-key-gone`, `second-person-needed`, `quarantine-waits`. */
  release(caller: Caller, id: string, reason: string): Promise<QuarantineView | null>;
  /** Removes the original for good. Errors: `not-found`, `on-hold`. */
  reject(caller: Caller, id: string, reason: string): Promise<void>;
}

/** A file without what opens it. */
export type FileView = Pick<Attachment, 'name' | 'mediaType' | 'sha256' | 'bytes'>;
export type OriginalView = Exclude<Original, { file: unknown }> | { file: FileView };

type Dependencies = ChatDependencies & {
  files: Pick<AttachmentFiles, 'sealAgain' | 'contentOf'>;
  deletion: Deletion;
  finding: Finder;
  people: Pick<PeopleFacts, 'secondPerson'>;
};
type SecondPerson = Awaited<ReturnType<PeopleFacts['secondPerson']>>;

const LIST = 'quarantine';
const PAGE = 50;

export function createQuarantine(deps: Dependencies): Quarantine {
  const { storage, audit, clock, cursors, directory, projectId, deletion, finding, people } = deps;

  async function found(reader: Reader, id: string): Promise<WaitingRow> {
    const [row] = await waitingIn(reader, projectId, { id, limit: 1 });
    if (!row) throw notWaiting(id);
    return row;
  }

  async function viewOf(row: WaitingRow, second: SecondPerson): Promise<QuarantineView> {
    const approved = row.state === 'approved';
    return {
      ...{ id: row.id, kind: kindOf(row), sessionId: row.session_id },
      messageId: row.message === null ? null : messageId(row.session_id, row.message),
      ...{ class: row.class, role: row.role, createdAt: row.created_at },
      author: await directory.authorAt(storage.read, row.author),
      ...{ findings: findingsOf(row.findings), state: approved ? 'approved' : 'waiting' },
      ...{ approvedBy: row.approved_by, approvedAt: approved ? row.updated_at : null, reason: row.reason },
      releasableFrom: approved && second.preset === 'solo' ? isoOf(dueAt(row, second)) : null,
    };
  }

  function record(tx: Transaction, caller: Caller, row: WaitingRow, type: string, more: object = {}) {
    return recordChange(tx, audit, {
      ...{ projectId, stream: 'governance', streamId: row.id, type },
      version: row.state === 'approved' ? 3 : 2,
      payload: { session: row.session_id, seq: row.seq, ...more },
      ...{ actor: actorOf(caller), at: clock.iso(), action: `governance.${type}` },
    });
  }

  async function sessionOf(reader: Reader, row: WaitingRow): Promise<SessionRow> {
    const session = await reader.get(sessions.byNumber, { number: row.session });
    if (!session) throw gone('session', row.session_id);
    return session;
  }

  /** Where owners read others' sessions by break-glass only, this is no way around it. */
  async function opened(caller: Caller, id: string): Promise<{ row: WaitingRow; original: Original }> {
    const row = await found(storage.read, id);
    if (!(await finding.reach(caller)).can('read', await sessionOf(storage.read, row)))
      throw breakGlassNeeded('read what waits in quarantine');
    await storage.write((tx) =>
      audit.append(tx, {
        ...{ project: projectId, actor: { kind: caller.kind, id: caller.id } },
        ...{ action: 'governance.quarantine-read', object: { kind: 'governance', id } },
        outcome: 'applied',
      }),
    );
    return { row, original: originalOf(deps, row) };
  }

  async function fileOf(row: WaitingRow, about: About) {
    const file = await storage.read.get(attachments.byId, { session: row.session, id: row.id });
    if (!file) throw notWaiting(row.id);
    const { name, mediaType, sha256 } = about;
    return { blob: file.blob, view: { name, mediaType, sha256, bytes: file.bytes } };
  }

  async function approve(tx: Transaction, caller: Caller, row: WaitingRow, reason: string) {
    const by = { approved_by: caller.personId, reason, updated_at: clock.iso() };
    await tx.run(originals.approve, { project_id: projectId, id: row.id, ...by });
    await record(tx, caller, row, 'quarantine-approved', { reason });
    return found(tx, row.id);
  }

  async function letIn(tx: Transaction, caller: Caller, row: WaitingRow): Promise<void> {
    const session = await sessionOf(tx, row);
    const commitment = await putBack(deps, tx, session, row);
    await record(tx, caller, row, 'quarantine-released', {
      ...(commitment === null ? {} : { commitment }),
      // Whoever follows the log finds the file there.
      ...(kindOf(row) === 'file' ? { message: row.message } : {}),
    });
    tx.afterCommit(() => deps.changed(session.id));
  }

  return {
    async list({ cursor, limit = PAGE }) {
      const before = cursor === undefined ? null : String(cursors.decode(LIST, cursor));
      const rows = await waitingIn(storage.read, projectId, { before, limit: limit + 1 });
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      const second = await people.secondPerson();
      return {
        quarantined: await Promise.all(page.map((row) => viewOf(row, second))),
        nextCursor: last ? cursors.encode(LIST, last.id) : null,
      };
    },

    show: async (id) => viewOf(await found(storage.read, id), await people.secondPerson()),

    async original(caller, id) {
      const { row, original } = await opened(caller, id);
      if (!('file' in original)) return { id, ...original };
      return { id, file: (await fileOf(row, original.file)).view };
    },

    async content(caller, id) {
      if (kindOf(await found(storage.read, id)) !== 'file') throw noFile(id);
      const { row, original } = await opened(caller, id);
      if (!('file' in original)) throw noFile(id);
      const { blob, view } = await fileOf(row, original.file);
      return { about: view, content: deps.files.contentOf(blob, original.file) };
    },

    async release(caller, id, reason) {
      const second = await people.secondPerson();
      const row = await storage.write(async (tx) => {
        const now = await found(tx, id);
        // What cannot be read for good is not asked for either.
        deps.keys.byId(now.key_id);
        if (now.state === 'waiting') return approve(tx, caller, now, reason);
        assertSecond(now, caller, second, clock.now());
        await letIn(tx, caller, now);
        return null;
      });
      return row && viewOf(row, second);
    },

    async reject(caller, id, reason) {
      await storage.write(async (tx) => {
        const row = await found(tx, id);
        await record(tx, caller, row, 'quarantine-rejected', { reason });
        await deletion.quarantine(tx, await sessionOf(tx, row), (one) => one.id === id, {
          ...{ cause: 'person', actor: actorOf(caller), at: clock.iso() },
          ...{ held: 'refuse', journal: true },
        });
      });
    },
  };
}

/** Whether this is the second of two. Pure. */
export function assertSecond(
  row: Pick<WaitingRow, 'id' | 'approved_by' | 'updated_at'>,
  { personId }: Pick<Caller, 'personId'>,
  second: SecondPerson,
  now: number,
): void {
  if (row.approved_by !== personId) return;
  if (second.preset !== 'solo') throw secondNeeded(row.id);
  const due = dueAt(row, second);
  if (now < due) throw waits(row.id, isoOf(due));
}

const dueAt = ({ updated_at }: Pick<WaitingRow, 'updated_at'>, { waitSeconds }: SecondPerson): number =>
  Date.parse(updated_at) + waitSeconds * 1000;

const isoOf = (time: number): string => new Date(time).toISOString();

const kindOf = ({ seq }: Pick<WaitingRow, 'seq'>): QuarantineView['kind'] =>
  seq === FILE ? 'file' : seq === 0 ? 'title' : 'message';

function noFile(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'read file in quarantine', target },
    message: `What waits under ${target} is no file.`,
    hint: 'GET /api/governance/quarantine/{id}/original answers its content.',
  });
}

function notWaiting(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'find in quarantine', target },
    message: `Nothing waits in quarantine under ${target}: it was decided on, went with its session, or never was there.`,
    hint: 'GET /api/governance/quarantine lists what waits.',
  });
}

function secondNeeded(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'second-person-needed', op: 'release from quarantine', target },
    message: 'Who asked for the release cannot agree to it.',
    hint: 'Ask another owner.',
  });
}

function waits(target: string, from: string): FactoryError {
  return new FactoryError({
    ...{ code: 'quarantine-waits', op: 'release from quarantine', target },
    message: `With one person in charge, what was asked for can be let in from ${from} on.`,
    hint: 'Repeat it then, or have it removed.',
    details: { from },
  });
}

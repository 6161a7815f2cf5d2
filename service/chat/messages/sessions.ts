import { isAgent } from '../../access/roles.ts';
import { recordChange } from '../../audit/events.ts';
import { newId } from '../../ids.ts';
import type { Reader, Transaction } from '../../storage/transaction.ts';
import { READ_ALL, SEE_ALL, USE } from '../access.ts';
import { openTitle, sealTitle, titleOrNull } from './content.ts';
import { actorOf, type Caller, type ChatDependencies } from '../dependencies.ts';
import type { Finding as Finder } from './finding.ts';
import type { Policies } from '../policies.ts';
import { keyReused, permissionRefused } from '../refusals.ts';
import type { ChatKeys } from '../keys/keys.ts';
import { assertNoSecretIn, screenText } from '../sensitive/screen.ts';
import { sessions, type SessionRow } from '../store.ts';
import { originals } from '../quarantine/store-quarantine.ts';
import type { Finding, SessionView } from '../types.ts';
import { originalOf, withhold } from '../quarantine/withheld.ts';

/** Sessions: begun, listed, shown. */

export interface NewSession {
  title?: string | undefined;
  /** Policies go by it; absent: `general`. */
  class?: string | undefined;
  /** Whom it is about; absent: the one who begins it. */
  subjectId?: string | undefined;
  itemId?: string | undefined;
}

/** With its title looked through. */
interface Ready extends NewSession {
  /** What waits while a placeholder is the title; null: nothing. */
  withheld: string | null;
  findings: Finding[];
}

export interface SessionQuery {
  class?: string | undefined;
  itemId?: string | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

export interface SessionPage {
  sessions: SessionView[];
  nextCursor: string | null;
}

export const GENERAL = 'general';
const PAGE = 50;
const LIST = 'sessions';

export interface Sessions {
  /** Errors: `permission-missing`, `subject-erased`, `sensitive-data-blocked`. */
  create(caller: Caller, input: NewSession): Promise<SessionView>;
  /** Once for each key of the caller. Errors: as above, `gone`, `idempotency-key-reused`. */
  createOnce(
    caller: Caller,
    input: NewSession,
    key: string,
  ): Promise<{ session: SessionView; replayed: boolean }>;
  /** Newest first. Errors: `permission-missing`, `cursor-unknown`. */
  list(caller: Caller, query: SessionQuery): Promise<SessionPage>;
  /** What the caller may do with it, for faces that show buttons. Errors: `not-found`, `gone`. */
  may(caller: Caller, id: string): Promise<{ write: boolean; delete: boolean; share: boolean }>;
  /** Errors: `not-found`, `gone`. */
  show(caller: Caller, id: string): Promise<SessionView>;
}

export function createSessions(
  deps: ChatDependencies,
  find: Finder,
  policies: Pick<Policies, 'ofClass'>,
): Sessions {
  const { storage, audit, clock, cursors, directory, keys, projectId, changed } = deps;

  async function viewOf(reader: Reader, row: SessionRow, readable: boolean): Promise<SessionView> {
    const { title, ...lost } = titleOf(keys, row, readable);
    return {
      ...lost,
      ...{ id: row.id, title, class: row.class, itemId: row.item_id, messages: row.messages },
      subjectId: readable ? await directory.shownName(reader, row.subject) : null,
      author: await directory.authorAt(reader, row.foreign_author ?? row.author),
      ...{ lastSeq: row.last_seq, bytes: row.bytes, version: row.version },
      ...{ createdAt: row.created_at, updatedAt: row.updated_at },
    };
  }

  async function begin(tx: Transaction, caller: Caller, id: string, input: Ready): Promise<SessionRow> {
    const { class: kind = GENERAL, title, itemId = null } = input;
    const subject = await directory.subject(tx, input.subjectId ?? caller.personId);
    const author = await directory.author(tx, caller);
    const { id: key_id, key } = keys.current(id, subject.id);
    const created_at = clock.iso();
    await tx.get(sessions.insert, {
      ...{ project_id: projectId, id, subject: subject.number, class: kind, item_id: itemId, author },
      ...{
        person_id: caller.personId,
        key_id,
        row_version: 1,
        last_seq: 0,
        messages: 0,
        bytes: 0,
        version: 1,
      },
      ...{ created_at, updated_at: created_at },
      title: title === undefined ? null : sealTitle(key, id, 1, title),
    });
    const by = actorOf(caller);
    await recordChange(tx, audit, {
      ...{ projectId, stream: 'session', streamId: id, version: 1, type: 'session-created' },
      payload: { class: kind, item: itemId, subject: subject.id },
      ...{ actor: by, at: created_at, action: 'session.create' },
    });
    tx.afterCommit(() => changed(id));
    const row = (await tx.get(sessions.byId, { project_id: projectId, id }))!;
    if (input.withheld !== null)
      await withhold(deps, tx, {
        ...{ session: row, seq: 0, subject, author, original: { title: input.withheld }, at: created_at },
        ...{ findings: input.findings, by },
      });
    return row;
  }

  /** What was sent with a key is not kept: the session is what came of it. */
  async function assertSame(tx: Transaction, caller: Caller, row: SessionRow, input: Ready): Promise<void> {
    if (row.deleted_at !== null || row.binned_at !== null) throw await find.gone('session', row.id, row);
    const { class: kind = GENERAL, itemId, subjectId = caller.personId } = input;
    const subject = await directory.findSubject(tx, subjectId);
    const same = row.class === kind && row.item_id === (itemId ?? null) && (await isTitle(tx, row, input));
    if (!same || subject?.number !== row.subject) throw keyReused(row.id, 'session');
  }

  /** One that is held back is compared as long as it is there; let in, it stands in its session. */
  async function isTitle(tx: Transaction, row: SessionRow, { title, withheld }: Ready): Promise<boolean> {
    const known = row.title && openTitle(keys.byId(row.key_id), row.id, row.row_version, row.title);
    if (withheld === null || known === withheld) return known === (withheld ?? title ?? null);
    const waiting = await tx.get(originals.ofTitle, { session: row.number });
    if (!waiting) return known === title;
    const original = originalOf(deps, { ...waiting, session_id: row.id });
    return 'title' in original && original.title === withheld;
  }

  return {
    async create(caller, sent) {
      if (!caller.permissions.has(USE)) throw permissionRefused(USE);
      const input = await screened(policies, sent);
      return viewOf(storage.read, await storage.write((tx) => begin(tx, caller, newId(), input)), true);
    },

    async createOnce(caller, sent, key) {
      if (!caller.permissions.has(USE)) throw permissionRefused(USE);
      const input = await screened(policies, sent);
      const id = idOf(keys.lookup(`begin\0${caller.kind}\0${caller.id}\0${key}`));
      const { row, replayed } = await storage.write(async (tx) => {
        const there = await tx.get(sessions.byId, { project_id: projectId, id });
        if (there) await assertSame(tx, caller, there, input);
        return { row: there ?? (await begin(tx, caller, id, input)), replayed: there !== undefined };
      });
      return { session: await viewOf(storage.read, row, true), replayed };
    },

    async list(caller, { class: kind, itemId, cursor, limit = PAGE }) {
      const { permissions } = caller;
      if (![USE, READ_ALL, SEE_ALL].some((one) => permissions.has(one))) throw permissionRefused(USE);
      const reach = await find.reach(caller);
      const before = cursor === undefined ? null : Number(cursors.decode(LIST, cursor));
      const rows = await storage.read.query((db) => {
        let query = db
          .selectFrom('chat_sessions')
          .selectAll()
          .where('project_id', '=', projectId)
          .where('deleted_at', 'is', null)
          .where('binned_at', 'is', null)
          .where(reach.filter('see'));
        if (kind !== undefined) query = query.where('class', '=', kind);
        if (itemId !== undefined) query = query.where('item_id', '=', itemId);
        if (before !== null) query = query.where('number', '<', before);
        return query.orderBy('number', 'desc').limit(limit + 1);
      });
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      return {
        sessions: await Promise.all(page.map((row) => viewOf(storage.read, row, reach.can('read', row)))),
        nextCursor: last ? cursors.encode(LIST, last.number) : null,
      };
    },

    async may(caller, id) {
      const row = await find.session(storage.read, caller, id, 'see');
      const { can } = await find.reach(caller);
      return mayOf(can('write', row), can('delete', row), caller);
    },

    async show(caller, id) {
      const row = await find.session(storage.read, caller, id, 'see');
      return viewOf(storage.read, row, (await find.reach(caller)).can('read', row));
    },
  };
}

const mayOf = (write: boolean, remove: boolean, { roles }: Caller) => ({
  ...{ write, delete: remove, share: write && !isAgent(roles) },
});

/** What is sensitive is taken out of the title; its class says what that is. */
async function screened(policies: Pick<Policies, 'ofClass'>, input: NewSession): Promise<Ready> {
  const { title, class: kind = GENERAL, subjectId } = input;
  if (title === undefined && subjectId === undefined) return { ...input, withheld: null, findings: [] };
  const { sensitive } = await policies.ofClass(kind);
  assertNoSecretIn(subjectId, sensitive);
  if (title === undefined) return { ...input, withheld: null, findings: [] };
  const { text, original, findings } = screenText(sensitive, title, 'title');
  return { ...input, title: text, withheld: original, findings };
}

/** UUID version 8 of a keyed digest: the same key of the same caller names the same session, and nobody can guess it. */
function idOf(digest: string): string {
  const bytes = Buffer.from(digest, 'base64url').subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Its title for who may read it, and when its key was lost with the keyring. */
function titleOf(
  keys: ChatKeys,
  { id, key_id, row_version, title }: SessionRow,
  readable: boolean,
): Pick<SessionView, 'title' | 'keysLostAt'> {
  const keysLostAt = keys.ownerOf(key_id) === null ? keys.lostAt(key_id) : null;
  if (keysLostAt !== null) return { title: null, keysLostAt };
  return { title: readable && title ? titleOrNull(keys, { id, key_id, row_version, title }) : null };
}

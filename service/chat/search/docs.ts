import type { KeyObject } from 'node:crypto';
import { FactoryError } from '../../errors.ts';
import type { Reader } from '../../storage/transaction.ts';
import { openAbout } from '../attachments/attachment-files.ts';
import type { Blobs } from '../attachments/blobs.ts';
import { openFile } from '../attachments/sealed-stream.ts';
import { attachments, type AttachmentRow } from '../attachments/store-attachments.ts';
import { openParts, openTitle } from '../messages/content.ts';
import { sessions, type MessageRow, type SessionRow } from '../store.ts';
import type { Part } from '../types.ts';
import { TITLE } from './changes.ts';
import { isSearched, textsOfFile } from './file-text.ts';
import type { Doc } from './index-file.ts';
import { MOST_FILES, placeOfFile, placeOfMessage, placeOfTitle } from './places.ts';
import type { SessionFacts } from './scope.ts';
import { searched } from './store.ts';
import { textsOf } from './text.ts';

/** Keys of content by their numbers; those that are gone are not among them. */
export type KeysOf = (numbers: readonly number[]) => Promise<ReadonlyMap<number, KeyObject>>;

export interface DocDependencies {
  storage: { read: Reader };
  projectId: string;
  keysOf: KeysOf;
  blobs: Pick<Blobs, 'read'>;
}

/** Where a message is; `TITLE`: the title of its session. */
export interface At {
  session: string;
  seq: number;
}

export interface ReadMessage {
  session: SessionFacts;
  row: MessageRow;
}

/** Rows that are opened together: one has at most some megabytes. */
export const TOGETHER = 16;

/**
 * Reads what goes into the index. What is gone, or cannot be read, is not in the answers. Keys are asked for each time and
 * kept by nobody here, so that one that is taken away is away.
 */
export function createDocs({ storage, projectId, keysOf, blobs }: DocDependencies) {
  const known = new Map<string, SessionFacts>();

  async function messages(read: readonly ReadMessage[]): Promise<Doc[]> {
    const live = read.filter(({ row }) => row.deleted_at === null && row.binned_at === null);
    const keys = await keysFor(live.map(({ row }) => row));
    const docs: Doc[] = [];
    for (const { session, row } of live) {
      const parts = await readable(keys, row, (byId) => openParts(byId, session.id, row));
      if (parts === null) continue;
      const about = { session, at: row.created_at };
      docs.push({ ...about, place: placeOfMessage(row.number), texts: textsOf(parts) });
      for (const file of await filesOf(session, row, parts)) docs.push({ ...about, ...file });
    }
    return docs;
  }

  /** Those that its parts name, which can be read: they do not wait where their message does. */
  async function filesOf(session: SessionFacts, { number, seq }: MessageRow, parts: readonly Part[]) {
    const named = parts.filter((part) => part.type === 'attachment').slice(0, MOST_FILES);
    if (named.length === 0) return [];
    const rows = await storage.read.all(attachments.between, { session: session.number, from: seq, to: seq });
    const keys = await keysFor(rows);
    const docs: Pick<Doc, 'place' | 'file' | 'texts'>[] = [];
    for (const [index, { attachmentId }] of named.entries()) {
      const row = rows.find(({ id }) => id === attachmentId);
      const texts = row && (await readable(keys, row, (byId) => textsIn(byId, session, row)));
      if (texts) docs.push({ place: placeOfFile(number, index), file: row.number, texts });
    }
    return docs;
  }

  async function textsIn(byId: ById, session: SessionFacts, row: AttachmentRow): Promise<string[] | null> {
    const about = openAbout(byId, session.id, row);
    return isSearched(about) ? textsOfFile(about, openFile(blobs, row.blob, about)) : null;
  }

  async function titles(rows: readonly SessionRow[]): Promise<Doc[]> {
    const live = rows.filter(({ deleted_at, binned_at }) => deleted_at === null && binned_at === null);
    const keys = await keysFor(live);
    const docs: Doc[] = [];
    for (const row of live) {
      const { id, title, row_version: version, created_at: at } = row;
      if (title === null) continue;
      const text = await readable(keys, row, ({ byId }) => openTitle(byId(row.key_id), id, version, title));
      if (text === null) continue;
      const place = placeOfTitle(row.number);
      docs.push({ place, version, session: factsIn(row), at, texts: [text] });
    }
    return docs;
  }

  async function keysFor(rows: readonly { key_id: number }[]): Promise<ReadonlyMap<number, KeyObject>> {
    return rows.length === 0 ? new Map() : keysOf([...new Set(rows.map(({ key_id }) => key_id))]);
  }

  async function factsOf(id: string): Promise<SessionFacts | undefined> {
    const there = known.get(id);
    if (there) return there;
    const row = await storage.read.get(sessions.byId, { project_id: projectId, id });
    if (!row) return undefined;
    if (known.size >= 10_000) known.clear();
    const facts = factsIn(row);
    known.set(id, facts);
    return facts;
  }

  async function rowsOf(run: readonly At[]): Promise<ReadMessage[]> {
    const [first] = run as [At];
    const session = await factsOf(first.session);
    if (!session) return [];
    const rows = await storage.read.all(searched.at, {
      ...{ session: session.number, from: first.seq, to: run.at(-1)!.seq, limit: run.length },
    });
    return rows.map((row) => ({ session, row }));
  }

  return {
    messages,
    titles,
    /** At most `TOGETHER` of them. */
    async at(places: readonly At[]): Promise<Doc[]> {
      const read: ReadMessage[] = [];
      const titled: SessionRow[] = [];
      for (const run of runsOf(places)) {
        const [{ session: id, seq }] = run as [At];
        if (seq !== TITLE) read.push(...(await rowsOf(run)));
        else titled.push(...(await storage.read.all(sessions.byId, { project_id: projectId, id })));
      }
      return [...(await titles(titled)), ...(await messages(read))];
    },
    forget: () => known.clear(),
  };
}

export type Docs = ReturnType<typeof createDocs>;

type ById = { byId(id: number): KeyObject };

/** Null: its key is gone, or it is damaged, which is told of by whoever reads it. */
async function readable<T>(
  keys: ReadonlyMap<number, KeyObject>,
  { key_id }: { key_id: number },
  read: (keys: ById) => T | Promise<T>,
): Promise<T | null> {
  if (!keys.has(key_id)) return null;
  try {
    return await read({ byId: (id) => keys.get(id)! });
  } catch (error) {
    if (error instanceof FactoryError) return null;
    throw error;
  }
}

const factsIn = ({ id, number, person_id, author, class: kind }: SessionRow): SessionFacts => ({
  ...{ id, number, person_id, author, class: kind },
});

/** What follows each other in the same session can be read at once. */
function runsOf(places: readonly At[]): At[][] {
  const runs: At[][] = [];
  for (const at of places) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const follows = last?.session === at.session && last.seq !== TITLE && last.seq + 1 === at.seq;
    if (follows) run!.push(at);
    else runs.push([at]);
  }
  return runs;
}

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { FactoryError } from '../../errors.ts';
import { openSideFile, type SideFile, type SideFileKind } from '../../storage/side-file.ts';
import { kindOf, placeOfMessage, SLOTS, TITLES } from './places.ts';
import { scopeTokens, type SessionFacts } from './scope.ts';
import { createShards, SHARDS_SCHEMA, type Sought } from './shards.ts';
import { tokensOfTexts } from './text.ts';

/**
 * The file of the search index: words in clear, so it lies apart from the database and is in no backup. It is derived: what
 * is foreign, damaged or of another shape is thrown away and made anew. The tokens of a message stand in its row too,
 * because FTS5 takes a message out by telling it what was put in. `shards.ts` has the words.
 */

const KIND: SideFileKind = {
  what: 'The search index',
  /** "BFsx". */
  applicationId: 0x42467378,
  derived: true,
  schema: [
    'create table about (key text primary key, value text not null) without rowid',
    // `file`: number of an attachment; `version`: of the row of a session whose title it is.
    `create table docs (place integer primary key, session integer not null, at text not null, tokens integer not null,
       file integer, version integer)`,
    'create index docs_by_session on docs (session)',
    ...SHARDS_SCHEMA,
  ],
};

/** Grows with what makes tokens and with the tables, so that an index of another kind is made anew. */
const FORMAT = `4 unicode ${process.versions.unicode}`;

const NAME = 'index.db';
const BEGUN = JSON.stringify({ of: 'titles', after: 0 } satisfies Built);

export interface Doc {
  /** See `places.ts`. */
  place: number;
  /** Number of the attachment that it is. */
  file?: number;
  /** Of the row of the session whose title it is. */
  version?: number;
  session: SessionFacts;
  at: string;
  /** Each stands for itself. They are taken apart when they are put in, one document at a time. */
  texts: readonly string[];
}

/** A document that is in the index. */
export interface Known {
  place: number;
  file: number | null;
  version: number | null;
}

/** How far a making is: up to which number; titles come first. */
export interface Built {
  of: 'titles' | 'messages';
  after: number;
}

/** How far the index followed the audit log. */
export interface Mark {
  seq: number;
  /** SHA-256 of that leaf: a database that was put back has another one there, or none. */
  leaf: string;
}

export interface IndexFile {
  mark(): Mark | null;
  /** Null: all that was there when it was begun is in it. */
  built(): Built | null;
  /** Messages. */
  count(): number;
  /** Lowest first. */
  ofSession(session: number): Known[];
  ofMessage(number: number): Known[];
  /** Highest place first. */
  find(query: Sought): Known[];
  /** All of it, or nothing; what is in it stays as it is. */
  put(docs: readonly Doc[], state?: { mark?: Mark; built?: Built | null }): void;
  /** Takes out the first of these, lowest first, as many as one step can; answers how many. */
  remove(places: readonly number[]): number;
  /** Nothing of what was removed lies beside the file any more. */
  settle(): void;
  /** An empty one in its place. */
  reset(mark: Mark): void;
  close(): void;
}

/** Of which database an index is: one that was ported to another engine has an index of its own. */
export interface IndexOwner {
  installation: string;
  engine: 'sqlite' | 'postgres';
}

/** Errors: `search-index-unusable`. */
export function openIndexFile(folder: string, { installation, engine }: IndexOwner): IndexFile {
  const path = join(folder, NAME);
  let file = openAnyhow(path);
  const shards = createShards(() => file);
  const about = (key: string): string | undefined =>
    file.get<{ value: string }>('select value from about where key = ?', key)?.value;
  const tell = (key: string, value: string): void =>
    void file.run('insert or replace into about (key, value) values (?, ?)', key, value);

  function state({ mark, built }: { mark?: Mark | undefined; built?: Built | null | undefined }): void {
    if (mark) tell('mark', JSON.stringify(mark));
    if (built !== undefined) tell('built', JSON.stringify(built));
  }

  const owner = { format: FORMAT, installation, engine };
  const isOurs = (): boolean => Object.entries(owner).every(([key, value]) => about(key) === value);

  return {
    mark() {
      const known = isOurs() ? about('mark') : undefined;
      return known === undefined ? null : (JSON.parse(known) as Mark);
    },
    built: () => JSON.parse(about('built') ?? BEGUN) as Built | null,
    count: () =>
      file.get<{ n: number }>(
        `select count(*) as n from docs where place < ${TITLES} and place % ${SLOTS} = 0`,
      )!.n,
    ofSession: (session) =>
      file.all<Known>('select place, file, version from docs where session = ? order by place', session),
    ofMessage: (number) =>
      file.all<Known>(
        'select place, file, version from docs where place >= ? and place < ? order by place',
        ...[placeOfMessage(number), placeOfMessage(number + 1)],
      ),
    find: (sought) =>
      shards.find(sought).map((place) => ({ ...NOTHING, place, ...(file.get<Known>(ONE, place) ?? {}) })),
    put(docs, done = {}) {
      file.transaction(() => {
        for (const { place, session, at, texts, file: of = null, version = null } of docs) {
          const tokens = tokensOfTexts(texts);
          const row =
            'insert or ignore into docs (place, session, at, tokens, file, version) values (?, ?, ?, ?, ?, ?)';
          if (file.run(row, place, session.number, at, tokens.length, of, version).changes === 0) continue;
          const scope = scopeTokens(session, kindOf(place)).join(' ');
          shards.put({ place, body: tokens.join(' '), scope });
        }
        state(done);
      });
    },
    remove: (places) =>
      file.transaction(() => {
        const count = shards.remove(places);
        for (const place of places.slice(0, count)) file.run('delete from docs where place = ?', place);
        return count;
      }),
    settle: () => file.settle(),
    reset(mark) {
      file.close();
      discard(path);
      file = openAnyhow(path);
      file.transaction(() => {
        for (const [key, value] of Object.entries(owner)) tell(key, value);
        state({ mark, built: JSON.parse(BEGUN) as Built });
      });
    },
    close() {
      file.settle();
      file.close();
    },
  };
}

const ONE = 'select place, file, version from docs where place = ?';
const NOTHING = { file: null, version: null };

function openAnyhow(path: string): SideFile {
  for (const again of [true, false]) {
    let file: SideFile | undefined;
    try {
      file = openSideFile(path, KIND);
      // A damaged file opens as well.
      file.get('select value from about where key = ?', 'format');
      return file;
    } catch (error) {
      file?.close();
      if (!again) throw unusable(path, error);
      discard(path);
    }
  }
  throw unusable(path, null);
}

function discard(path: string): void {
  for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
}

/** Whether the file itself is broken, so that it has to be made anew. */
export const isDamaged = (error: unknown): boolean =>
  /^SQLITE_(CORRUPT|NOTADB|READONLY_DBMOVED|IOERR)/.test(String((error as { code?: unknown } | null)?.code));

function unusable(path: string, cause: unknown): FactoryError {
  return new FactoryError({
    ...{ code: 'search-index-unusable', op: 'open search index', target: path, cause },
    message: `The search index ${path} cannot be made: ${(cause as Error | null)?.message ?? 'unknown'}.`,
    hint: 'Check the rights of its folder and the free space; it holds nothing that is not in the database.',
  });
}

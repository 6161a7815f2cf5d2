import { FactoryError } from '../../errors.ts';
import type { Reach } from '../access.ts';
import type { AttachmentFiles } from '../attachments/attachment-files.ts';
import type { ChatDependencies } from '../dependencies.ts';
import { isKeyGone } from '../keys/keys.ts';
import { messageId, openParts, openTitle } from '../messages/content.ts';
import type { SessionRow } from '../store.ts';
import type { MessageRole, Part } from '../types.ts';
import { textsOfFile } from './file-text.ts';
import type { Known } from './index-file.ts';
import { createLive, type Candidate, type FileCandidate } from './live.ts';
import { kindOf, numberOf, type Kind } from './places.ts';
import { matches, type SearchQuery } from './query.ts';
import { snippetOf, textsOf, tokensOfTexts, type Snippet } from './text.ts';

/** What the index names, looked up: the database has the last word, and what is shown comes from the content itself. */

export interface SearchHit {
  /** What it stands in. */
  in: Kind;
  sessionId: string;
  /** Null, as all of its message: it is the title. */
  messageId: string | null;
  seq: number | null;
  role: MessageRole | null;
  /** The file that it stands in. */
  attachment: { id: string; name: string | null } | null;
  /** Of the message, or of the session. */
  createdAt: string;
  snippet: string;
  marks: Snippet['marks'];
}

export function createHits({
  storage,
  keys,
  projectId,
  files,
}: Pick<ChatDependencies, 'storage' | 'keys' | 'projectId'> & {
  files: Pick<AttachmentFiles, 'aboutOf' | 'contentOf'>;
}) {
  const live = createLive({ storage, projectId });

  function ofMessage(row: Candidate, query: SearchQuery): SearchHit | null {
    const parts = openParts(keys, row.session_id, row);
    const texts = textsOf(parts);
    // Outputs can have gone from the message since it was taken into the index.
    if (parts.some(isWithoutOutput) && !matches(query, tokensOfTexts(texts))) return null;
    const { text: snippet, marks } = snippetOf(texts, query);
    return {
      ...{ in: 'message', sessionId: row.session_id, messageId: messageId(row.session_id, row.seq) },
      ...{ seq: row.seq, role: row.role as MessageRole, attachment: null },
      ...{ createdAt: row.created_at, snippet, marks },
    };
  }

  async function ofFile(row: FileCandidate, query: SearchQuery): Promise<SearchHit> {
    const about = files.aboutOf(row.session_id, row);
    const texts = await textsOfFile(about, files.contentOf(row.blob, about));
    const { text: snippet, marks } = snippetOf(texts, query);
    return {
      ...{ in: 'attachment', sessionId: row.session_id, messageId: messageId(row.session_id, row.seq) },
      ...{ seq: row.seq, role: row.role as MessageRole, attachment: { id: row.id, name: about.name } },
      ...{ createdAt: row.at, snippet, marks },
    };
  }

  /** Null: it is another title now. */
  function ofTitle({ id, key_id, row_version, title, created_at }: SessionRow, query: SearchQuery) {
    const texts = title === null ? [] : [openTitle(keys.byId(key_id), id, row_version, title)];
    if (!matches(query, tokensOfTexts(texts))) return null;
    const { text: snippet, marks } = snippetOf(texts, query);
    return {
      ...{ in: 'title' as const, sessionId: id, messageId: null, seq: null, role: null, attachment: null },
      ...{ createdAt: created_at, snippet, marks },
    };
  }

  /** In the order of what was found, without what is not there, not theirs, or not to be opened any more. */
  return async function hitsOf(
    found: readonly Known[],
    query: SearchQuery,
    reach: Reach,
  ): Promise<{ place: number; hit: SearchHit }[]> {
    const of = (kind: Kind) => found.filter(({ place }) => kindOf(place) === kind);
    const numbers = (kind: Kind) => of(kind).map(({ place }) => numberOf(place));
    const lookUp = <T>(
      some: readonly number[],
      rows: (some: readonly number[], reach: Reach) => Promise<T[]>,
    ) => (some.length === 0 ? Promise.resolve([]) : rows(some, reach));
    const messages = mapOf(await lookUp(numbers('message'), live.messages));
    const titles = mapOf(await lookUp(numbers('title'), live.titles));
    const attached = mapOf(
      await lookUp(
        of('attachment').map(({ file }) => file ?? 0),
        live.files,
      ),
    );
    const hits: { place: number; hit: SearchHit }[] = [];
    for (const { place, file } of found) {
      const hit = await whereKeyIs(() => {
        const number = numberOf(place);
        if (kindOf(place) === 'title') return mapped(titles.get(number), (row) => ofTitle(row, query));
        if (kindOf(place) === 'message') return mapped(messages.get(number), (row) => ofMessage(row, query));
        return mapped(attached.get(file ?? 0), (row) => (row.of === number ? ofFile(row, query) : null));
      });
      if (hit) hits.push({ place, hit });
    }
    return hits;
  };
}

const mapOf = <T extends { number: number }>(rows: readonly T[]): Map<number, T> =>
  new Map(rows.map((row) => [row.number, row]));

const mapped = <T, R>(value: T | undefined, map: (value: T) => R): R | null =>
  value === undefined ? null : map(value);

/** Null: its key or its file went, with a deletion that this database does not know of. */
async function whereKeyIs<T>(work: () => T | Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (isKeyGone(error) || (error instanceof FactoryError && error.code === 'content-missing')) return null;
    throw error;
  }
}

const isWithoutOutput = (part: Part): boolean => part.type === 'tool-result' && part.output === undefined;

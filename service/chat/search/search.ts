import { hash } from 'node:crypto';
import { FactoryError } from '../../errors.ts';
import { READ_ALL, SEE_ALL, USE, type Reach } from '../access.ts';
import { messageId, openParts } from '../messages/content.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import type { Finding as Finder } from '../messages/finding.ts';
import type { Reading } from '../messages/reading.ts';
import { permissionRefused } from '../refusals.ts';
import { sessions, type MessageRow } from '../store.ts';
import type { MessageRole, Part } from '../types.ts';
import type { Sought } from './shards.ts';
import type { SearchIndex } from './apart.ts';
import type { IndexState } from './indexer.ts';
import { matches, parseQuery, type SearchQuery } from './query.ts';
import { matchOf } from './scope.ts';
import { snippetOf, tokensOfParts, type Snippet } from './text.ts';

/**
 * Searching messages, newest first. The index names candidates, asked with the caller's access in the question; the
 * database then has the last word, in one query: what is deleted, in the bin or not theirs is not there. What a hit shows
 * comes from the message itself, so it is a reading and is recorded as one.
 */

export interface SearchInput {
  q: string;
  sessionId?: string | undefined;
  /** Whose session it is. */
  personId?: string | undefined;
  class?: string | undefined;
  /** ISO-8601: messages from this moment on, and before that one. */
  from?: string | undefined;
  to?: string | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
}

export interface SearchHit {
  sessionId: string;
  messageId: string;
  seq: number;
  role: MessageRole;
  createdAt: string;
  snippet: string;
  marks: Snippet['marks'];
}

export interface SearchPage {
  results: SearchHit[];
  nextCursor: string | null;
  /** False: the index is being made, or behind; there can be more. */
  complete: boolean;
}

export interface Search {
  /** Errors: `permission-missing`, `bad-input`, `cursor-unknown`, `search-index-unavailable`. */
  find(caller: Caller, input: SearchInput): Promise<SearchPage>;
  /** How far the index is. Errors: `search-index-unavailable`. */
  state(): Promise<IndexState>;
  /** Why the index is not where the database is, as a code; null: nothing is wrong. */
  trouble(): string | null;
  /** Made anew in the background. */
  rebuild(caller: Caller): Promise<void>;
}

const PAGE = 20;

type Candidate = MessageRow & { session_id: string };

export function createSearch(
  { storage, audit, keys, cursors, projectId }: ChatDependencies,
  parts: { find: Finder; reading: Pick<Reading, 'shown'>; index: SearchIndex },
): Search {
  const { find, reading, index } = parts;

  /** What of these is there and theirs, highest number first. */
  function live(numbers: readonly number[], reach: Reach): Promise<Candidate[]> {
    return storage.read.query((db) =>
      db
        .selectFrom('chat_messages')
        .innerJoin('chat_sessions', 'chat_sessions.number', 'chat_messages.session')
        .selectAll('chat_messages')
        .select('chat_sessions.id as session_id')
        .where('chat_messages.number', 'in', [...numbers])
        .where('chat_messages.deleted_at', 'is', null)
        .where('chat_messages.binned_at', 'is', null)
        .where('chat_sessions.project_id', '=', projectId)
        .where('chat_sessions.deleted_at', 'is', null)
        .where('chat_sessions.binned_at', 'is', null)
        .where((e) => reach.filter(e as unknown as Parameters<Reach['filter']>[0], 'read'))
        .orderBy('chat_messages.number', 'desc'),
    );
  }

  /** Null: its key went, with a deletion that this database does not know of. */
  function opened(row: Candidate): Part[] | null {
    try {
      return openParts(keys, row.session_id, row);
    } catch (error) {
      if (error instanceof FactoryError && error.code === 'content-key-gone') return null;
      throw error;
    }
  }

  function hitOf(row: Candidate, query: SearchQuery): SearchHit | null {
    const content = opened(row);
    if (content === null) return null;
    // Outputs can have gone from the message since it was taken into the index.
    if (content.some(isWithoutOutput) && !matches(query, tokensOfParts(content))) return null;
    const { text: snippet, marks } = snippetOf(content, query);
    return {
      ...{ sessionId: row.session_id, messageId: messageId(row.session_id, row.seq), seq: row.seq },
      ...{ role: row.role as MessageRole, createdAt: row.created_at, snippet, marks },
    };
  }

  /** The numbers go with the hits, for the next page. `built`: as of `Hits`. */
  async function hits(query: SearchQuery, reach: Reach, ask: Sought) {
    const found: { number: number; hit: SearchHit }[] = [];
    let { before } = ask;
    let built = true;
    while (found.length < ask.limit) {
      const hits = await index.find({ ...ask, before });
      const { numbers } = hits;
      built &&= hits.built;
      for (const row of numbers.length === 0 ? [] : await live(numbers, reach)) {
        const hit = hitOf(row, query);
        if (hit) found.push({ number: row.number, hit });
      }
      if (numbers.length < ask.limit) break;
      before = numbers.at(-1)!;
    }
    return { found: found.slice(0, ask.limit), built };
  }

  async function matchFor(caller: Caller, query: SearchQuery, reach: Reach, input: SearchInput) {
    const { sessionId: id, personId: person, class: kind } = input;
    const session = id === undefined ? undefined : await storage.read.get(sessions.byId, ofProject(id));
    if (id !== undefined && !session) return null;
    return matchOf(query, reach.scope, { session: session?.number, person, class: kind });
  }

  const ofProject = (id: string) => ({ project_id: projectId, id });

  return {
    state: () => index.state(),
    trouble: () => index.trouble(),
    async rebuild({ kind, id }) {
      await storage.write((tx) =>
        audit.append(tx, {
          ...{ project: projectId, actor: { kind, id }, action: 'search.rebuild' },
          ...{ object: null, outcome: 'applied' },
        }),
      );
      await index.rebuild();
    },

    async find(caller, input) {
      if (![USE, READ_ALL, SEE_ALL].some((one) => caller.permissions.has(one))) throw permissionRefused(USE);
      const { q, cursor, limit = PAGE } = input;
      const [from, to] = [moment(input.from), moment(input.to)];
      const query = parseQuery(q);
      const kind = listOf(input);
      const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursors.decode(kind, cursor));
      const reach = await find.reach(caller);
      const match = await matchFor(caller, query, reach, input);
      const caughtUp = await index.caughtUp();
      if (match === null) return { results: [], nextCursor: null, complete: caughtUp };
      const { found, built } = await hits(query, reach, { match, before, from, to, limit: limit + 1 });
      // A file that turned out to be damaged is empty now.
      const complete = caughtUp && built;
      const page = found.slice(0, limit);
      const results = page.map(({ hit }) => hit);
      await reading.shown(caller, [...new Set(results.map(({ sessionId }) => sessionId))]);
      const more = found.length > limit;
      return { results, nextCursor: more ? cursors.encode(kind, page.at(-1)!.number) : null, complete };
    },
  };
}

/** As rows have it, so that moments compare as texts. */
const moment = (time: string | undefined): string | undefined =>
  time === undefined ? undefined : new Date(time).toISOString();

const isWithoutOutput = (part: Part): boolean => part.type === 'tool-result' && part.output === undefined;

/** A cursor belongs to what was asked; the words do not stand in it. */
const listOf = ({ q, sessionId, personId, class: kind, from, to }: SearchInput): string =>
  `search ${hash('sha256', JSON.stringify([q, sessionId, personId, kind, from, to]))}`;

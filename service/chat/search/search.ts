import { hash } from 'node:crypto';
import { READ_ALL, SEE_ALL, USE, type Reach } from '../access.ts';
import type { AttachmentFiles } from '../attachments/attachment-files.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import type { Finding as Finder } from '../messages/finding.ts';
import type { Reading } from '../messages/reading.ts';
import { contentWithheld, permissionRefused } from '../refusals.ts';
import { sessions } from '../store.ts';
import type { Sought } from './shards.ts';
import type { SearchIndex } from './apart.ts';
import type { IndexState } from './indexer.ts';
import { createHits, type SearchHit } from './hits.ts';
import type { Kind } from './places.ts';
import { parseQuery, type SearchQuery } from './query.ts';
import { matchOf } from './scope.ts';

/**
 * Searching titles, messages and their files, each the newest first. The index names candidates, asked with the caller's access in the question; the
 * database then has the last word, in one query: what is deleted, in the bin or not theirs is not there. What a hit shows
 * comes from the message itself, so it is a reading and is recorded as one.
 */

export interface SearchInput {
  q: string;
  sessionId?: string | undefined;
  /** Whose session it is. */
  personId?: string | undefined;
  class?: string | undefined;
  /** What it has to stand in; absent: anything. */
  in?: Kind | undefined;
  /** ISO-8601: messages from this moment on, and before that one. */
  from?: string | undefined;
  to?: string | undefined;
  cursor?: string | undefined;
  limit?: number | undefined;
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

export function createSearch(
  { storage, audit, keys, cursors, projectId }: ChatDependencies,
  parts: { find: Finder; reading: Pick<Reading, 'shown'>; index: SearchIndex } & {
    files: Pick<AttachmentFiles, 'aboutOf' | 'contentOf'>;
  },
): Search {
  const { find, reading, index, files } = parts;
  const hitsOf = createHits({ storage, keys, projectId, files });

  /** Places go with the hits, for the next page. `built`: as of `Hits`. */
  async function hits(query: SearchQuery, reach: Reach, ask: Sought) {
    const hits: { place: number; hit: SearchHit }[] = [];
    let { before } = ask;
    let built = true;
    while (hits.length < ask.limit) {
      const answer = await index.find({ ...ask, before });
      built &&= answer.built;
      hits.push(...(await hitsOf(answer.found, query, reach)));
      if (answer.found.length < ask.limit) break;
      before = answer.found.at(-1)!.place;
    }
    return { found: hits.slice(0, ask.limit), built };
  }

  async function matchFor(caller: Caller, query: SearchQuery, reach: Reach, input: SearchInput) {
    const { sessionId: id, personId: person, class: kind, in: within } = input;
    const session = id === undefined ? undefined : await storage.read.get(sessions.byId, ofProject(id));
    if (id !== undefined && !session) return null;
    return matchOf(query, reach.scope, { session: session?.number, person, class: kind, in: within });
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
      if (![USE, READ_ALL].some((one) => caller.permissions.has(one)))
        throw caller.permissions.has(SEE_ALL) ? contentWithheld('search') : permissionRefused(USE);
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
      return { results, nextCursor: more ? cursors.encode(kind, page.at(-1)!.place) : null, complete };
    },
  };
}

/** As rows have it, so that moments compare as texts. */
const moment = (time: string | undefined): string | undefined =>
  time === undefined ? undefined : new Date(time).toISOString();

/** A cursor belongs to what was asked; the words do not stand in it. */
const listOf = ({ q, sessionId, personId, class: kind, in: within, from, to }: SearchInput): string =>
  `search ${hash('sha256', JSON.stringify([q, sessionId, personId, kind, within, from, to]))}`;

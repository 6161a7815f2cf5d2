import { z } from 'zod';
import { KINDS } from '../../chat/search/places.ts';
import { LONGEST_QUERY } from '../../chat/search/query.ts';
import { sendJson } from '../operation.ts';
import { operation } from './context.ts';
import { cursor, filter, limit, madeId, time } from './schemas/fields.ts';
import * as shapes from './schemas/search.ts';
import { sessionClass } from './schemas/sessions.ts';

/** Searching conversations, and the index that this takes. */

const SEARCH = '/api/search';
const TAG = 'Search';

const find = operation({
  ...{ method: 'get', path: SEARCH, id: 'search', tag: TAG, access: 'signed-in' },
  summary: 'Search titles, messages and their files that the caller may read, each the newest first',
  description: [
    'All words have to be in the same title, message or file, whatever their case. `"a phrase"` in quotes, the beginning of a word with a',
    'star (`migr*`), `-without` or `NOT without`; `OR` is a word like any other. What the answer to a write came before is found. That content was shown is',
    'recorded like any other reading. Of a file of text or JSON its name and first 256 KiB are searched; sessions whose title has',
    'the words come first.',
  ].join('\n'),
  query: z.strictObject({
    q: z.string().min(1).max(LONGEST_QUERY).describe('What is looked for.'),
    sessionId: madeId.optional().describe('Only in this session.'),
    personId: filter(200).optional().describe('Only in sessions of this person.'),
    class: sessionClass.optional().describe('Only in sessions of this class.'),
    in: z.enum(KINDS).optional().describe('Only in messages, in titles, or in attachments.'),
    from: time.optional().describe('Only messages from this moment on.'),
    to: time.optional().describe('Only messages before this moment.'),
    ...{ cursor, limit },
  }),
  responses: { 200: { description: 'A page of hits.', schema: shapes.searchPage } },
  problems: [403, 409, 503],
  async handle({ res, principal, query }, { chat }) {
    sendJson(res, 200, await chat.search.find(principal, query));
  },
});

const state = operation({
  ...{ method: 'get', path: `${SEARCH}/index`, id: 'showSearchIndex', tag: TAG },
  access: 'factory.operations.read',
  summary: 'How far the search index is',
  responses: { 200: { description: 'Its state.', schema: shapes.searchIndex } },
  problems: [503],
  async handle({ res }, { chat }) {
    sendJson(res, 200, await chat.search.state());
  },
});

const rebuild = operation({
  ...{ method: 'post', path: `${SEARCH}/index/rebuild`, id: 'rebuildSearchIndex', tag: TAG },
  access: 'factory.operations.run',
  summary: 'Throw the search index away and make it anew, while others work',
  responses: { 202: { description: 'It is being made; ask for its state.', schema: shapes.searchIndex } },
  problems: [503],
  async handle({ res, principal }, { chat }) {
    await chat.search.rebuild(principal);
    sendJson(res, 202, await chat.search.state());
  },
});

export const searchOperations = [find, state, rebuild];

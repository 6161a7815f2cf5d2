import { z } from 'zod';
import { findItem } from '../../work-items/store.ts';
import { sendJson } from '../operation.ts';
import { operation, type ApiContext } from './context.ts';
import { cursor, filter, flag, idempotencyKey, itemId, limit } from './schemas/fields.ts';
import { lane } from './schemas/gates.ts';
import { actions, item, itemList, newItem } from './schemas/items.ts';

/** Reading work items, and net-new ones. */

const ITEMS = '/api/control-plane/items';
export const ITEM = `${ITEMS}/{id}`;
export const itemParams = z.strictObject({ id: itemId });
export const TAG = 'Work items';

/** Where an item leads. */
const AT = { id: '/id' };
const LINKS = {
  ...{ showItem: AT, listActions: AT, showHistory: AT },
  ...{ submitEvidence: AT, waiveCriterion: AT, overrideGate: AT },
};

/** Of an item's sub-resources: the item itself, before anything else is looked at. */
export async function itemExists(
  { id = '' }: Record<string, string>,
  { storage, projectId, items }: ApiContext,
): Promise<void> {
  if (!(await findItem(storage.read, projectId, id))) throw items.notThere(id);
}

const list = operation({
  ...{ method: 'get', path: ITEMS, id: 'listItems', tag: TAG, access: 'signed-in' },
  summary: 'List work items, the last changed first',
  query: z.strictObject({
    lane: lane.optional(),
    q: filter(200).optional().describe('Part of an id or a title.'),
    workType: filter(100).optional(),
    mine: flag.optional().describe('Only items that the caller holds.'),
    attention: flag.optional().describe('Only items that need somebody.'),
    cursor,
    limit,
  }),
  responses: {
    200: { description: 'A page of items.', schema: itemList },
  },
  async handle({ res, principal, query }, { items }) {
    sendJson(res, 200, await items.list(principal, query));
  },
});

const create = operation({
  ...{ method: 'post', path: ITEMS, id: 'createItem', tag: TAG, access: 'factory.work-item.create' },
  summary: 'Create a net-new work item in the backlog',
  description: 'Writes its record and its prompt into the queue folder.',
  headers: z.strictObject({ 'Idempotency-Key': idempotencyKey.optional() }),
  body: newItem,
  responses: {
    201: {
      description: 'The new item.',
      schema: item,
      headers: ['ETag', 'Location', 'Idempotency-Replayed'],
      links: LINKS,
    },
  },
  problems: [409, 422],
  async handle({ res, principal, headers, body }, { items }) {
    const { item, replayed } = await items.create(principal, body, {
      idempotencyKey: headers['Idempotency-Key'],
    });
    res.set({ ETag: `"${item.version}"`, Location: `${ITEMS}/${item.id}` });
    if (replayed) res.set('Idempotency-Replayed', 'true');
    sendJson(res, 201, item);
  },
});

const show = operation({
  ...{ method: 'get', path: ITEM, id: 'showItem', tag: TAG, access: 'signed-in' },
  summary: 'Show a work item as its page does',
  params: itemParams,
  responses: { 200: { description: 'The item.', schema: item, headers: ['ETag'] } },
  async handle({ res, principal, params }, { items }) {
    const found = await items.show(principal, params.id);
    res.set('ETag', `"${found.version}"`);
    sendJson(res, 200, found);
  },
});

const explain = operation({
  ...{ method: 'get', path: `${ITEM}/actions`, id: 'listActions', tag: TAG, access: 'signed-in' },
  summary: 'Explain every action for this caller: permission, gates, ways out',
  params: itemParams,
  query: z.strictObject({ all: flag.optional().describe('Also those that the lane does not allow.') }),
  responses: { 200: { description: 'The actions.', schema: actions, headers: ['ETag'] } },
  exists: itemExists,
  async handle({ res, principal, params, query }, { items }) {
    const explained = await items.actions(principal, params.id, query);
    res.set('ETag', `"${explained.version}"`);
    sendJson(res, 200, explained);
  },
});

export const itemOperations = [list, create, show, explain];

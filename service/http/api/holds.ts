import { z } from 'zod';
import { sendJson, sendNothing } from '../operation.ts';
import { operation } from './context.ts';
import { cursor, flag, limit, madeId } from './schemas/fields.ts';
import { hold, holdList, newHold, placedHold } from './schemas/governance.ts';

/** Holds: what is kept from every deletion. */

const HOLDS = '/api/governance/holds';
const READ = { tag: 'Governance', access: 'factory.governance.read' } as const;
const MANAGE = { tag: 'Governance', access: 'factory.governance.manage' } as const;
const byId = z.strictObject({ id: madeId });

const place = operation({
  ...{ method: 'post', path: HOLDS, id: 'placeHold', ...MANAGE },
  summary: 'Keep content from every deletion: by people, by retention and by erasure',
  description: 'One that covers nothing that is here now is placed all the same, for what comes.',
  body: newHold,
  responses: { 201: { description: 'The hold.', schema: placedHold, headers: ['Location'] } },
  problems: [404, 410],
  async handle({ res, principal, body }, { chat }) {
    const made = await chat.governance.holds.place(principal, body);
    res.set('Location', `${HOLDS}/${made.id}`);
    sendJson(res, 201, made);
  },
});

const list = operation({
  ...{ method: 'get', path: HOLDS, id: 'listHolds', ...READ },
  summary: 'List holds, the newest first',
  query: z.strictObject({ released: flag.optional().describe('Released ones, too.'), cursor, limit }),
  responses: { 200: { description: 'A page of holds.', schema: holdList } },
  async handle({ res, principal, query }, { chat }) {
    sendJson(res, 200, await chat.governance.holds.list(principal, query));
  },
});

const show = operation({
  ...{ method: 'get', path: `${HOLDS}/{id}`, id: 'showHold', ...READ },
  summary: 'Show a hold',
  params: byId,
  responses: { 200: { description: 'The hold.', schema: hold } },
  async handle({ res, principal, params }, { chat }) {
    sendJson(res, 200, await chat.governance.holds.show(principal, params.id));
  },
});

const release = operation({
  ...{ method: 'delete', path: `${HOLDS}/{id}`, id: 'releaseHold', ...MANAGE },
  summary: 'Release a hold; nothing is deleted by that, but an erasure that waited for it goes on',
  params: byId,
  responses: { 204: { description: 'It is released.' } },
  async handle({ res, principal, params }, { chat }) {
    await chat.governance.holds.release(principal, params.id);
    sendNothing(res);
  },
});

export const holdOperations = [place, list, show, release];

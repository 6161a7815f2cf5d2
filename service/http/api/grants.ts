import { z } from 'zod';
import { sendJson, sendNothing } from '../operation.ts';
import { operation } from './context.ts';
import { cursor, flag, limit, madeId } from './schemas/fields.ts';
import { grant, grantList, newGrant } from './schemas/grants.ts';

/** Grants: who may read a session that is not theirs, and break-glass. */

const GRANTS = '/api/governance/grants';
const ANYBODY = { tag: 'Governance', access: 'signed-in' } as const;
const MANAGE = { tag: 'Governance', access: 'factory.governance.manage' } as const;
const byId = z.strictObject({ id: madeId });

const make = operation({
  ...{ method: 'post', path: GRANTS, id: 'makeGrant', ...ANYBODY },
  summary: 'Let a person or the team read your session until a time; or ask for break-glass',
  description:
    'Break-glass is for owners where the policy hides sessions of others from them. Another owner approves it; in the solo preset it counts after a waiting time. It lasts a day at most.',
  body: newGrant,
  responses: { 201: { description: 'The grant.', schema: grant, headers: ['Location'] } },
  problems: [404, 409, 410],
  async handle({ res, principal, body }, { chat }) {
    const made = await chat.governance.grants.make(principal, body);
    res.set('Location', `${GRANTS}/${made.id}`);
    sendJson(res, 201, made);
  },
});

const list = operation({
  ...{ method: 'get', path: GRANTS, id: 'listGrants', ...ANYBODY },
  summary: 'List grants, the newest first: all to those who govern, to others those that concern them',
  query: z.strictObject({
    sessionId: madeId.optional().describe('Those that open this session, break-glass too.'),
    open: flag.optional().describe('Those alone that are in force, or wait for somebody or a time.'),
    ...{ cursor, limit },
  }),
  responses: { 200: { description: 'A page of grants.', schema: grantList } },
  problems: [404, 410],
  async handle({ res, principal, query }, { chat }) {
    sendJson(res, 200, await chat.governance.grants.list(principal, query));
  },
});

const show = operation({
  ...{ method: 'get', path: `${GRANTS}/{id}`, id: 'showGrant', ...ANYBODY },
  summary: 'Show a grant to those whom it concerns',
  params: byId,
  responses: { 200: { description: 'The grant.', schema: grant } },
  async handle({ res, principal, params }, { chat }) {
    sendJson(res, 200, await chat.governance.grants.show(principal, params.id));
  },
});

const decide = (verdict: 'approve' | 'refuse') =>
  operation({
    ...{ method: 'post', path: `${GRANTS}/{id}/${verdict}`, id: `${verdict}Grant`, ...MANAGE },
    summary:
      verdict === 'approve' ? 'Approve break-glass that somebody else asked for' : 'Refuse break-glass',
    params: byId,
    responses: { 200: { description: 'The grant.', schema: grant } },
    problems: [409],
    async handle({ res, principal, params }, { chat }) {
      sendJson(res, 200, await chat.governance.grants.decide(principal, params.id, verdict));
    },
  });

const revoke = operation({
  ...{ method: 'delete', path: `${GRANTS}/{id}`, id: 'revokeGrant', ...ANYBODY },
  summary: 'End a grant: by who gave it, who has it, whose session it is, and who governs',
  params: byId,
  responses: { 204: { description: 'It is ended.' } },
  async handle({ res, principal, params }, { chat }) {
    await chat.governance.grants.revoke(principal, params.id);
    sendNothing(res);
  },
});

export const grantOperations = [make, list, show, decide('approve'), decide('refuse'), revoke];

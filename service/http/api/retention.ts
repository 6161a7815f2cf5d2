import { z } from 'zod';
import { sendJson } from '../operation.ts';
import { operation } from './context.ts';
import { cursor, limit, madeId } from './schemas/fields.ts';
import { application, plan, planList } from './schemas/retention.ts';

/** Retention: planned, looked at, applied by its digest. */

const PLANS = '/api/governance/retention-plans';
const READ = { tag: 'Governance', access: 'factory.governance.read' } as const;
const MANAGE = { tag: 'Governance', access: 'factory.governance.manage' } as const;
const byId = z.strictObject({ id: madeId });

const make = operation({
  ...{ method: 'post', path: PLANS, id: 'planRetention', ...MANAGE },
  summary: 'Plan what expires by the policies of now; nothing is deleted by that',
  description:
    'Content first goes to the bin, where nobody sees it, and after its days there a later plan purges it. Days are whole ones, UTC.',
  body: z.strictObject({}),
  responses: { 201: { description: 'The plan.', schema: plan, headers: ['Location'] } },
  async handle({ res, principal }, { chat }) {
    const made = await chat.governance.retention.plan(principal);
    res.set('Location', `${PLANS}/${made.id}`);
    sendJson(res, 201, made);
  },
});

const list = operation({
  ...{ method: 'get', path: PLANS, id: 'listRetentionPlans', ...READ },
  summary: 'List plans and what was done by them, the newest first',
  query: z.strictObject({ cursor, limit }),
  responses: { 200: { description: 'A page of plans.', schema: planList } },
  async handle({ res, query }, { chat }) {
    sendJson(res, 200, await chat.governance.retention.list(query));
  },
});

const show = operation({
  ...{ method: 'get', path: `${PLANS}/{id}`, id: 'showRetentionPlan', ...READ },
  summary: 'Show a plan, and the signed record of its run',
  params: byId,
  responses: { 200: { description: 'The plan.', schema: plan } },
  async handle({ res, params }, { chat }) {
    sendJson(res, 200, await chat.governance.retention.show(params.id));
  },
});

const apply = operation({
  ...{ method: 'post', path: `${PLANS}/{id}/apply`, id: 'applyRetentionPlan', ...MANAGE },
  summary: 'Carry out exactly this plan; refused if it is not what expires now',
  params: byId,
  body: application,
  responses: { 200: { description: 'It was carried out.', schema: plan } },
  problems: [409],
  async handle({ res, principal, params, body }, { chat }) {
    sendJson(res, 200, await chat.governance.retention.apply(principal, params.id, body.digest));
  },
});

const undo = operation({
  ...{ method: 'post', path: `${PLANS}/{id}/undo`, id: 'undoRetentionPlan', ...MANAGE },
  summary: 'Take back what this plan put into the bin and what still lies there',
  params: byId,
  responses: { 200: { description: 'It is as before, but for what was purged.', schema: plan } },
  problems: [409],
  async handle({ res, principal, params }, { chat }) {
    sendJson(res, 200, await chat.governance.retention.undo(principal, params.id));
  },
});

export const retentionOperations = [make, list, show, apply, undo];

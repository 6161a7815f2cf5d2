import { sendJson } from '../operation.ts';
import { operation } from './context.ts';
import { newPolicies, policies } from './schemas/governance.ts';

/** Policies of conversations: what is kept how long, what is done about sensitive data, who reads what. */

const POLICIES = '/api/governance/policies';

const show = operation({
  ...{ method: 'get', path: POLICIES, id: 'showPolicies', tag: 'Governance' },
  access: 'factory.governance.read',
  summary: 'Show the policies; of classes that are not named, `general` holds',
  responses: { 200: { description: 'All policies.', schema: policies } },
  async handle({ res }, { chat }) {
    sendJson(res, 200, await chat.policies.all());
  },
});

const put = operation({
  ...{ method: 'put', path: POLICIES, id: 'putPolicies', tag: 'Governance' },
  access: 'factory.governance.manage',
  summary: 'Replace the policies; nothing is deleted by that',
  body: newPolicies,
  responses: { 200: { description: 'The policies of now.', schema: policies } },
  problems: [412],
  async handle({ res, principal, body: { version, ...document } }, { chat }) {
    sendJson(res, 200, await chat.policies.put(principal, document, version ?? null));
  },
});

export const policyOperations = [show, put];

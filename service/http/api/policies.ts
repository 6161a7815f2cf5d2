import { z } from 'zod';
import type { PolicyVersion } from '../../chat/policies.ts';
import { changesBetween } from '../../chat/policy-changes.ts';
import { sendJson } from '../operation.ts';
import { operation } from './context.ts';
import { cursor, limit } from './schemas/fields.ts';
import { newPolicies, policies, policyVersions } from './schemas/governance.ts';

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
  description:
    'With `general.breakGlass` on, `false` is a wish: it stays on, `pending` says until when, and goes off a day later, or at once when another owner sends `false` as well (not in the solo preset). `true` takes nothing back. All else counts at once.',
  body: newPolicies,
  responses: { 200: { description: 'The policies of now.', schema: policies } },
  problems: [412],
  async handle({ res, principal, body: { version, pending: _read, ...document } }, { chat }) {
    sendJson(res, 200, await chat.policies.put(principal, document, version ?? null));
  },
});

const history = operation({
  ...{ method: 'get', path: `${POLICIES}/versions`, id: 'listPolicyVersions', tag: 'Governance' },
  access: 'factory.governance.read',
  summary: 'List every version of the policies with who put it, when, and what it changed; the newest first',
  query: z.strictObject({ cursor, limit }),
  responses: { 200: { description: 'A page of versions.', schema: policyVersions } },
  async handle({ res, query }, { chat }) {
    const { versions, nextCursor } = await chat.policies.history(query);
    sendJson(res, 200, { versions: versions.map(versionOf), nextCursor });
  },
});

function versionOf({ before, version, at, by, general, classes }: PolicyVersion) {
  const old = { general: before.general, classes: before.classes };
  return { version, at, by, changes: changesBetween(old, { general, classes }), general, classes };
}

const takeBack = operation({
  ...{ method: 'delete', path: `${POLICIES}/pending`, id: 'keepBreakGlass', tag: 'Governance' },
  access: 'factory.governance.manage',
  summary: 'Take back that break-glass goes off; by any owner',
  responses: { 200: { description: 'The policies of now.', schema: policies } },
  async handle({ res, principal }, { chat }) {
    sendJson(res, 200, await chat.policies.takeBack(principal, null));
  },
});

export const policyOperations = [show, put, history, takeBack];

import { z } from 'zod';
import { sendJson } from '../operation.ts';
import { operation } from './context.ts';
import { ITEM, itemExists, itemParams } from './items.ts';
import { cursor, itemId, limit, madeId } from './schemas/fields.ts';
import { actionReport } from './schemas/gates.ts';
import { decision, history, snapshot } from './schemas/history.ts';

/** What happened to an item, and why its actions were decided as they were. */

const TAG = 'History';
const DECISION = `${ITEM}/decisions/{decisionId}`;
const decisionParams = z.strictObject({ id: itemId, decisionId: madeId });

const events = operation({
  ...{ method: 'get', path: `${ITEM}/history`, id: 'showHistory', tag: TAG, access: 'signed-in' },
  summary: 'List what happened to a work item, newest first',
  params: itemParams,
  query: z.strictObject({ cursor, limit }),
  responses: {
    200: {
      description: 'A page of its history.',
      schema: history,
    },
  },
  exists: itemExists,
  async handle({ res, principal, params, query }, { items }) {
    sendJson(res, 200, await items.history(principal, params.id, query));
  },
});

const showDecision = operation({
  ...{ method: 'get', path: DECISION, id: 'showDecision', tag: TAG, access: 'signed-in' },
  summary: 'Show a decision with the gates and facts that it rests on',
  params: decisionParams,
  responses: { 200: { description: 'The decision.', schema: decision } },
  exists: itemExists,
  async handle({ res, principal, params }, { items }) {
    sendJson(res, 200, await items.decision(principal, params.id, params.decisionId));
  },
});

const reevaluate = operation({
  ...{
    method: 'post',
    path: `${DECISION}/evaluations`,
    id: 'reevaluateDecision',
    tag: TAG,
    access: 'signed-in',
  },
  summary: "Evaluate a decision's action again, with what is known now",
  params: decisionParams,
  responses: { 200: { description: 'The action as it is now.', schema: actionReport } },
  exists: itemExists,
  async handle({ res, principal, params }, { items }) {
    sendJson(res, 200, await items.reevaluate(principal, params.id, params.decisionId));
  },
});

const showSnapshot = operation({
  ...{ method: 'get', path: `${ITEM}/snapshots/{digest}`, id: 'showSnapshot', tag: TAG, access: 'signed-in' },
  summary: 'Show a recorded history snapshot',
  params: z.strictObject({ id: itemId, digest: z.string().regex(/^[0-9a-f]{64}$/) }),
  responses: { 200: { description: 'The snapshot.', schema: snapshot } },
  exists: itemExists,
  async handle({ res, principal, params }, { items }) {
    sendJson(res, 200, await items.snapshot(principal, params.id, params.digest));
  },
});

export const historyOperations = [events, showDecision, reevaluate, showSnapshot];

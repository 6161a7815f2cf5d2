import { z } from 'zod';
import { INPUT_SCHEMAS } from '../../work-items/actions-input.ts';
import { ACTION_IDENTITIES, type ActionIdentity, type Principal } from '../../work-items/types.ts';
import { sendJson, type Call } from '../operation.ts';
import { operation, type ApiContext } from './context.ts';
import { ITEM, itemExists, itemParams, TAG } from './items.ts';
import { flag, idempotencyKey, ifMatch, itemId, madeId, named } from './schemas/fields.ts';
import { actionResult } from './schemas/items.ts';

/**
 * Planning and applying actions. Three take an input of their own and are described one by one, so that the contract
 * says exactly what each accepts; all of them are `POST …/actions/{identity}`.
 */

const query = z.strictObject({
  dryRun: flag.optional().describe('Plans only: writes nothing but the decision.'),
});
const headers = z.strictObject({
  'Idempotency-Key': idempotencyKey.optional(),
  'If-Match': ifMatch.optional(),
});
const decisionId = madeId
  .optional()
  .describe('The plan that was shown; refused with 409 if it no longer holds.');

const common = {
  method: 'post',
  tag: TAG,
  // The service decides: an unknown item, a bad body and a replay are answered before a missing permission.
  access: 'signed-in',
  query,
  headers,
  responses: {
    200: {
      description: 'The plan, or what was done.',
      schema: actionResult,
      headers: ['ETag', 'Idempotency-Replayed'],
      links: {
        showDecision: { id: '/item/id', decisionId: '/decisionId' },
        reevaluateDecision: { id: '/item/id', decisionId: '/decisionId' },
        showSnapshot: { id: '/item/id', digest: '/item/history/latest' },
      },
    },
  },
  problems: [403, 409, 412, 422, 428],
  exists: itemExists,
} as const;

interface ActBody {
  decisionId?: string | undefined;
  input?: unknown;
}

type ActCall = Call<{ id: string }, z.output<typeof query>, z.output<typeof headers>, ActBody>;

async function act(identity: ActionIdentity, call: ActCall, { items }: ApiContext): Promise<void> {
  const { res, principal, params, query, headers, body } = call;
  const answer = await items.act(principal satisfies Principal, params.id, identity, {
    ...body,
    dryRun: query.dryRun,
    idempotencyKey: headers['Idempotency-Key'],
    ifMatch: headers['If-Match'],
  });
  res.set('ETag', `"${answer.version}"`);
  if (answer.replayed) res.set('Idempotency-Replayed', 'true');
  sendJson(res, 200, answer.result);
}

/** Actions whose input is more than a note. */
const OWN_INPUT = ['submit-evidence', 'waive-criterion', 'override-gate'] as const;
type OwnInput = (typeof OWN_INPUT)[number];

/** An item that can take evidence, and what is sent for it. */
const UNDER_WAY = itemId.meta({ examples: ['wi-BF-301'] });
const EXAMPLES = {
  'submit-evidence': {
    kind: 'validation',
    result: 'passed',
    commit: '3f786850e387550fdab836ed7e6dc881de23001b',
  },
  'waive-criterion': { criterion: 1, reason: 'Covered by the criterion after it.' },
  'override-gate': {
    ...{ gate: 'pull-request', action: 'prepare-release' },
    ...{ reason: 'The release train leaves today.', until: '2099-12-31T23:59:59Z' },
  },
} as const;

/** What a refinement says: a criterion is named for this kind and for no other. */
const evidence = INPUT_SCHEMAS['submit-evidence'].meta({
  if: { properties: { kind: { const: 'criterion' } } },
  then: { required: ['criterion'] },
  else: { properties: { criterion: false } },
});

const withOwnInput = (identity: OwnInput, id: string, summary: string, input: z.ZodType) => {
  const body = z.strictObject({ decisionId, input }).meta({ examples: [{ input: EXAMPLES[identity] }] });
  return operation({
    ...common,
    path: `${ITEM}/actions/${identity}`,
    id,
    summary,
    params: identity === 'override-gate' ? itemParams : z.strictObject({ id: UNDER_WAY }),
    body: named(`${id[0]?.toUpperCase()}${id.slice(1)}Request`, body),
    handle: (call, context) => act(identity, call, context),
  });
};

const identity = z
  .enum(ACTION_IDENTITIES)
  .exclude(OWN_INPUT)
  .meta({ examples: ['record-history'] });

const noted = operation({
  ...common,
  path: `${ITEM}/actions/{identity}`,
  id: 'act',
  summary: 'Plan or apply an action',
  params: z.strictObject({ id: itemId, identity }),
  body: named(
    'ActRequest',
    z
      .strictObject({ decisionId, input: INPUT_SCHEMAS['start-execution'].optional() })
      .meta({ examples: [{ input: { note: 'Before the release.' } }] }),
  ),
  handle: (call, context) => act(call.params.identity, call, context),
});

export const actionOperations = [
  withOwnInput('submit-evidence', 'submitEvidence', 'Bind a result to a commit', evidence),
  withOwnInput(
    'waive-criterion',
    'waiveCriterion',
    'Accept an item without evidence for a criterion',
    INPUT_SCHEMAS['waive-criterion'],
  ),
  withOwnInput(
    'override-gate',
    'overrideGate',
    'Let one action pass one gate until a given time',
    INPUT_SCHEMAS['override-gate'],
  ),
  noted,
];

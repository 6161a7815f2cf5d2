import { z } from 'zod';
import type {
  ActionResult,
  ActionsDocument,
  ItemDocument,
  ItemSummary,
} from '../../../work-items/documents.ts';
import { OVERRIDE_STATES } from '../../../work-items/gates/override.ts';
import { NEW_ITEM } from '../../../work-items/new-item.ts';
import { count, itemId, named, nextCursor, time, version } from './fields.ts';
import {
  actionIdentity,
  actionReport,
  drift,
  effect,
  freshness,
  gateResult,
  lane,
  queueProblem,
} from './gates.ts';

/** Work items as answers show them, and the body of a net-new one. */

const evidence = named(
  'Evidence',
  z.strictObject({
    id: z.string(),
    kind: z.enum(['validation', 'criterion', 'attestation']),
    criterion: count.nullable(),
    commit: z.string().nullable(),
    result: z.enum(['passed', 'failed']),
    scriptDigest: z.string().nullable(),
    url: z.string().nullable(),
    note: z.string().nullable(),
    producer: z.string(),
    trust: z.string(),
    at: time,
  }),
);

const criterion = z.strictObject({
  number: z.int().min(1).describe('From 1, as people count.'),
  text: z.string(),
  status: z.enum(['met', 'failed', 'waived', 'not-recorded']),
  evidence: z.array(evidence),
  waiver: z.strictObject({ reason: z.string(), by: z.string(), at: time }).nullable(),
});

const handoff = named(
  'Handoff',
  z.strictObject({
    id: z.string(),
    state: z.string(),
    queuedBy: z.string().nullable(),
    queuedAt: time,
    holder: z.string().nullable(),
    claimedAt: time.nullable(),
    endedAt: time.nullable(),
    adopted: z.boolean(),
  }),
);

const override = z.strictObject({
  id: z.string(),
  gate: z.string(),
  action: z.string(),
  reason: z.string(),
  until: time,
  by: z.string(),
  at: time,
  secondedBy: z.string().nullable(),
  state: z
    .enum(OVERRIDE_STATES)
    .describe('What it waits for, or that it turns its gate, or that it is over.'),
  from: time
    .nullable()
    .describe('From when it counts; null while that takes a second person, and where there was none.'),
});

const queueTruth = z.strictObject({
  freshness,
  sources: z.array(freshness.extend({ source: z.string(), budgetSeconds: z.number() })),
  drift: z.array(drift),
  notConnected: z.array(z.string()),
  notComputed: z.array(z.strictObject({ code: z.string(), reason: z.string() })),
});

const identity = {
  id: itemId,
  key: z.string(),
  title: z.string(),
  summary: z.string(),
  lane,
  workType: z.string(),
};
const observed = {
  source: z.string().describe('The queue collection that the record was read from.'),
  status: z.string().describe('The literal value in the record.'),
  state: z.string(),
};

export const item = named(
  'Item',
  z.strictObject({
    ...identity,
    ...observed,
    stateBasis: z.enum(['record', 'forge']),
    branch: z.string().nullable(),
    validation: z.string().nullable(),
    pr: z.string().nullable(),
    criteria: z.array(criterion),
    queueTruth,
    guidance: z.array(z.string()),
    problems: z.array(queueProblem),
    prompt: z.strictObject({ path: z.string(), excerpt: z.string().nullable(), missing: z.boolean() }),
    blockedBy: z.array(
      z.strictObject({ id: z.string(), title: z.string().nullable(), lane: lane.nullable() }),
    ),
    supersedes: z.string().nullable(),
    supersededBy: z.array(z.string()),
    handoff: handoff.nullable(),
    pastHandoffs: z.array(handoff),
    evidence: z.array(evidence),
    approvals: z.array(
      z.strictObject({
        by: z.string(),
        commit: z.string().nullable(),
        note: z.string().nullable(),
        at: time,
      }),
    ),
    overrides: z.array(override),
    release: z.strictObject({ by: z.string(), at: time, pr: z.string().nullable() }).nullable(),
    history: z.strictObject({ count, latest: z.string().nullable(), at: time.nullable() }),
    origin: z.enum(['import', 'create']),
    createdAt: time,
    updatedAt: time,
    version,
  }) satisfies z.ZodType<ItemDocument>,
);

const attention = z.strictObject({
  kind: z.enum(['problem', 'drift', 'blocked', 'waiting']),
  cause: z.string(),
  step: z.strictObject({ label: z.string(), action: actionIdentity.nullable(), url: z.string() }),
});

export const itemSummary = named(
  'ItemSummary',
  z.strictObject({
    ...identity,
    ...observed,
    pr: z.string().nullable(),
    criteria: z.strictObject({ total: count, met: count }),
    holder: z.string().nullable(),
    handoff: z.strictObject({ state: z.string(), since: time }).nullable(),
    freshness,
    drift: z.array(drift),
    attention: attention.nullable(),
    version,
    updatedAt: time,
  }) satisfies z.ZodType<ItemSummary>,
);

export const itemList = named('ItemList', z.strictObject({ items: z.array(itemSummary), nextCursor }));

export const actions = named(
  'Actions',
  z.strictObject({ version, actions: z.array(actionReport) }) satisfies z.ZodType<ActionsDocument>,
);

export const actionResult = named(
  'ActionResult',
  z.strictObject({
    decisionId: z.string(),
    dryRun: z.boolean(),
    identity: actionIdentity,
    lane: z.strictObject({ from: lane, to: lane }),
    diff: z
      .array(z.strictObject({ field: z.string(), before: z.unknown(), after: z.unknown() }))
      .describe('Fields of the item that change.'),
    effects: z.array(effect),
    gates: z.array(gateResult),
    item,
  }) satisfies z.ZodType<ActionResult>,
);

export const newItem = named(
  'NewItem',
  NEW_ITEM.meta({
    examples: [
      {
        title: 'Say in the footer which release runs',
        summary: 'People who report a problem cannot tell which release they saw.',
        workType: 'feature',
        criteria: ['The footer of every page names the release.'],
        prompt: 'Show the release in the footer of every page, and cover it with a test.',
      },
    ],
  }),
);

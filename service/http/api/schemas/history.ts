import { z } from 'zod';
import type { DecisionDocument, HistoryDocument } from '../../../work-items/documents.ts';
import { named, nextCursor, time, version } from './fields.ts';
import { actionIdentity, effect, gateResult, lane, permission } from './gates.ts';

/** What happened to an item, and how each action was decided. */

const outcome = z.enum(['planned', 'applied', 'blocked']);

const entry = z.strictObject({
  seq: z.int().min(1),
  at: time,
  actor: z.string(),
  type: z.string(),
  text: z.string(),
  version,
  decisionId: z.string().nullable(),
  snapshot: z.string().nullable(),
});

const decisionSummary = z.strictObject({
  id: z.string(),
  identity: actionIdentity,
  label: z.string(),
  outcome,
  by: z.string(),
  at: time,
  blockers: z.array(z.string()),
});

export const history = named(
  'History',
  z.strictObject({
    itemId: z.string(),
    title: z.string(),
    lane,
    events: z.array(entry),
    decisions: z.array(decisionSummary),
    snapshots: z.array(z.strictObject({ digest: z.string(), at: time })),
    nextCursor,
  }) satisfies z.ZodType<HistoryDocument>,
);

const actor = z.strictObject({
  kind: z.enum(['person', 'token', 'system']),
  id: z.string(),
  personId: z.string().nullable(),
  roles: z.array(z.string()),
});

export const decision = named(
  'Decision',
  z.strictObject({
    id: z.string(),
    itemId: z.string(),
    identity: actionIdentity,
    label: z.string(),
    outcome,
    by: z.string(),
    actor,
    at: time,
    ruleVersion: z.string(),
    gatePack: z.string(),
    policyDigest: z.string(),
    factsDigest: z.string(),
    itemVersion: version,
    permission,
    input: z.unknown(),
    ids: z.array(z.string()).describe('New ids that the effects name; applying the plan uses the same ones.'),
    plan: z.string().nullable().describe('The plan that was applied; null where there was none.'),
    decided: z.string().nullable().describe('Digest of what was decided, notes left out; null: blocked.'),
    gates: z.array(gateResult),
    lane: z.strictObject({ from: lane, to: lane }).nullable(),
    effects: z.array(effect),
  }) satisfies z.ZodType<DecisionDocument>,
);

export const snapshot = named(
  'HistorySnapshot',
  z.strictObject({
    digest: z.string(),
    at: time,
    content: z.record(z.string(), z.unknown()).describe('Record, signals and decisions, as they were.'),
  }),
);

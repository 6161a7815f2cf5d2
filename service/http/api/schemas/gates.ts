import { z } from 'zod';
import {
  ACTION_IDENTITIES,
  DRIFT_CODES,
  FRESHNESS,
  GATE_IDENTITIES,
  LANES,
  VERDICTS,
} from '../../../work-items/types.ts';
import type {
  ActionReport,
  Drift,
  Effect,
  GateFact,
  GateResult,
  QueueProblem,
  Recovery,
  Unblock,
} from '../../../work-items/types.ts';
import { count, named, time } from './fields.ts';

/** Gate records, drift and what else the rules say; each must fit the type of its words. */

export const lane = named('Lane', z.enum(LANES));
export const actionIdentity = named('ActionIdentity', z.enum(ACTION_IDENTITIES));
export const gateIdentity = named('GateIdentity', z.enum(GATE_IDENTITIES));

const gateFact = named(
  'GateFact',
  z.strictObject({
    source: z.string(),
    path: z.string(),
    value: z.unknown(),
    observedAt: time.nullable(),
    revision: z.string().nullable(),
  }) satisfies z.ZodType<GateFact>,
);

const awaited = z.strictObject({ source: z.string(), path: z.string(), becomes: z.array(z.unknown()) });

const recovery = named(
  'Recovery',
  z.strictObject({
    cause: z.string().describe('Why the gate blocks.'),
    policyContext: z.string().describe('The rule behind it.'),
    nextStep: z.string().describe('What to do.'),
    safeRetry: z.strictObject({
      text: z.string(),
      mode: z.enum(['never', 'now', 'after-change', 'after-time']),
      afterSeconds: z.number().min(0).optional(),
      whenFact: awaited
        .extend({ also: z.array(awaited).optional() })
        .optional()
        .describe('The fact that, once it has one of these values, makes the gate pass.'),
    }),
  }) satisfies z.ZodType<Recovery>,
);

const unblock = z.strictObject({
  action: actionIdentity.optional(),
  url: z.string().optional(),
  permission: z.string().nullable(),
}) satisfies z.ZodType<Unblock>;

export const gateResult = named(
  'GateResult',
  z.strictObject({
    gate: gateIdentity,
    code: z.string(),
    verdict: z.enum(VERDICTS),
    reason: z.string(),
    params: z.record(z.string(), z.unknown()),
    facts: z.array(gateFact),
    recovery: recovery.nullable(),
    unblock: z.array(unblock).describe('Ways out.'),
  }) satisfies z.ZodType<GateResult>,
);

export const permission = z.strictObject({ name: z.string(), granted: z.boolean() });

export const actionReport = named(
  'ActionReport',
  z.strictObject({
    identity: actionIdentity,
    label: z.string(),
    description: z.string(),
    enabled: z.boolean().describe('Every gate lets it pass, whoever asks.'),
    permission: permission.describe('Whether the caller may.'),
    gates: z.array(gateResult),
  }) satisfies z.ZodType<ActionReport>,
);

export const effect = z.strictObject({ kind: z.string(), text: z.string() }) satisfies z.ZodType<Effect>;

const signal = z.strictObject({ source: z.string(), value: z.string() });

export const drift = named(
  'Drift',
  z.strictObject({
    code: z.enum(DRIFT_CODES),
    severity: z.enum(['error', 'warn']),
    field: z.string(),
    left: signal,
    right: signal,
  }) satisfies z.ZodType<Drift>,
);

export const freshness = z.strictObject({ verdict: z.enum(FRESHNESS), ageSeconds: count.nullable() });

export const queueProblem = named(
  'QueueProblem',
  z.strictObject({
    file: z.string(),
    line: count,
    code: z.string(),
    message: z.string(),
    itemId: z.string().nullable(),
    hint: z.string(),
    severity: z.literal('warn').optional(),
  }) satisfies z.ZodType<QueueProblem>,
);

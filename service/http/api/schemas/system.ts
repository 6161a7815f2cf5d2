import { z } from 'zod';
import type { HealthDocument } from '../../../ops/health.ts';
import { named, time } from './fields.ts';
import { gateResult, lane } from './gates.ts';

/** Health, and the form of every problem. */

const check = z.strictObject({
  status: z.enum(['ok', 'degraded', 'failing', 'not-configured']),
  detail: z.string(),
});

export const health = named(
  'Health',
  z.strictObject({
    status: z.enum(['ok', 'degraded', 'failing']),
    installation: z.string().describe('Which installation answers; the same as long as its database lives.'),
    release: z.string().nullable(),
    schema: z.int().min(1),
    startedAt: time,
    checks: z.strictObject({
      database: check,
      disk: check,
      audit: check,
      queue: check,
      scheduler: check,
      backup: check,
      restore: check,
      search: check,
    }),
  }) satisfies z.ZodType<HealthDocument>,
);

export const openapi = z.looseObject({ openapi: z.string(), paths: z.looseObject({}) });

const fieldProblem = z.strictObject({
  path: z.string().describe('The field, e.g. `criteria.0`; empty for the whole body.'),
  message: z.string(),
});

export const problem = named(
  'Problem',
  z
    .looseObject({
      type: z.string(),
      title: z.string(),
      status: z.int().min(400).max(599),
      detail: z.string().describe('What happened, for people.'),
      code: z.string().describe('What happened, for machines; stable.'),
      hint: z.string().describe('The next step.'),
      retryable: z.boolean().describe('The same request can succeed later without a change.'),
      requestId: z.string().describe('Under which the log knows the request.'),
      problems: z
        .array(fieldProblem)
        .optional()
        .describe('Of a malformed request, and of `input-refused`: every field that is wrong.'),
      permission: z.string().optional().describe('Of `permission-missing`: what is missing.'),
      blockers: z.array(gateResult).optional().describe('Of `action-blocked`: every gate that blocks.'),
      decisionId: z.string().optional().describe('Of `action-blocked`: the decision that was stored.'),
      lane: lane.optional().describe('Of `action-blocked`: where the item stands.'),
      changedGates: z
        .array(z.strictObject({ gate: z.string(), before: z.unknown(), after: z.unknown() }))
        .optional()
        .describe('Of `decision-outdated`: the gates that changed since the plan.'),
      etag: z.string().optional().describe('Of `version-mismatch` and `version-required`: the current ETag.'),
      diff: z
        .array(z.strictObject({ field: z.string(), before: z.unknown(), after: z.unknown() }))
        .nullable()
        .optional()
        .describe('Of `version-mismatch`: what changed; null where that version is not known.'),
    })
    .meta({
      description: 'RFC 9457 problem details.',
      examples: [
        {
          type: 'urn:build-factory:problem:bad-input',
          title: 'Bad request',
          status: 400,
          detail:
            'The request is not right: title: Must hold something visible, on one line without control characters.',
          code: 'bad-input',
          hint: 'Correct the named fields; GET /api/openapi.json has the schema.',
          retryable: false,
          requestId: '0b9d4f0e-6a52-4c1e-9d3c-5d6f1a2b3c4d',
          problems: [
            {
              path: 'title',
              message: 'Must hold something visible, on one line without control characters.',
            },
          ],
        },
      ],
    }),
);

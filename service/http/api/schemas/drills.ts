import { z } from 'zod';
import { evidenceSchema } from '../../../jobs/evidence.ts';
import { DRILL_OUTCOMES } from '../../../jobs/types.ts';
import type { DrillRecord } from '../../../jobs/types.ts';
import { named, time } from './fields.ts';

/** Drills: what is reported, and what is shown of it. */

export const drillEvidence = named('DrillEvidence', evidenceSchema);

const seconds = z.number().nonnegative().nullable();

export const drillRecord = named(
  'Drill',
  z.strictObject({
    id: z.uuid(),
    url: z.string(),
    outcome: z.enum(DRILL_OUTCOMES),
    at: time,
    backupId: z.string().nullable(),
    rpoSeconds: seconds.describe('How much would have been lost.'),
    rtoSeconds: seconds.describe('From nothing to an application that answers.'),
    restoreSeconds: seconds,
    bootSeconds: seconds,
    checks: z.array(
      z.strictObject({ name: z.string(), status: z.enum(['pass', 'fail', 'skipped']), detail: z.string() }),
    ),
    digest: z.string().describe('SHA-256 of the signed evidence, hex; the audit log names the drill by it.'),
  }) satisfies z.ZodType<DrillRecord>,
);

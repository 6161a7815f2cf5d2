import { z } from 'zod';
import { count, madeId, named, nextCursor, time } from './fields.ts';
import { auditProof } from './governance.ts';

/** Plans of retention and their runs. */

const KINDS = { session: count, message: count, toolOutput: count, attachment: count };
const counts = named('RetentionCounts', z.strictObject(KINDS));
const digest = z.string().regex(/^[0-9a-f]{64}$/);

const record = named(
  'RetentionRun',
  z.strictObject({
    ...{ format: z.string(), id: madeId, digest, by: z.string(), startedAt: time, finishedAt: time },
    ...{ binned: counts, purged: counts },
    left: count.describe('Things of the plan that were gone, changed or held by then.'),
    proof: auditProof,
    ...{ key: z.string(), signature: z.string() },
  }),
);

export const plan = named(
  'RetentionPlan',
  z.strictObject({
    id: madeId,
    digest: digest.describe('What `apply` takes: of exactly these things.'),
    state: z.enum(['planned', 'applying', 'applied', 'undone']),
    createdAt: time,
    createdBy: z.string(),
    appliedAt: time.nullable(),
    counts: z
      .strictObject({ ...KINDS, export: count })
      .describe('Of all; messages of whole sessions, too. Exports are streamed, and none is kept.'),
    bin: counts.describe('What goes to the bin.'),
    purge: counts.describe('What goes for ever.'),
    bytes: count,
    sample: z.array(
      z.strictObject({
        act: z.enum(['bin', 'purge']),
        kind: z.enum(['session', 'message', 'toolOutput', 'attachment']),
        class: z.string(),
        sessionId: madeId,
        id: z.string().nullable().describe('Null: the whole session.'),
      }),
    ),
    held: count.describe('Things that would go, and that a hold keeps.'),
    classes: z
      .array(z.strictObject({ class: z.string(), bin: counts, purge: counts, bytes: count, held: count }))
      .describe('The same, of each class.'),
    heldBy: z
      .array(z.strictObject({ holdId: madeId, items: count }))
      .describe('Which holds keep how many things; what two of them keep counts for both.'),
    progress: z
      .strictObject({ done: count, of: count })
      .describe('Steps of its run that are done; a step is about one session.'),
    record: record.nullable().describe('Signed; `node scripts/verify-certificate.mjs` checks it anywhere.'),
  }),
);

export const planList = named('RetentionPlanList', z.strictObject({ plans: z.array(plan), nextCursor }));
export const application = named('RetentionApplication', z.strictObject({ digest }));

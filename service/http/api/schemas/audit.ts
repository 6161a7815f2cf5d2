import { z } from 'zod';
import { LEAF_TYPE, LEAF_VERSION, type AuditLeaf } from '../../../audit/leaf.ts';
import type { ConsistencyProof, InclusionProof } from '../../../audit/log.ts';
import type { VerifyResult } from '../../../audit/verify.ts';
import { count, named, nextCursor, time } from './fields.ts';

/** The audit log: entries, proofs, verification. */

const ref = z.strictObject({ kind: z.string(), id: z.string() });
const seq = z.int().min(1);
export const outcome = z.enum(['applied', 'refused']);
const base64 = z.string().describe('Base64.');

const leaf = named(
  'AuditLeaf',
  z.strictObject({
    v: z.literal(LEAF_VERSION),
    type: z.literal(LEAF_TYPE),
    at: time,
    actor: ref,
    action: z.string(),
    object: ref.nullable(),
    outcome,
    project: z.string(),
    code: z.string().optional().describe('The reason of a refusal.'),
    event: z.strictObject({ seq, commitment: z.string() }).optional(),
    decision: z.strictObject({ id: z.string(), commitment: z.string() }).optional(),
    message: z.strictObject({ seq, commitment: z.string() }).optional().describe('Its place in the session.'),
  }) satisfies z.ZodType<AuditLeaf>,
);

const entry = z.strictObject({
  seq,
  leaf: leaf.nullable().describe('Null where what is stored is no leaf any more; verification names it.'),
});

export const entries = named('AuditEntries', z.strictObject({ entries: z.array(entry), nextCursor }));

const inclusion = z.strictObject({
  seq,
  index: count.describe('From 0.'),
  leaf: z.string().describe('The canonical JSON that was hashed.'),
  size: count,
  root: base64,
  hashes: z.array(base64).describe("Lowest first, as RFC 9162's verification takes them."),
  checkpoint: z.string().describe('The signed note of size and root.'),
}) satisfies z.ZodType<InclusionProof>;

const consistency = named(
  'ConsistencyProof',
  z.strictObject({
    from: count,
    to: count,
    fromRoot: base64,
    toRoot: base64,
    hashes: z.array(base64),
  }) satisfies z.ZodType<ConsistencyProof>,
);

export const proof = named(
  'AuditProof',
  z.union([inclusion.extend({ consistency: consistency.optional() }), consistency]),
);

export const verification = named(
  'AuditVerification',
  z.strictObject({
    ok: z.boolean(),
    size: count,
    root: z.string().describe('Hex.'),
    signedSize: count,
    notChecked: z.array(z.string()),
    problems: z.array(
      z.strictObject({ code: z.string(), message: z.string(), seq: count.optional(), hint: z.string() }),
    ),
  }) satisfies z.ZodType<VerifyResult>,
);

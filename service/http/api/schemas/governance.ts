import { z } from 'zod';
import { PENDING } from '../../../chat/break-glass-off.ts';
import { CLASS_POLICY, GENERAL_POLICY } from '../../../chat/policy.ts';
import { count, filter, madeId, named, nextCursor, time } from './fields.ts';
import { sessionClass, subjectId } from './sessions.ts';

/** Holds, erasures and policies, as they are sent and as they are answered. */

export const reason = filter(1000).describe(
  'Why. It is kept for ever; the name of the subject is replaced in it by its id.',
);

const between = (from: string | undefined, to: string | undefined): boolean =>
  from === undefined || to === undefined || Date.parse(from) <= Date.parse(to);

export const newHold = named(
  'NewHold',
  z
    .strictObject({
      reason,
      subjectId: subjectId.optional().describe('Only content about this subject.'),
      sessionId: madeId.optional().describe('Only content of this session.'),
      class: sessionClass.optional().describe('Only content of sessions of this class.'),
      from: time.optional().describe('Only content that was written from then on.'),
      to: time.optional().describe('Only content that was written until then.'),
    })
    .refine(({ from, to }) => between(from, to), { message: 'Must not be before `from`.', path: ['to'] })
    .describe('It holds what matches all that is given; with a reason alone, everything.'),
);

const holdShape = z.strictObject({
  id: madeId,
  reason: z.string(),
  subjectId: z.string().nullable().describe('Null: none, erased, or not for the caller.'),
  subject: z.string().nullable().describe('Id of the subject, which says nothing of its name.'),
  sessionId: z.string().nullable(),
  class: z.string().nullable(),
  from: time.nullable(),
  to: time.nullable(),
  placedBy: z.string(),
  placedAt: time,
  releasedBy: z.string().nullable(),
  releasedAt: time.nullable(),
});
export const hold = named('Hold', holdShape);
export const placedHold = named(
  'PlacedHold',
  holdShape.extend({
    covers: z
      .strictObject({ sessions: count, messages: count, bytes: count })
      .describe('What is here now and held by it; all 0: it is for what comes, or a name is not right.'),
  }),
);

export const holdList = named('HoldList', z.strictObject({ holds: z.array(hold), nextCursor }));

export const newErasure = named('NewErasure', z.strictObject({ subjectId, reason }));

const counts = named(
  'ErasedCounts',
  z.strictObject({
    ...{
      sessions: count,
      messages: count,
      attachments: count,
      quarantined: count,
      titles: count,
      bytes: count,
    },
  }),
);

/** That an entry is in the log that the checkpoint covers. */
export const auditProof = z.strictObject({
  ...{ seq: z.int().min(1), index: count, leaf: z.string(), size: count, root: z.string() },
  ...{ hashes: z.array(z.string()), checkpoint: z.string() },
});

export const newErasurePlan = named('NewErasurePlan', z.strictObject({ subjectId }));

const erased = z.strictObject({ total: counts, byClass: z.record(z.string(), counts) });

export const erasurePlan = named(
  'ErasurePlan',
  z.strictObject({
    subject: z.string().describe('Id of the subject.'),
    erasure: madeId.nullable().describe('One that there is already: asking again answers with it.'),
    lostSubjects: count.describe(
      'Subjects that have lost their keys and with them their names: whether older content is about this one cannot be known.',
    ),
    erased: erased.describe('What goes, as the certificate will count it.'),
    held: z
      .strictObject({
        ...{ messages: count, attachments: count, quarantined: count, sessions: count },
        holds: z.array(z.string()),
      })
      .describe('What holds keep of it, until they are released.'),
    staying: count.describe('Sessions that stay: others share them, or something in them is held.'),
    sample: z
      .array(
        z.strictObject({
          ...{ id: z.string(), class: z.string(), goes: z.boolean(), title: z.boolean() },
          ...{ messages: count, attachments: count, quarantined: count, held: count },
        }),
      )
      .describe('The first sessions with anything of the subject, and how much of it is in each.'),
  }),
);

const certificate = named(
  'ErasureCertificate',
  z.strictObject({
    format: z.string(),
    id: madeId,
    status: z.enum(['done', 'partial-held']),
    subject: z.string(),
    reason: z.string(),
    requestedBy: z.string(),
    requestedAt: time,
    erasedAt: time,
    erased,
    kept: z.array(
      z.strictObject({
        what: z.string(),
        count: count.optional(),
        why: z.string(),
        holds: z.array(z.string()).optional(),
      }),
    ),
    backups: z.strictObject({
      unreadableFrom: time
        .nullable()
        .describe('From then on no copy of the keyring holds the keys of what older backups contain.'),
      windowHours: count,
      why: z.string(),
    }),
    proof: auditProof,
    key: z.string().describe('Public half of the key that signed: compare it with the one you were given.'),
    signature: z.string(),
  }),
);

export const erasure = named(
  'Erasure',
  z.strictObject({
    id: madeId,
    status: z.enum(['running', 'partial-held', 'done']),
    subject: z.string().describe('Id of the subject.'),
    reason: z.string(),
    requestedBy: z.string(),
    requestedAt: time,
    finishedAt: time.nullable(),
    certificate: certificate
      .nullable()
      .describe('Signed; `node scripts/verify-certificate.mjs` checks it anywhere.'),
  }),
);

export const erasureList = named('ErasureList', z.strictObject({ erasures: z.array(erasure), nextCursor }));

const rotation = z.strictObject({
  id: madeId,
  state: z.enum(['running', 'done']),
  startedAt: time,
  startedBy: z.string(),
  finishedAt: time.nullable(),
  sealed: count.describe('Messages, titles and descriptions of attachments that were sealed anew.'),
  unreadable: count.describe(
    'Rows whose key is not in the keyring, or that were altered; they stay as they are.',
  ),
});
export const keyRotation = named('KeyRotation', rotation);
export const lastKeyRotation = named(
  'LastKeyRotation',
  z.strictObject({ rotation: keyRotation.nullable().describe('Null: there was none yet.') }),
);

const policyParts = { general: GENERAL_POLICY, classes: z.record(sessionClass, CLASS_POLICY) };
const pending = PENDING.extend({ askedAt: time, effectiveAt: time }).nullable();
export const newPolicies = named(
  'NewPolicies',
  z.strictObject({
    ...policyParts,
    pending: pending.optional().describe('As it was read; changes nothing.'),
    version: count.optional().describe('The version that was read.'),
  }),
);
export const policies = named(
  'Policies',
  z.strictObject({
    ...policyParts,
    pending: pending.describe('Break-glass goes off at `effectiveAt`; null: it stays as it is.'),
    version: count,
  }),
);

const policyChange = z.strictObject({
  path: z.string().describe('JSON pointer into the policies; a class that is new or gone is one change.'),
  before: z.unknown().optional().describe('Absent: there was nothing.'),
  after: z.unknown().optional().describe('Absent: there is nothing any more.'),
});
const policyVersion = z.strictObject({
  version: count,
  at: time,
  by: z.string().describe('Id of the person or token that put it.'),
  changes: z.array(policyChange).describe('Of the first version, from the policies of a new installation.'),
  ...policyParts,
});
export const policyVersions = named(
  'PolicyVersions',
  z.strictObject({ versions: z.array(named('PolicyVersion', policyVersion)), nextCursor }),
);

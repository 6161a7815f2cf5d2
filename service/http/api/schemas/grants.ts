import { z } from 'zod';
import { filter, madeId, named, nextCursor, time } from './fields.ts';

/** Grants, as they are sent and as they are answered. */

const kind = z.enum(['session', 'break-glass']);

export const newGrant = named(
  'NewGrant',
  z.strictObject({
    kind: kind.optional().describe('Absent: `session` where one is named, else `break-glass`.'),
    sessionId: madeId.optional().describe('Of break-glass absent: every session.'),
    grantee: filter(100).optional().describe('Id of a person, or `team`; not of break-glass.'),
    expiresAt: time,
    reason: filter(1000),
  }),
);

export const grant = named(
  'Grant',
  z.strictObject({
    id: madeId,
    kind,
    sessionId: z.string().nullable(),
    grantee: z.string(),
    state: z
      .enum(['requested', 'active', 'refused', 'revoked', 'expired'])
      .describe('`requested`: it waits for a second person. `active` counts from `startsAt` on.'),
    requestedBy: z.string().describe('Id of the person.'),
    decidedBy: z.string().nullable(),
    startsAt: time,
    expiresAt: time,
    endedAt: time.nullable().describe('When it was refused or revoked, or expired; null: it was not.'),
    reason: z.string(),
    createdAt: time,
  }),
);

export const grantList = named('GrantList', z.strictObject({ grants: z.array(grant), nextCursor }));

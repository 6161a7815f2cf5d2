import { z } from 'zod';
import { FINDING, ROLE } from '../../../chat/shapes.ts';
import { madeId, named, nextCursor, time, filter } from './fields.ts';
import { attachment, part } from './sessions.ts';

/** What waits for a decision, as it is answered. */

export const decision = named(
  'QuarantineDecision',
  z.strictObject({
    reason: filter(1000).describe(
      'Why. It is kept for ever in the record: name nobody in it, and nothing of the content.',
    ),
  }),
);

export const quarantined = named(
  'Quarantined',
  z.strictObject({
    id: madeId,
    kind: z.enum(['message', 'title', 'file']),
    sessionId: z.string(),
    messageId: z
      .string()
      .nullable()
      .describe(
        'The placeholder that stands for it; of a file, the message that names it. Null: the title, or a file that no message names yet.',
      ),
    class: z.string(),
    role: ROLE.nullable(),
    author: z.strictObject({
      ...{ kind: z.enum(['person', 'token']), id: z.string(), foreign: z.literal(true).optional() },
    }),
    createdAt: time,
    findings: z.array(FINDING).describe('Rules and places, never the text.'),
    state: z
      .enum(['waiting', 'approved'])
      .describe('`approved`: one person asked for its release, and it waits for a second.'),
    approvedBy: z.string().nullable().describe('Id of the person.'),
    approvedAt: time.nullable(),
    reason: z.string().nullable(),
    releasableFrom: time
      .nullable()
      .describe('In the solo preset: from then on whoever asked can let it in alone.'),
  }),
);

export const quarantineList = named(
  'QuarantineList',
  z.strictObject({ quarantined: z.array(quarantined), nextCursor }),
);

export const original = named(
  'QuarantinedOriginal',
  z.strictObject({
    id: madeId,
    parts: z.array(part).optional().describe('Of a message.'),
    title: z.string().optional().describe('Of a title.'),
    file: attachment
      .pick({ name: true, mediaType: true, sha256: true, bytes: true })
      .optional()
      .describe('Of a file: what it is. Its content is at `original/content`.'),
  }),
);

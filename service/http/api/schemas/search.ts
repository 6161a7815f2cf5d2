import { z } from 'zod';
import { ROLES_OF_MESSAGES } from '../../../chat/types.ts';
import { count, madeId, named, nextCursor, time } from './fields.ts';

const mark = z
  .array(count)
  .length(2)
  .describe('Where a hit begins and ends in the snippet, in UTF-16 units.');

export const searchPage = named(
  'SearchPage',
  z.strictObject({
    results: z.array(
      z.strictObject({
        sessionId: madeId,
        messageId: z.string(),
        seq: z.int().min(1),
        role: z.enum(ROLES_OF_MESSAGES),
        createdAt: time,
        snippet: z.string().describe('A piece of the message around the first hit.'),
        marks: z.array(mark),
      }),
    ),
    nextCursor,
    complete: z.boolean().describe('False: the index is being made or is behind, and there can be more.'),
  }),
);

export const searchIndex = named(
  'SearchIndex',
  z.strictObject({
    complete: z.boolean(),
    indexed: count.describe('Messages that are in it.'),
    messages: count.describe('Messages that there are.'),
  }),
);

import { z } from 'zod';
import { KINDS } from '../../../chat/search/places.ts';
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
        in: z
          .enum(KINDS)
          .describe('What it stands in: a message, the title of a session, a file of a message.'),
        sessionId: madeId,
        messageId: z.string().nullable().describe('Null, as `seq` and `role`, where it is a title.'),
        seq: z.int().min(1).nullable(),
        role: z.enum(ROLES_OF_MESSAGES).nullable(),
        attachment: z
          .strictObject({ id: madeId, name: z.string().nullable() })
          .nullable()
          .describe('The file that it stands in.'),
        createdAt: time.describe('Of the message; of a title, of its session.'),
        snippet: z.string().describe('A piece of the text around the first hit.'),
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

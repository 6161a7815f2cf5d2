import { z } from 'zod';
import { isItemId } from './record-text.ts';
import { line, text } from './texts.ts';

const itemId = z
  .string()
  .refine(isItemId, 'Must be the id of a work item, e.g. wi-BF-106.')
  .meta({ pattern: '^wi-[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$' });

/** A net-new item, as its form and the API give it; its record's front matter holds 256 Ki characters. */
export const NEW_ITEM = z.strictObject({
  title: line(300),
  summary: text(20_000),
  workType: line(100),
  branch: line(255).optional(),
  validation: line(1000).optional(),
  criteria: z.array(text(2000)).max(100),
  prompt: text(200_000),
  blockedBy: z.array(itemId).max(100).optional().describe('Items that have to be done first.'),
  supersedes: itemId.optional().describe('The item that this one carries on.'),
});

export type NewItem = z.output<typeof NEW_ITEM>;

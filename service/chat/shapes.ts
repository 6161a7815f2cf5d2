import { z } from 'zod';
import { VERDICTS } from './policy.ts';
import { ROLES_OF_MESSAGES } from './types.ts';

/** What parts of messages may look like, wherever they come from: the API, an import. */

/** A message may carry 2 MB of text and more, with room for the escapes of JSON. */
export const MESSAGE_LIMIT = 16 * 1024 * 1024;
export const MOST_PARTS = 1000;
const MOST_DEPTH = 100;

const text = z.string().max(8 * 1024 * 1024);
const name = z.string().min(1).max(200);

/** Whether a JSON value is nested at most so deep. Not by recursion: what is too deep would end the stack first. */
function isShallow(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MOST_DEPTH) return false;
    level = level.flatMap((one) =>
      typeof one === 'object' && one !== null ? (Object.values(one) as unknown[]) : [],
    );
  }
  return true;
}

const json = z
  .unknown()
  .refine((value) => value !== undefined, 'Must be there.')
  .refine(isShallow, `Must be nested at most ${MOST_DEPTH} deep.`);

export const PART = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text }),
  z.strictObject({
    ...{ type: z.literal('tool-call'), toolCallId: name, name },
    arguments: json.optional().describe('What the tool is called with.'),
    input: json.optional().describe('The same, under the name that some senders use.'),
  }),
  z.strictObject({
    ...{ type: z.literal('tool-result'), toolCallId: name, name },
    output: json.optional().describe('Absent in answers where retention removed it.'),
    isError: z.boolean().optional(),
  }),
  z.strictObject({
    ...{ type: z.literal('attachment'), attachmentId: z.uuid() },
    name: z.string().max(500).optional(),
    mediaType: z.string().max(200).optional(),
  }),
]);

export const PARTS = z.array(PART).min(1).max(MOST_PARTS);
export const ROLE = z.enum(ROLES_OF_MESSAGES);
export const TITLE = z.string().max(500);
export const SUBJECT_ID = z.string().min(1).max(500);
export const SESSION_CLASS = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9._-]{0,63}$/,
    'A class is one word of at most 64 letters from A to Z, digits, dots, dashes and underscores, and begins with a letter.',
  );

const count = z.int().min(0);
export const FINDING = z.strictObject({
  rule: z.string(),
  action: z.enum(VERDICTS),
  part: count,
  start: count,
  end: count,
});

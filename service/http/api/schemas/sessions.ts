import { z } from 'zod';
import { ROLES_OF_MESSAGES } from '../../../chat/types.ts';
import { VERDICTS } from '../../../chat/policy.ts';
import { count, itemId, madeId, named, nextCursor, time, version } from './fields.ts';

/** Sessions and messages, as they are sent and as they are answered. */

/** A message may carry 2 MB of text and more, with room for the escapes of JSON. */
export const MESSAGE_LIMIT = 16 * 1024 * 1024;
export const MOST_PARTS = 1000;
export const MOST_MESSAGES = 1000;
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

export const part = named(
  'Part',
  z.discriminatedUnion('type', [
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
      ...{ type: z.literal('attachment'), attachmentId: madeId },
      name: z.string().max(500).optional(),
      mediaType: z.string().max(200).optional(),
    }),
  ]),
);

const finding = named(
  'Finding',
  z.strictObject({
    rule: z.string(),
    action: z.enum(VERDICTS),
    part: count,
    start: count,
    end: count,
  }),
);

export const subjectId = z
  .string()
  .min(1)
  .max(500)
  .describe('Whom it is about, by any name: erasure goes by it. Created by first use.');

export const sessionClass = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9._-]{0,63}$/)
  .describe('Policies go by it.');

export const newSession = named(
  'NewSession',
  z.strictObject({
    title: z.string().max(500).optional(),
    class: sessionClass.optional().describe('Policies go by it; absent: `general`.'),
    subjectId: subjectId.optional().describe('Whom it is about; absent: the person who begins it.'),
    itemId: itemId.optional().describe('The work item that it belongs to.'),
  }),
);

export const newMessage = named(
  'NewMessage',
  z.strictObject({
    role: z.enum(ROLES_OF_MESSAGES),
    parts: z.array(part).min(1).max(MOST_PARTS),
    subjectId: subjectId.optional().describe('Whom it is about; absent: as its session.'),
  }),
);

const author = z.strictObject({ kind: z.enum(['person', 'token']), id: z.string() });

export const session = named(
  'Session',
  z.strictObject({
    id: madeId,
    title: z.string().nullable().describe('Null: none, or not for the caller.'),
    class: z.string(),
    subjectId: z.string().nullable().describe('Null: not for the caller.'),
    itemId: z.string().nullable(),
    author,
    messages: count,
    lastSeq: count,
    bytes: count,
    version,
    createdAt: time,
    updatedAt: time,
  }),
);

export const sessionList = named('SessionList', z.strictObject({ sessions: z.array(session), nextCursor }));

export const message = named(
  'Message',
  z.strictObject({
    id: z.string(),
    seq: z.int().min(1),
    role: z.enum(ROLES_OF_MESSAGES),
    parts: z.array(part),
    subjectId: z.string(),
    author,
    createdAt: time,
    findings: z.array(finding).optional(),
  }),
);

export const attachment = named(
  'Attachment',
  z.strictObject({
    id: madeId,
    bytes: count,
    sha256: z.string().describe('Of the content, hex.'),
    mediaType: z.string(),
    name: z.string().nullable(),
    createdAt: time,
  }),
);

export const messageList = named('MessageList', z.strictObject({ messages: z.array(message), nextCursor }));

export const appended = named(
  'AppendedMessage',
  z.strictObject({
    id: z.string(),
    seq: z.int().min(1),
    createdAt: time,
    findings: z.array(finding).optional().describe('What was found in it: rules and places, never the text.'),
  }),
);

export const batch = named(
  'MessageBatch',
  z.strictObject({
    messages: z
      .array(newMessage.extend({ idempotencyKey: z.string().min(1).max(255).optional() }))
      .min(1)
      .max(MOST_MESSAGES),
  }),
);

export const appendedBatch = named(
  'AppendedBatch',
  z.strictObject({ messages: z.array(appended.extend({ replayed: z.boolean() })) }),
);

import { z } from 'zod';
import { FINDING, MOST_PARTS, PART, ROLE, SESSION_CLASS, SUBJECT_ID, TITLE } from '../../../chat/shapes.ts';
import { count, itemId, madeId, named, nextCursor, time, version } from './fields.ts';

/** Sessions and messages, as they are sent and as they are answered. */

export const MOST_MESSAGES = 1000;

export const part = named('Part', PART);
const finding = named('Finding', FINDING);

export const subjectId = SUBJECT_ID.describe(
  'Whom it is about, by any name: erasure goes by it. Created by first use.',
);

export const sessionClass = SESSION_CLASS.describe('Policies go by it.');

export const newSession = named(
  'NewSession',
  z
    .strictObject({
      title: TITLE.optional(),
      class: sessionClass.optional().describe('Policies go by it; absent: `general`.'),
      subjectId: subjectId.optional().describe('Whom it is about; absent: the person who begins it.'),
      itemId: itemId.optional().describe('The work item that it belongs to.'),
    })
    .meta({
      examples: [{ title: 'A question about the invoice', class: 'support', subjectId: 'customer 7' }],
    }),
);

const MESSAGE = z.strictObject({
  role: ROLE,
  parts: z.array(part).min(1).max(MOST_PARTS),
  subjectId: subjectId.optional().describe('Whom it is about; absent: as its session.'),
});
const says = (text: string) => ({ role: 'user', parts: [{ type: 'text', text }] });

export const newMessage = named(
  'NewMessage',
  MESSAGE.meta({ examples: [says('Where is my invoice of May?')] }),
);

const author = z.strictObject({
  kind: z.enum(['person', 'token']),
  id: z.string(),
  foreign: z.literal(true).optional().describe('Of another installation: it came by an import.'),
});

const keysLostAt = time
  .optional()
  .describe(
    'When the keyring with its key was given up as lost. What was sealed with it comes back with that keyring alone.',
  );

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
    keysLostAt,
  }),
);

export const sessionList = named('SessionList', z.strictObject({ sessions: z.array(session), nextCursor }));

export const message = named(
  'Message',
  z.strictObject({
    id: z.string(),
    seq: z.int().min(1),
    role: ROLE,
    parts: z.array(part),
    subjectId: z.string(),
    author,
    createdAt: time,
    findings: z.array(finding).optional(),
    unreadable: z
      .literal(true)
      .optional()
      .describe('Its content cannot be read any more, because its key is gone; `parts` is empty.'),
    keysLostAt,
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
    findings: z.array(finding).optional().describe('What holds it back: rules and places, never the text.'),
    quarantineId: madeId
      .optional()
      .describe(
        'It waits in quarantine under this id; until two people let it in, a short text stands for its content.',
      ),
  }),
);

const gap = z.strictObject({ from: z.int().min(1), to: z.int().min(1) });

export const messageList = named(
  'MessageList',
  z.strictObject({
    messages: z.array(message),
    gone: z
      .array(gap)
      .describe(
        'Places of this page, from one `seq` to another, whose messages were deleted or lie in the bin.',
      ),
    nextCursor,
  }),
);

export const appended = named(
  'AppendedMessage',
  z.strictObject({
    id: z.string(),
    seq: z.int().min(1),
    createdAt: time,
    findings: z.array(finding).optional().describe('What was found in it: rules and places, never the text.'),
    quarantineId: madeId
      .optional()
      .describe(
        'It waits in quarantine under this id; in the session a placeholder stands for it until two people let it in.',
      ),
  }),
);

export const importedSessions = named(
  'ImportedSessions',
  z.strictObject({
    sessions: z.array(
      z.strictObject({
        id: madeId,
        created: z.boolean().describe('False: it was there with the same content.'),
        messages: count,
        attachments: count,
        dropped: z
          .array(z.string())
          .optional()
          .describe('Members of its line that have no place here, by their paths; absent: none.'),
      }),
    ),
  }),
);

export const batch = named(
  'MessageBatch',
  z
    .strictObject({
      messages: z
        .array(MESSAGE.extend({ idempotencyKey: z.string().min(1).max(255).optional() }))
        .min(1)
        .max(MOST_MESSAGES),
    })
    .meta({ examples: [{ messages: [says('Where is my invoice of May?'), says('And that of June?')] }] }),
);

export const appendedBatch = named(
  'AppendedBatch',
  z.strictObject({ messages: z.array(appended.extend({ replayed: z.boolean() })) }),
);

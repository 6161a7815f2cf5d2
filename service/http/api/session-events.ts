import { z } from 'zod';
import type { Chat } from '../../chat/service.ts';
import { FactoryError } from '../../errors.ts';
import type { MessageView } from '../../chat/types.ts';
import type { EventPage } from '../feed-pages.ts';
import type { FeedSource } from '../feed.ts';
import { operation } from './context.ts';
import { named, whole } from './schemas/fields.ts';
import { SESSION, TAG, sessionParams } from './sessions.ts';

/** A session as it goes on. */

type Caller = Parameters<Chat['reading']['page']>[0];

/** Content is large: a page of it waits until the one before was taken. */
const PAGE = 10;
/** The session went, or the reader may not read it any more. */
const ENDED = ['gone', 'not-found'];

/** Access is asked each time, so a stream ends soon after it was taken away, and with the session. */
function sourceOf(reading: Chat['reading'], caller: Caller, id: string): FeedSource {
  async function after(seq: number): Promise<EventPage> {
    if ((await reading.lastSeq(caller, id)) <= seq) return { text: '', last: seq, more: false };
    const { messages, nextCursor } = await reading.page(caller, id, { after: seq, limit: PAGE });
    return {
      text: messages.map(eventOf).join(''),
      last: messages.at(-1)?.seq ?? seq,
      more: nextCursor !== null,
    };
  }
  return {
    newest: () => reading.lastSeq(caller, id),
    after: (seq) =>
      after(seq).catch((error: unknown) => {
        if (error instanceof FactoryError && ENDED.includes(error.code)) return null;
        throw error;
      }),
  };
}

const eventOf = (message: MessageView): string =>
  `id: ${message.seq}\nevent: message\ndata: ${JSON.stringify(message)}\n\n`;

const streamedMessage = named(
  'StreamedMessage',
  z.strictObject({
    id: z.string().regex(/^\d+$/).describe('`seq` of the message.'),
    event: z.literal('message'),
    data: z
      .string()
      .meta({ contentMediaType: 'application/json' })
      .describe('The message, as `showMessage` has it.'),
  }),
);

const eventSeq = whole(0, Number.MAX_SAFE_INTEGER);

const streamMessages = operation({
  ...{ method: 'get', path: `${SESSION}/events`, id: 'streamMessages', tag: TAG, access: 'signed-in' },
  summary: 'Messages of a session as they are appended, as server-sent events',
  description:
    'Each `message` event has its `seq` as id and the message as data. A stream that starts with the last `seq` that was ' +
    'seen misses nothing. It ends when the session is deleted, and when the caller may not read it any more.',
  params: sessionParams,
  query: z.strictObject({
    lastEventId: eventSeq.optional().describe('For clients that cannot send the header.'),
  }),
  headers: z.strictObject({ 'Last-Event-ID': eventSeq.optional().describe('The last `seq` that was seen.') }),
  responses: {
    200: { description: 'A stream.', schema: streamedMessage, contentType: 'text/event-stream' },
  },
  problems: [403, 410],
  async handle({ req, res, principal, params, query, headers }, { chat, feed }) {
    const last = headers['Last-Event-ID'] ?? query.lastEventId ?? null;
    await feed.serve(req, res, principal.personId, last, sourceOf(chat.reading, principal, params.id));
  },
});

export const sessionEventOperations = [streamMessages];

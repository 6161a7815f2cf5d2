import { z } from 'zod';
import { rateLimitText } from '../../chat/quotas.ts';
import { MESSAGE_LIMIT } from '../../chat/shapes.ts';
import type { MessageInput } from '../../chat/types.ts';
import { sendJson, sendNothing } from '../operation.ts';
import { operation } from './context.ts';
import { cursor, idempotencyKey, itemId, limit, madeId, whole } from './schemas/fields.ts';
import * as shapes from './schemas/sessions.ts';
import { itemExists } from './items.ts';

/** Conversations: sessions and their messages. */

export const SESSIONS = '/api/sessions';
export const SESSION = `${SESSIONS}/{id}`;
export const TAG = 'Sessions';
export const USE = 'factory.session.use';
export const sessionParams = z.strictObject({ id: madeId });
const messageParams = z.strictObject({ id: madeId, messageId: z.string().min(1).max(100) });

const create = operation({
  ...{ method: 'post', path: SESSIONS, id: 'createSession', tag: TAG, access: USE },
  summary: 'Begin a session',
  headers: z.strictObject({ 'Idempotency-Key': idempotencyKey.optional() }),
  body: shapes.newSession,
  responses: {
    200: {
      description: 'An earlier request of the caller with this key began it.',
      schema: shapes.session,
      headers: ['Location', 'Idempotency-Replayed'],
    },
    201: { description: 'The new session.', schema: shapes.session, headers: ['Location'] },
  },
  problems: [404, 409, 410, 422],
  async handle({ res, principal, headers, body }, context) {
    if (body.itemId !== undefined) await itemExists({ id: body.itemId }, context);
    const { sessions } = context.chat;
    const key = headers['Idempotency-Key'];
    const { session, replayed } =
      key === undefined
        ? { session: await sessions.create(principal, body), replayed: false }
        : await sessions.createOnce(principal, body, key);
    res.set('Location', `${SESSIONS}/${session.id}`);
    if (replayed) res.set('Idempotency-Replayed', 'true');
    sendJson(res, replayed ? 200 : 201, session);
  },
});

const list = operation({
  ...{ method: 'get', path: SESSIONS, id: 'listSessions', tag: TAG, access: 'signed-in' },
  summary: 'List the sessions that the caller may see, the newest first',
  query: z.strictObject({
    class: shapes.sessionClass.optional(),
    itemId: itemId.optional().describe('Only those of a work item.'),
    ...{ cursor, limit },
  }),
  responses: { 200: { description: 'A page of sessions.', schema: shapes.sessionList } },
  problems: [403],
  async handle({ res, principal, query }, { chat }) {
    sendJson(res, 200, await chat.sessions.list(principal, query));
  },
});

const show = operation({
  ...{ method: 'get', path: SESSION, id: 'showSession', tag: TAG, access: 'signed-in' },
  summary: 'Show a session, without its messages',
  params: sessionParams,
  responses: { 200: { description: 'The session.', schema: shapes.session } },
  problems: [403, 410],
  async handle({ res, principal, params }, { chat }) {
    sendJson(res, 200, await chat.sessions.show(principal, params.id));
  },
});

const append = operation({
  ...{ method: 'post', path: `${SESSION}/messages`, id: 'appendMessage', tag: TAG, access: USE },
  summary: 'Append a message to a session',
  params: sessionParams,
  headers: z.strictObject({ 'Idempotency-Key': idempotencyKey.optional() }),
  body: shapes.newMessage,
  bodyLimit: MESSAGE_LIMIT,
  responses: {
    200: {
      description: 'An earlier request with this key appended it.',
      schema: shapes.appended,
      headers: ['Idempotency-Replayed'],
    },
    201: { description: 'It is on disk.', schema: shapes.appended, headers: ['RateLimit'] },
  },
  problems: [409, 410, 422],
  async handle({ res, principal, params, headers, body }, { chat }) {
    const key = headers['Idempotency-Key'];
    const { replayed, headroom, ...answer } = await chat.append.message(
      ...([principal, params.id, body as MessageInput, key] as const),
    );
    if (headroom.length > 0) res.set('RateLimit', rateLimitText(headroom));
    if (replayed) res.set('Idempotency-Replayed', 'true');
    sendJson(res, replayed ? 200 : 201, answer);
  },
});

const appendBatch = operation({
  ...{ method: 'post', path: `${SESSION}/messages:batch`, id: 'appendMessages', tag: TAG, access: USE },
  summary: 'Append several messages to a session, all or none',
  params: sessionParams,
  body: shapes.batch,
  bodyLimit: MESSAGE_LIMIT,
  responses: {
    201: {
      description: 'They are on disk, in this order.',
      schema: shapes.appendedBatch,
      headers: ['RateLimit'],
    },
  },
  problems: [409, 410, 422],
  async handle({ res, principal, params, body }, { chat }) {
    const inputs = body.messages.map(({ idempotencyKey: key, ...message }) => ({
      ...{ key, message: message as MessageInput },
    }));
    const answers = await chat.append.batch(principal, params.id, inputs);
    const headroom = answers.findLast((one) => !one.replayed)?.headroom ?? [];
    if (headroom.length > 0) res.set('RateLimit', rateLimitText(headroom));
    sendJson(res, 201, { messages: answers.map(({ headroom: _, ...answer }) => answer) });
  },
});

const listMessages = operation({
  ...{ method: 'get', path: `${SESSION}/messages`, id: 'listMessages', tag: TAG, access: 'signed-in' },
  summary: 'Read the messages of a session in their order',
  params: sessionParams,
  query: z.strictObject({
    after: whole(0, Number.MAX_SAFE_INTEGER).optional().describe('Only messages after this `seq`.'),
    ...{ cursor, limit },
  }),
  responses: { 200: { description: 'A page of messages.', schema: shapes.messageList } },
  problems: [403, 410],
  async handle({ res, principal, params, query }, { chat }) {
    sendJson(res, 200, await chat.reading.page(principal, params.id, query));
  },
});

const showMessage = operation({
  ...{
    method: 'get',
    path: `${SESSION}/messages/{messageId}`,
    id: 'showMessage',
    tag: TAG,
    access: 'signed-in',
  },
  summary: 'Read one message',
  params: messageParams,
  responses: { 200: { description: 'The message.', schema: shapes.message } },
  problems: [403, 410],
  async handle({ res, principal, params }, { chat }) {
    sendJson(res, 200, await chat.reading.message(principal, params.id, params.messageId));
  },
});

const remove = operation({
  ...{ method: 'delete', path: SESSION, id: 'deleteSession', tag: TAG, access: USE },
  summary: 'Delete a session with all its messages, for ever',
  params: sessionParams,
  responses: { 204: { description: 'It is deleted.' } },
  problems: [409, 410],
  async handle({ res, principal, params }, { chat }) {
    await chat.deleteSession(principal, params.id);
    sendNothing(res);
  },
});

const removeMessage = operation({
  ...{
    method: 'delete',
    path: `${SESSION}/messages/{messageId}`,
    id: 'deleteMessage',
    tag: TAG,
    access: USE,
  },
  summary: 'Delete a message, for ever; its place stays empty',
  params: messageParams,
  responses: { 204: { description: 'It is deleted.' } },
  problems: [409, 410],
  async handle({ res, principal, params }, { chat }) {
    await chat.deleteMessage(principal, params.id, params.messageId);
    sendNothing(res);
  },
});

export const sessionOperations = [
  ...[create, list, show, remove],
  ...[append, appendBatch, listMessages, showMessage, removeMessage],
];

import { randomUUID } from 'node:crypto';
import express, { type Response } from 'express';
import type { ShownFile } from '../../../chat/attachments/attachments.ts';
import { isKeyGone } from '../../../chat/keys/keys.ts';
import { gapsOf } from '../../../chat/messages/gaps.ts';
import type { MessageView, SessionView } from '../../../chat/types.ts';
import { asFactoryError, FactoryError } from '../../../errors.ts';
import type { Principal } from '../../../work-items/types.ts';
import { transcriptPage, type TranscriptPage } from '../views/transcript.ts';
import { formOf, isCode, namesOf, principalOf, textOf, type Pages } from './render.ts';

const USE = 'factory.session.use';
const MANAGE = 'factory.governance.manage';
const PAGE = 50;

type Extra = Partial<Pick<TranscriptPage, 'confirm' | 'refusal' | 'draft'>>;

/** `/sessions/{id}`: the transcript, and what people do there by hand. */
export function sessionPages({ context, view, send, permitted }: Pages): express.Router {
  const { chat } = context;
  const router = express.Router();

  async function showSession(
    response: Response,
    id: string,
    before: number | null,
    extra: Extra,
    status = 200,
  ): Promise<void> {
    const principal = principalOf(response);
    const session = await askingHow(principal, () => chat.sessions.show(principal, id));
    const messages = await readable(principal, session, before);
    const first = messages?.[0]?.seq ?? 1;
    const isEarlier = messages !== null && messages.length === PAGE && first > 1;
    const end = before === null ? Math.max(session.lastSeq, messages?.at(-1)?.seq ?? 0) : before - 1;
    const body = transcriptPage(view(response.locals), {
      ...{ session, messages, names: await namesOf(context) },
      files: await filesOf(principal, id, messages ?? []),
      earlier: isEarlier ? first : null,
      gone: gapsOf(messages ?? [], isEarlier ? first - 1 : 0, end),
      newer: before !== null,
      may: await chat.sessions.may(principal, id),
      hiddenBy: principal.permissions.has(MANAGE) ? 'break-glass' : 'role',
      ...{ confirm: null, refusal: null, draft: '', ...extra },
    });
    send(response, { title: session.title ?? 'Session', place: 'sessions', body }, status);
  }

  /** Null where the session may be seen and not read. */
  async function readable(
    principal: Principal,
    session: SessionView,
    before: number | null,
  ): Promise<MessageView[] | null> {
    if (session.subjectId === null) return null;
    return chat.reading.newest(principal, session.id, {
      limit: PAGE,
      ...(before === null ? {} : { before }),
    });
  }

  async function filesOf(principal: Principal, id: string, messages: readonly MessageView[]) {
    const [first, last] = [messages[0], messages.at(-1)];
    const hasFiles = messages.some(({ parts }) => parts.some(({ type }) => type === 'attachment'));
    if (!hasFiles || !first || !last) return new Map<string, ShownFile>();
    return chat.attachments.ofMessages(principal, id, { from: first.seq, to: last.seq });
  }

  router.get('/sessions/:id', (request, response) => {
    const before = Number(textOf(request.query['before']));
    return showSession(
      response,
      sessionIdOf(request.params.id),
      Number.isSafeInteger(before) && before > 0 ? before : null,
      {},
    );
  });

  router.post('/sessions/:id/messages', async (request, response) => {
    const principal = await permitted(response, USE, 'append message');
    const id = sessionIdOf(request.params.id);
    // Not trimmed: it is kept as it was written.
    const { text } = request.body as { text?: unknown };
    if (typeof text !== 'string' || text.trim() === '')
      return response.redirect(303, `/sessions/${id}#write`);
    const message = {
      role: 'user' as const,
      parts: [{ type: 'text' as const, text: text.replaceAll('\r\n', '\n') }],
    };
    try {
      const { seq } = await chat.append.message(principal, id, message, randomUUID());
      response.redirect(303, `/sessions/${id}#m${seq}`);
    } catch (error) {
      const { code, message: title, hint } = asFactoryError(error, 'append message');
      if (['internal', 'not-found', 'gone'].includes(code)) throw error;
      const status = isKeyGone(error) ? 410 : 409;
      await showSession(response, id, null, { refusal: { title, text: hint }, draft: text }, status);
    }
  });

  async function unlessHeld(
    response: Response,
    id: string,
    next: string,
    remove: () => Promise<void>,
  ): Promise<void> {
    try {
      await remove();
      response.redirect(303, next);
    } catch (error) {
      if (!isCode(error, 'on-hold')) throw error;
      await showSession(response, id, null, { refusal: { title: error.message, text: error.hint } }, 409);
    }
  }

  router.post('/sessions/:id/delete', async (request, response) => {
    const principal = await permitted(response, USE, 'delete session');
    const id = sessionIdOf(request.params.id);
    if (formOf(request).step !== 'apply')
      return showSession(response, id, null, { confirm: { what: 'session' } });
    await unlessHeld(response, id, '/sessions', () => chat.deleteSession(principal, id));
  });

  router.post('/sessions/:id/messages/:seq/delete', async (request, response) => {
    const principal = await permitted(response, USE, 'delete message');
    const id = sessionIdOf(request.params.id);
    const message = await chat.reading.message(principal, id, `${id}.${request.params.seq}`);
    if (formOf(request).step !== 'apply')
      return showSession(response, id, null, { confirm: { what: 'message', message } });
    await unlessHeld(response, id, `/sessions/${id}`, () => chat.deleteMessage(principal, id, message.id));
  });

  router.get(
    ['/sessions/:id/delete', '/sessions/:id/messages', '/sessions/:id/messages/:seq/delete'],
    (request, response) => response.redirect(303, `/sessions/${sessionIdOf(request.params.id)}`),
  );

  return router;
}

/** What cannot be an id is not there. */
export function sessionIdOf(id: unknown): string {
  if (typeof id === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return id;
  throw noSession(HOW_TO_ASK);
}

const HOW_TO_ASK =
  'If somebody sent you this address, ask them to let you in: on the page of their session by Share, for you or for the team.';

/** What is not there and what is somebody else’s answer the same, and say how one is let in. */
export async function askingHow<T>(principal: Principal, find: () => Promise<T>): Promise<T> {
  try {
    return await find();
  } catch (error) {
    if (!isCode(error, 'not-found')) throw error;
    const reads = principal.permissions.has(USE);
    throw noSession(
      reads
        ? HOW_TO_ASK
        : 'Sessions are read by owners, planners and reviewers: ask an owner for such a role.',
    );
  }
}

function noSession(hint: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'find session', hint },
    message: 'There is no such session, or it is not yours.',
  });
}

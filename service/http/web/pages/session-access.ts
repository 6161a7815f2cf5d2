import express, { type Response } from 'express';
import { DONE } from '../views/grants.ts';
import { sessionAccessPage, type SessionAccessPage } from '../views/session-access.ts';
import { grantIdOf, statusOf } from './governance-grants.ts';
import { answerGrant, offered } from './grant-input.ts';
import { formOf, namesOf, principalOf, textOf, type Pages } from './render.ts';
import { askingHow, sessionIdOf } from './session.ts';

const USE = 'factory.session.use';
const MANAGE = 'factory.governance.manage';
const MOST = 100;

/** `/sessions/{id}/access`: whose session it is lets others read it, and ends that. */
export function sessionAccessPages({ context, view, send, permitted }: Pages): express.Router {
  const { grants } = context.governance;
  const { sessions } = context.chat;
  const router = express.Router();

  async function show(
    response: Response,
    id: string,
    shown: Partial<SessionAccessPage> = {},
    status = 200,
  ): Promise<void> {
    const principal = principalOf(response);
    const session = await askingHow(principal, () => sessions.show(principal, id));
    const { share: mayShare } = await sessions.may(principal, id);
    const body = sessionAccessPage(view(response.locals), {
      ...{ session, mayShare, mayManage: principal.permissions.has(MANAGE) },
      ...{ grants: (await grants.list(principal, { sessionId: id, limit: MOST })).grants },
      ...{ names: await namesOf(context), people: await offered(context, principal) },
      ...{ action: `/sessions/${id}/access`, terms: await grants.terms() },
      ...{ form: null, plan: null, confirm: null, refusal: null, done: null, ...shown },
    });
    send(response, { title: 'Who may read it', place: 'sessions', body }, status);
  }

  router.get('/sessions/:id/access', (request, response) => {
    const done = textOf(request.query['done']);
    const shown = { done: done in DONE ? (done as keyof typeof DONE) : null };
    return show(response, sessionIdOf(request.params.id), shown);
  });

  router.post('/sessions/:id/access', async (request, response) => {
    const principal = await permitted(response, USE, 'let somebody in');
    const id = sessionIdOf(request.params.id);
    const input = { ...formOf(request), kind: 'session', sessionId: id };
    const answered = await askingHow(principal, async () => {
      await sessions.show(principal, id);
      return answerGrant(context, principal, input);
    });
    if ('done' in answered) return response.redirect(303, `/sessions/${id}/access?done=${answered.done}`);
    await show(response, id, answered, statusOf(answered));
  });

  router.post('/sessions/:id/access/:grant/end', async (request, response) => {
    const principal = await permitted(response, USE, 'end grant');
    const id = sessionIdOf(request.params.id);
    const grant = await grants.show(principal, grantIdOf(request.params.grant));
    if (formOf(request)['step'] !== 'apply') return show(response, id, { confirm: { step: 'end', grant } });
    await grants.revoke(principal, grant.id);
    response.redirect(303, `/sessions/${id}/access?done=ended`);
  });

  router.get('/sessions/:id/access/:grant/:step', (request, response) =>
    response.redirect(303, `/sessions/${sessionIdOf(request.params.id)}/access`),
  );

  return router;
}

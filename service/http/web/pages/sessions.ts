import express, { type Response } from 'express';
import { sessionsPage, type SessionsPage } from '../views/sessions.ts';
import { formOf, inputProblems, isCode, namesOf, principalOf, textOf, type Pages } from './render.ts';

const USE = 'factory.session.use';
const METADATA = 'factory.session.metadata';
const PAGE = 50;

/** `/sessions`: the list, and the form that begins one. */
export function sessionListPages({ context, view, send, permitted }: Pages): express.Router {
  const { chat } = context;
  const router = express.Router();

  async function showList(
    response: Response,
    query: { class: string; itemId: string; cursor: string },
    form: SessionsPage['form'],
    status = 200,
  ): Promise<void> {
    const principal = principalOf(response);
    const { permissions } = principal;
    if (!permissions.has(METADATA)) await permitted(response, USE, 'list sessions');
    const { cursor, ...filter } = query;
    const given = Object.fromEntries(
      Object.entries({ ...filter, cursor }).filter(([, value]) => value !== ''),
    );
    const page = await chat.sessions.list(principal, { ...given, limit: PAGE });
    const body = sessionsPage(view(response.locals), {
      ...page,
      ...{ filter, form, names: await namesOf(context) },
      mayBegin: permissions.has(USE),
      metadataOnly: !permissions.has(USE),
    });
    send(response, { title: 'Sessions', place: 'sessions', body }, status);
  }

  router.get('/sessions', (request, response) => {
    const asked = (name: string) => textOf(request.query[name]);
    return showList(
      response,
      { class: asked('class'), itemId: asked('itemId'), cursor: asked('cursor') },
      null,
    );
  });

  router.post('/sessions', async (request, response) => {
    const principal = await permitted(response, USE, 'begin session');
    const input = formOf(request);
    const given = Object.fromEntries(
      Object.entries(input).filter(([name, value]) => name !== '_csrf' && value !== ''),
    );
    try {
      const made = await context.beginSession(principal, given);
      response.redirect(303, `/sessions/${made.id}`);
    } catch (error) {
      if (!isCode(error, 'bad-input') && !isCode(error, 'not-found')) throw error;
      const problems = isCode(error, 'not-found')
        ? [{ path: 'itemId', message: 'There is no such work item.' }]
        : inputProblems(error);
      await showList(response, { class: '', itemId: '', cursor: '' }, { input, problems }, 400);
    }
  });

  return router;
}

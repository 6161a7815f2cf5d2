import express, { type Response } from 'express';
import type { ChangeActor } from '../../../audit/events.ts';
import { FactoryError } from '../../../errors.ts';
import type { Principal } from '../../../work-items/types.ts';
import { onlyOwner, peoplePage, type PeoplePage } from '../views/people.ts';
import { formOf, inputProblems, isCode, principalOf, textsOf, type Pages } from './render.ts';

const MANAGE_PEOPLE = 'factory.people.manage';
const MANAGE_TOKENS = 'factory.token.manage';

/** `/people`: members, invitations, tokens. Links and tokens are shown on the answer that made them, and never again. */
export function peoplePages({ context, view, send, permitted }: Pages): express.Router {
  const { people, tokens } = context;
  const router = express.Router();

  async function show(response: Response, shown: Partial<PeoplePage>, status = 200): Promise<void> {
    const { permissions } = principalOf(response);
    const body = peoplePage(view(response.locals), {
      people: await people.list(),
      may: { managePeople: permissions.has(MANAGE_PEOPLE), manageTokens: permissions.has(MANAGE_TOKENS) },
      invitation: null,
      token: null,
      confirm: null,
      refused: false,
      problems: null,
      ...shown,
    });
    send(response, { title: 'People', place: 'people', body }, status);
  }

  const manager = async (response: Response, permission: string, op: string) =>
    actorOf(await permitted(response, permission, op));

  router.get('/people', (_request, response) => show(response, {}));

  router.post('/people/invite', async (request, response) => {
    const actor = await manager(response, MANAGE_PEOPLE, 'invite person');
    const input = formOf(request);
    try {
      const invitation = await people.invite(actor, { name: input.name ?? '', role: input.role ?? '' });
      await show(response, { invitation });
    } catch (error) {
      if (!isCode(error, 'bad-input')) throw error;
      await show(
        response,
        { problems: { form: 'invite', input, roles: [], list: inputProblems(error) } },
        400,
      );
    }
  });

  router.post('/people/:id/remove', async (request, response) => {
    const actor = await manager(response, MANAGE_PEOPLE, 'remove person');
    const all = await people.list();
    const person = all.find(({ id }) => id === request.params.id);
    if (!person) throw notFound('person');
    if (formOf(request).step !== 'apply') {
      return person === onlyOwner(all)
        ? show(response, { refused: true }, 409)
        : show(response, { confirm: { person } });
    }
    try {
      await people.remove(actor, person.id);
      response.redirect(303, '/people');
    } catch (error) {
      if (!isCode(error, 'last-owner')) throw error;
      await show(response, { refused: true }, 409);
    }
  });

  router.post('/tokens', async (request, response) => {
    const actor = await manager(response, MANAGE_TOKENS, 'create token');
    const input = formOf(request);
    const roles = textsOf((request.body as { roles?: unknown }).roles);
    const { name = '', personId = '', expires } = input;
    try {
      const token = await tokens.create(actor, { name, roles, personId, expires: expires || null });
      await show(response, { token });
    } catch (error) {
      if (!isCode(error, 'bad-input')) throw error;
      await show(response, { problems: { form: 'token', input, roles, list: inputProblems(error) } }, 400);
    }
  });

  router.post('/tokens/:id/revoke', async (request, response) => {
    const actor = await manager(response, MANAGE_TOKENS, 'revoke token');
    const of = (await people.list()).find((person) =>
      person.tokens.some(({ id }) => id === request.params.id),
    );
    const token = of?.tokens.find(({ id }) => id === request.params.id);
    if (!of || !token) throw notFound('token');
    if (formOf(request).step !== 'apply') return show(response, { confirm: { token, of } });
    await tokens.revoke(actor, token.id);
    response.redirect(303, '/people');
  });

  router.get(
    ['/people/invite', '/people/:id/remove', '/tokens', '/tokens/:id/revoke'],
    (_request, response) => response.redirect(303, '/people'),
  );

  return router;
}

function actorOf({ kind, id, personId, roles }: Principal): ChangeActor {
  return { kind, id, personId, roles };
}

function notFound(what: string): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op: `find ${what}`,
    message: `There is no such ${what}.`,
    hint: 'The People page lists all of them.',
  });
}

import express, { type Response } from 'express';
import { isSameName } from '../../../access/checks.ts';
import type { PersonDocument } from '../../../access/people.ts';
import { isRole } from '../../../access/roles.ts';
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

  const show = shower({ context, view, send });
  const manager = async (response: Response, permission: string, op: string) =>
    actorOf(await permitted(response, permission, op));

  router.get('/people', async (_request, response) => {
    await permitted(response, 'factory.people.read', 'list people');
    await show(response, {});
  });

  router.post('/people/invite', async (request, response) => {
    const actor = await manager(response, MANAGE_PEOPLE, 'invite person');
    const input = formOf(request);
    const { name = '', role = '', step } = input;
    const namesake = (await people.list()).find(
      (one) => one.status !== 'removed' && isSameName(one.name, name),
    );
    if (namesake && step !== 'apply' && isRole(role))
      return show(response, { confirm: { what: 'invite', namesake, role } });
    try {
      await show(response, { link: { made: await people.invite(actor, { name, role }), to: null } });
    } catch (error) {
      if (!isCode(error, 'bad-input')) throw error;
      await show(
        response,
        { problems: { form: 'invite', input, roles: [], list: inputProblems(error) } },
        400,
      );
    }
  });

  /** Everybody, and whom the address names. */
  async function found(id: string): Promise<{ all: PersonDocument[]; person: PersonDocument }> {
    const all = await people.list();
    const person = all.find((one) => one.id === id && one.status !== 'removed');
    if (!person) throw notFound('person');
    return { all, person };
  }

  router.post('/people/:id/link', async (request, response) => {
    const actor = await manager(response, MANAGE_PEOPLE, 'make link');
    const { person } = await found(request.params.id);
    const { step, signOut } = formOf(request);
    if (step !== 'apply') return show(response, { confirm: { what: 'link', person } });
    const made = await people.link(actor, person.id, { signOut: signOut === 'yes' });
    await show(response, { link: { made, to: person.name } });
  });

  router.post('/people/:id/role', async (request, response) => {
    const actor = await manager(response, MANAGE_PEOPLE, 'change role');
    const { all, person } = await found(request.params.id);
    const { step, role = '' } = formOf(request);
    if (person.roles.join(' ') === role) return response.redirect(303, '/people');
    if (step !== 'apply' && isRole(role)) {
      return person === onlyOwner(all)
        ? show(response, { refused: true }, 409)
        : show(response, { confirm: { what: 'role', person, role } });
    }
    try {
      await people.setRole(actor, person.id, role);
      response.redirect(303, '/people');
    } catch (error) {
      if (!isCode(error, 'last-owner')) throw error;
      await show(response, { refused: true }, 409);
    }
  });

  router.post('/people/:id/remove', async (request, response) => {
    const actor = await manager(response, MANAGE_PEOPLE, 'remove person');
    const { all, person } = await found(request.params.id);
    if (formOf(request).step !== 'apply') {
      return person === onlyOwner(all)
        ? show(response, { refused: true }, 409)
        : show(response, { confirm: { what: 'remove', person } });
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
    if (formOf(request).step !== 'apply') return show(response, { confirm: { what: 'revoke', token, of } });
    await tokens.revoke(actor, token.id);
    response.redirect(303, '/people');
  });

  router.get(
    [
      '/people/invite',
      '/people/:id/link',
      '/people/:id/role',
      '/people/:id/remove',
      '/tokens',
      '/tokens/:id/revoke',
    ],
    (_request, response) => response.redirect(303, '/people'),
  );

  return router;
}

type Show = (response: Response, shown: Partial<PeoplePage>, status?: number) => Promise<void>;

/** Sends the page with everybody on it, and what this answer has to say besides. */
function shower({ context, view, send }: Pick<Pages, 'context' | 'view' | 'send'>): Show {
  return async (response, shown, status = 200) => {
    const { kind, personId, permissions } = principalOf(response);
    const body = peoplePage(view(response.locals), {
      people: await context.people.list(),
      self: kind === 'person' ? personId : null,
      may: { managePeople: permissions.has(MANAGE_PEOPLE), manageTokens: permissions.has(MANAGE_TOKENS) },
      link: null,
      token: null,
      confirm: null,
      refused: false,
      problems: null,
      ...shown,
    });
    send(response, { title: 'People', place: 'people', body }, status);
  };
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

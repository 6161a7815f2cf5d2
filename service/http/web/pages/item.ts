import { randomUUID } from 'node:crypto';
import express, { type Response } from 'express';
import type { SessionView } from '../../../chat/types.ts';
import { FactoryError } from '../../../errors.ts';
import { ACTION_IDENTITIES, type ActionIdentity, type Principal } from '../../../work-items/types.ts';
import type { DecisionDocument } from '../../../work-items/documents.ts';
import { unreadablePage } from '../views/error.ts';
import { formInput, TAKES_INPUT } from '../views/action-inputs.ts';
import type { ActPanel } from '../views/item-page.ts';
import { itemPage } from '../views/item.ts';
import { take } from './act.ts';
import { formOf, isCode, principalOf, textOf, type Pages } from './render.ts';

/** Of an item's page; the others stand on the page of sessions. */
const SESSIONS = 10;
const SEES_SESSIONS = ['factory.session.use', 'factory.session.metadata'];

interface Shown {
  all: boolean;
  /** The action that the page is about, if any. */
  identity: ActionIdentity | null;
  panel: ActPanel | null;
  applied: DecisionDocument | null;
}

/** `/items/{id}` and its actions. */
export function itemPages(pages: Pages): express.Router {
  const { context, view, send } = pages;
  const { items } = context;
  const router = express.Router();

  /** The actions of the lane, or all of them where asked, or where `identity` is not among those of the lane. */
  async function listed(principal: Principal, id: string, all: boolean, identity: ActionIdentity | null) {
    const actions = await items.actions(principal, id, { all });
    const shown = identity === null || actions.actions.some((action) => action.identity === identity);
    return shown || all
      ? { all, actions }
      : { all: true, actions: await items.actions(principal, id, { all: true }) };
  }

  async function sessionsOf(principal: Principal, itemId: string): Promise<SessionView[]> {
    if (!SEES_SESSIONS.some((one) => principal.permissions.has(one))) return [];
    return (await context.chat.sessions.list(principal, { itemId, limit: SESSIONS })).sessions;
  }

  async function sendItem(
    response: Response,
    principal: Principal,
    id: string,
    { all, identity, panel, applied }: Shown,
    status = 200,
  ): Promise<void> {
    const [item, listing, history, sessions] = await Promise.all([
      items.show(principal, id),
      listed(principal, id, all, identity),
      items.history(principal, id, {}),
      sessionsOf(principal, id),
    ]);
    const body = itemPage(view(response.locals), {
      item,
      ...listing,
      history,
      sessions,
      viewer: principal,
      focus: identity,
      panel,
      applied,
    });
    const page = { title: `${item.key} ${item.title}`, place: 'board' as const, body, live: 'item' as const };
    send(response, { ...page, item: { id: item.id, version: item.version } }, status);
  }

  router.get('/items/:id', async (request, response) => {
    const principal = principalOf(response);
    const { id } = request.params;
    const identity = identityOf(textOf(request.query.act));
    const done = textOf(request.query.done);
    try {
      await sendItem(response, principal, id, {
        all: textOf(request.query.all) === 'true',
        identity,
        panel: identity && TAKES_INPUT.has(identity) ? askInput(identity, queryInput(request.query)) : null,
        applied: done ? await items.decision(principal, id, done) : null,
      });
    } catch (error) {
      const problems = isCode(error, 'not-found')
        ? items.problems().filter(({ itemId }) => itemId === id)
        : [];
      if (problems.length === 0) throw error;
      const body = unreadablePage(view(response.locals), id, problems);
      send(response, { title: id, place: 'board', body }, 404);
    }
  });

  router.get('/items/:id/actions/:identity', (request, response) => {
    const { id, identity } = request.params;
    response.redirect(
      303,
      `/items/${encodeURIComponent(id)}?act=${encodeURIComponent(identity)}#act-${encodeURIComponent(identity)}`,
    );
  });

  router.post('/items/:id/actions/:identity', async (request, response) => {
    const principal = principalOf(response);
    const { id } = request.params;
    const identity = identityOf(request.params.identity);
    if (!identity) throw unknownAction(request.params.identity);
    const form = formOf(request);
    const step = await take(items, principal, id, identity, form);
    if ('decisionId' in step) return response.redirect(303, `/items/${id}?done=${step.decisionId}`);
    await sendItem(
      response,
      principal,
      id,
      { all: form.all === 'true', identity, panel: step.panel, applied: null },
      step.status,
    );
  });

  return router;
}

function identityOf(text: string): ActionIdentity | null {
  return ACTION_IDENTITIES.find((identity) => identity === text) ?? null;
}

function unknownAction(identity: string): FactoryError {
  return new FactoryError({
    code: 'not-found',
    op: 'act on item',
    target: identity,
    message: 'There is no such action.',
    hint: 'The item page lists all actions.',
  });
}

function queryInput(query: Record<string, unknown>) {
  return formInput(Object.fromEntries(Object.keys(query).map((name) => [name, textOf(query[name])])));
}

function askInput(identity: ActionIdentity, input: ActPanel['input']): ActPanel {
  return { identity, input, problems: [], plan: null, idempotencyKey: randomUUID(), refusal: null };
}

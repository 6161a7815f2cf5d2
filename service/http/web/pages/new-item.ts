import express from 'express';
import type { Principal } from '../../../work-items/types.ts';
import type { NetNewInput } from '../ports.ts';
import { NEW_ITEM_FIELDS, newItemPage, successorOf, type NewItemForm } from '../views/new-item.ts';
import { formOf, inputProblems, isCode, textOf, type Pages } from './render.ts';

/** `/items/new`: a net-new item; `?supersedes=` starts the successor of an item. */
export function newItemPages({ context, view, send, permitted }: Pages): express.Router {
  const { items } = context;
  const router = express.Router();
  const page = (body: ReturnType<typeof newItemPage>) => ({
    title: 'New item',
    place: 'board' as const,
    body,
  });

  const superseded = async (principal: Principal, id: string | undefined) =>
    id ? items.show(principal, id) : null;

  router.get('/items/new', async (request, response) => {
    const principal = await permitted(response, 'factory.work-item.create', 'create item');
    const old = await superseded(principal, textOf(request.query.supersedes));
    send(response, page(newItemPage(view(response.locals), old ? successorOf(old) : {}, [], old)));
  });

  router.post('/items/new', async (request, response) => {
    const principal = await permitted(response, 'factory.work-item.create', 'create item');
    const body = formOf(request);
    const form: NewItemForm = Object.fromEntries(
      NEW_ITEM_FIELDS.flatMap((name) => (body[name] ? [[name, body[name]]] : [])),
    );
    try {
      const item = await items.create(principal, netNew(form), { idempotencyKey: keyIn(body) });
      response.redirect(303, `/items/${item.id}`);
    } catch (error) {
      const reused = isCode(error, 'idempotency-key-reused');
      if (!reused && !isCode(error, 'bad-input')) throw error;
      const problems = reused ? [{ path: '', message: MADE_ALREADY }] : inputProblems(error);
      const old = await superseded(principal, form.supersedes);
      send(response, page(newItemPage(view(response.locals), form, problems, old)), reused ? 409 : 400);
    }
  });

  return router;
}

const MADE_ALREADY =
  'This form has created an item already, with other words. Send it again to create one more.';

/** Each form that is shown carries a key of its own, so that sending it twice creates one item. */
function keyIn({ key }: Record<string, string | undefined>): string | undefined {
  return key !== undefined && /^[\x21-\x7e]{1,255}$/.test(key) ? key : undefined;
}

/** The form's text as the API's input: criteria a line each, ids between spaces or commas. */
export function netNew(form: NewItemForm): NetNewInput {
  const {
    title = '',
    summary = '',
    workType = '',
    prompt = '',
    criteria,
    branch,
    validation,
    blockedBy,
    supersedes,
  } = form;
  const lines = (text: string | undefined, separator: RegExp) =>
    (text ?? '').split(separator).flatMap((line) => line.trim() || []);
  return {
    title,
    summary,
    workType,
    prompt,
    criteria: lines(criteria, /\r?\n/),
    ...(branch ? { branch } : {}),
    ...(validation ? { validation } : {}),
    ...(blockedBy ? { blockedBy: lines(blockedBy, /[\s,]+/) } : {}),
    ...(supersedes ? { supersedes } : {}),
  };
}

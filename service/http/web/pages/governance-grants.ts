import express, { type Response } from 'express';
import { FactoryError } from '../../../errors.ts';
import { DONE, GRANTS, grantsPage, type GrantsPage, type GrantStep } from '../views/grants.ts';
import { answerGrant, decisionRefusal, offered } from './grant-input.ts';
import { formOf, namesOf, principalOf, textOf, type Pages } from './render.ts';

const MANAGE = 'factory.governance.manage';
const PAGE = 50;
const STEPS: readonly GrantStep[] = ['approve', 'refuse', 'end'];
const DONE_BY: Record<GrantStep, keyof typeof DONE> = {
  approve: 'approved',
  refuse: 'refused',
  end: 'ended',
};

type Query = { session?: string; all?: boolean; cursor?: string };

/** `/governance/grants`: who reads what is not theirs; letting in, break-glass, and the decision on it. */
export function grantPages({ context, view, send, permitted }: Pages): express.Router {
  const { grants } = context.governance;
  const router = express.Router();

  async function show(
    response: Response,
    shown: Partial<GrantsPage> = {},
    { session = '', all = false, cursor }: Query = {},
    status = 200,
  ): Promise<void> {
    const principal = principalOf(response);
    const query = { ...(session === '' ? {} : { sessionId: session }), open: !all, limit: PAGE };
    const body = grantsPage(view(response.locals), {
      ...(await grants.list(principal, { ...query, ...(cursor === undefined ? {} : { cursor }) })),
      ...{ all, session, action: GRANTS, mayManage: principal.permissions.has(MANAGE) },
      ...{ names: await namesOf(context), people: await offered(context, principal) },
      ...{ terms: await grants.terms(), form: null, plan: null, confirm: null, refusal: null, done: null },
      ...shown,
    });
    send(response, { title: 'Grants', place: 'governance', body }, status);
  }

  router.get(GRANTS, (request, response) => {
    const [session, cursor] = [textOf(request.query['session']), textOf(request.query['cursor'])];
    const done = textOf(request.query['done']);
    return show(
      response,
      { done: done in DONE ? (done as keyof typeof DONE) : null },
      {
        session: isId(session) ? session : '',
        all: textOf(request.query['all']) === 'true',
        ...(cursor === '' ? {} : { cursor }),
      },
    );
  });

  router.post(GRANTS, async (request, response) => {
    const principal = await permitted(response, MANAGE, 'let somebody in');
    const answered = await answerGrant(context, principal, formOf(request));
    if ('done' in answered) return response.redirect(303, `${GRANTS}?done=${answered.done}`);
    await show(response, answered, {}, statusOf(answered));
  });

  for (const step of STEPS)
    router.post(`${GRANTS}/:id/${step}`, async (request, response) => {
      const principal = await permitted(response, MANAGE, `${step} grant`);
      const grant = await grants.show(principal, grantIdOf(request.params.id));
      if (formOf(request)['step'] !== 'apply') return show(response, { confirm: { step, grant } });
      try {
        if (step === 'end') await grants.revoke(principal, grant.id);
        else await grants.decide(principal, grant.id, step);
        response.redirect(303, `${GRANTS}?done=${DONE_BY[step]}`);
      } catch (error) {
        const refusal = decisionRefusal(error);
        if (refusal === null) throw error;
        await show(response, { refusal }, {}, 409);
      }
    });

  router.get(
    STEPS.map((step) => `${GRANTS}/:id/${step}`),
    (_request, response) => response.redirect(303, GRANTS),
  );

  return router;
}

export function statusOf(answered: object): number {
  if ('refusal' in answered) return 409;
  return 'form' in answered ? 400 : 200;
}

const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

/** What cannot be an id is not there. */
export function grantIdOf(id: unknown): string {
  if (typeof id === 'string' && isId(id)) return id;
  throw new FactoryError({
    ...{ code: 'not-found', op: 'find grant' },
    message: 'There is no such grant.',
    hint: 'The Grants page lists those that there are.',
  });
}

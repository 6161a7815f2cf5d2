import express, { type Response } from 'express';
import type { FactoryError } from '../../../errors.ts';
import { holdsPage, type HoldsPage } from '../views/holds.ts';
import { formOf, inputProblems, isCode, namesOf, principalOf, textOf, type Pages } from './render.ts';

const MANAGE = 'factory.governance.manage';
const PAGE = 50;

/** `/governance/holds`: a hold is placed after what it covers was shown, and released after it was asked again. */
export function holdPages({ context, view, send, permitted }: Pages): express.Router {
  const { holds, readHold } = context.governance;
  const router = express.Router();

  async function show(
    response: Response,
    shown: Partial<HoldsPage> = {},
    query: { cursor?: string; released?: boolean } = {},
    status = 200,
  ): Promise<void> {
    const principal = principalOf(response);
    const body = holdsPage(view(response.locals), {
      ...(await holds.list(principal, { ...query, limit: PAGE })),
      ...{ released: query.released ?? false, names: await namesOf(context) },
      mayManage: principal.permissions.has(MANAGE),
      ...{ plan: null, releasing: null, form: null, ...shown },
    });
    send(response, { title: 'Holds', place: 'governance', body }, status);
  }

  router.get('/governance/holds', (request, response) => {
    const cursor = textOf(request.query['cursor']);
    const released = textOf(request.query['released']) === 'true';
    return show(response, {}, { released, ...(cursor === '' ? {} : { cursor }) });
  });

  router.post('/governance/holds', async (request, response) => {
    const principal = await permitted(response, MANAGE, 'place hold');
    const input = formOf(request);
    try {
      const hold = readHold(holdOf(input));
      if (input['step'] !== 'apply')
        return await show(response, { plan: { input, covered: await holds.covered(hold) } });
      await holds.place(principal, hold);
      response.redirect(303, '/governance/holds');
    } catch (error) {
      const problems = problemsOf(error);
      if (problems === null) throw error;
      await show(response, { form: { input, problems } }, {}, 400);
    }
  });

  router.post('/governance/holds/:id/release', async (request, response) => {
    const principal = await permitted(response, MANAGE, 'release hold');
    const hold = await holds.show(principal, request.params.id);
    if (formOf(request)['step'] !== 'apply') return show(response, { releasing: hold });
    await holds.release(principal, hold.id);
    response.redirect(303, '/governance/holds?released=true');
  });
  router.get('/governance/holds/:id/release', (_request, response) =>
    response.redirect(303, '/governance/holds'),
  );

  return router;
}

/** Days of the form are whole ones, UTC; what is empty was not said. */
function holdOf(input: Record<string, string>): Record<string, string> {
  const { reason = '', subjectId, sessionId, class: kind, from, to } = input;
  const given = {
    ...{ subjectId, sessionId, class: kind },
    from: from && `${from}T00:00:00.000Z`,
    to: to && `${to}T23:59:59.999Z`,
  };
  const said = Object.entries(given).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return { reason, ...Object.fromEntries(said) };
}

const FIELD_OF: Record<string, string> = {
  'not-found': 'sessionId',
  gone: 'sessionId',
  'subject-erased': 'subjectId',
};

/** What stands beside a field; null: it is not about the form. */
function problemsOf(error: unknown): { path: string; message: string }[] | null {
  if (isCode(error, 'bad-input')) return inputProblems(error);
  const path = Object.keys(FIELD_OF).find((code) => isCode(error, code));
  return path === undefined
    ? null
    : [{ path: FIELD_OF[path] ?? '', message: (error as FactoryError).message }];
}

import express, { type Response } from 'express';
import { FactoryError } from '../../../errors.ts';
import { asDownload } from '../../disposition.ts';
import { erasurePage, erasuresPage, type ErasuresPage } from '../views/erasures.ts';
import { formOf, inputProblems, isCode, namesOf, principalOf, textOf, type Pages } from './render.ts';

const MANAGE = 'factory.governance.manage';
const PAGE = 50;
const NAMED_HOLDS = 5;

/** `/governance/erasures`: asked for with the subject's name typed twice, followed while it runs, certified. */
export function erasurePages({ context, view, send, permitted }: Pages): express.Router {
  const { erasures, erasurePlan, holds, readErasure } = context.governance;
  const router = express.Router();

  async function show(
    response: Response,
    shown: Partial<ErasuresPage> = {},
    cursor = '',
    status = 200,
  ): Promise<void> {
    const body = erasuresPage(view(response.locals), {
      ...(await erasures.list({ limit: PAGE, ...(cursor === '' ? {} : { cursor }) })),
      names: await namesOf(context),
      mayManage: principalOf(response).permissions.has(MANAGE),
      ...{ plan: null, form: null, ...shown },
    });
    send(response, { title: 'Erasures', place: 'governance', body }, status);
  }

  router.get('/governance/erasures', (request, response) =>
    show(response, {}, textOf(request.query['cursor'])),
  );

  router.post('/governance/erasures', async (request, response) => {
    const principal = await permitted(response, MANAGE, 'request erasure');
    const input = formOf(request);
    const { subjectId = '', reason = '', step, typed } = input;
    try {
      const wanted = readErasure({ subjectId, reason });
      if (step !== 'apply' || typed !== subjectId) {
        const plan = await erasurePlan(subjectId);
        const keeping = await Promise.all(
          plan.held.holds.slice(0, NAMED_HOLDS).map((id) => holds.show(principal, id)),
        );
        const mistyped = step === 'apply';
        const shown = { input, plan, holds: keeping, mistyped };
        return await show(response, { plan: shown }, '', mistyped ? 400 : 200);
      }
      const { id } = await erasures.request(principal, wanted);
      response.redirect(303, `/governance/erasures/${id}`);
    } catch (error) {
      const problems = problemsOf(error);
      if (problems === null) throw error;
      await show(response, { form: { input, problems } }, '', 400);
    }
  });

  router.get('/governance/erasures/:id', async (request, response) => {
    const erasure = await erasures.show(request.params.id);
    const body = erasurePage(view(response.locals), erasure, await namesOf(context));
    const inPlace = erasure.status === 'running';
    send(response, { title: 'Erasure', place: 'governance', body, inPlace });
  });

  router.get('/governance/erasures/:id/certificate', async (request, response) => {
    const { id, certificate } = await erasures.show(request.params.id);
    if (certificate === null) throw notYet(id);
    response
      .set({
        'Cache-Control': 'no-store',
        'Content-Disposition': asDownload(`erasure-certificate-${id}.json`),
      })
      .type('application/json')
      .send(JSON.stringify(certificate));
  });

  return router;
}

/** What stands beside a field; null: it is not about the form. */
function problemsOf(error: unknown): { path: string; message: string }[] | null {
  if (isCode(error, 'bad-input')) return inputProblems(error);
  const about = isCode(error, 'not-found') || isCode(error, 'subject-erased');
  return about ? [{ path: 'subjectId', message: error.message }] : null;
}

function notYet(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'download certificate', target },
    message: 'This erasure still runs: there is no certificate yet.',
    hint: 'Look at its page again when it has ended.',
  });
}

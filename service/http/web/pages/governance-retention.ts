import express, { type Response } from 'express';
import { asFactoryError, FactoryError } from '../../../errors.ts';
import { asDownload } from '../../disposition.ts';
import { planPage, type Keeper, type PlanPage } from '../views/retention-plan.ts';
import { retentionPage, URL } from '../views/retention.ts';
import { formOf, isCode, namesOf, principalOf, textOf, type Pages } from './render.ts';

const MANAGE = 'factory.governance.manage';
const PAGE = 20;
/** Holds that are named for what they keep back. */
const MOST_HOLDS = 20;

/** `/governance/retention`: a plan is looked at, applied by its digest, followed while it runs, and taken back. */
export function retentionPages({ context, view, send, permitted }: Pages): express.Router {
  const { retention, policies, holds } = context.governance;
  const router = express.Router();
  const mayManage = (response: Response) => principalOf(response).permissions.has(MANAGE);

  async function keepersOf(
    response: Response,
    heldBy: { holdId: string; items: number }[],
  ): Promise<Keeper[]> {
    const principal = principalOf(response);
    const most = heldBy.toSorted((a, b) => b.items - a.items).slice(0, MOST_HOLDS);
    return Promise.all(
      most.map(async ({ holdId: id, items }) => {
        try {
          const { reason, releasedAt } = await holds.show(principal, id);
          return { id, items, reason, released: releasedAt !== null };
        } catch (error) {
          if (!isCode(error, 'not-found')) throw error;
          return { id, items, reason: null, released: false };
        }
      }),
    );
  }

  async function show(
    response: Response,
    id: string,
    shown: Partial<Pick<PlanPage, 'confirm' | 'refusal'>> = {},
    status = 200,
  ): Promise<void> {
    const plan = await retention.show(id);
    const body = planPage(view(response.locals), {
      ...{ plan, keepers: await keepersOf(response, plan.heldBy), bin: await retention.inBinOf(id) },
      ...{ names: await namesOf(context), mayManage: mayManage(response) },
      ...{ confirm: null, refusal: null, ...shown },
    });
    const inPlace = plan.state === 'applying';
    send(response, { title: 'Plan of retention', place: 'governance', body, inPlace }, status);
  }

  /** A plan that does not fit any more is said on its page, with the way to another one. */
  async function orRefusal(response: Response, id: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isCode(error, 'plan-outdated')) throw error;
      const { message: title } = asFactoryError(error, 'apply retention plan');
      await show(response, id, { refusal: { title, text: OUTDATED } }, 409);
    }
  }

  router.get(URL, async (request, response) => {
    const cursor = textOf(request.query['cursor']);
    const [list, document, bin, names] = await Promise.all([
      retention.list({ limit: PAGE, ...(cursor === '' ? {} : { cursor }) }),
      policies.all(),
      retention.inBin(),
      namesOf(context),
    ]);
    const body = retentionPage(view(response.locals), {
      ...{ ...list, document, bin, names, mayManage: mayManage(response) },
    });
    send(response, { title: 'Retention', place: 'governance', body });
  });

  router.post(URL, async (_request, response) => {
    const principal = await permitted(response, MANAGE, 'plan retention');
    const { id } = await retention.plan(principal);
    response.redirect(303, `${URL}/${id}`);
  });

  router.get(`${URL}/:id`, (request, response) => show(response, idOf(request.params.id)));

  router.post(`${URL}/:id/apply`, async (request, response) => {
    const principal = await permitted(response, MANAGE, 'apply retention plan');
    const id = idOf(request.params.id);
    const { step, digest = '' } = formOf(request);
    if (step !== 'apply') return show(response, id, { confirm: 'apply' });
    await orRefusal(response, id, async () => {
      await retention.begin(principal, id, digest);
      response.redirect(303, `${URL}/${id}`);
    });
  });

  router.post(`${URL}/:id/undo`, async (request, response) => {
    const principal = await permitted(response, MANAGE, 'take back retention plan');
    const id = idOf(request.params.id);
    if (formOf(request)['step'] !== 'apply') return show(response, id, { confirm: 'undo' });
    await orRefusal(response, id, async () => {
      await retention.undo(principal, id);
      response.redirect(303, `${URL}/${id}`);
    });
  });

  router.get([`${URL}/:id/apply`, `${URL}/:id/undo`], (request, response) =>
    response.redirect(303, `${URL}/${encodeURIComponent(textOf(request.params['id']))}`),
  );

  router.get(`${URL}/:id/record`, async (request, response) => {
    const id = idOf(request.params.id);
    const { record } = await retention.show(id);
    if (record === null) throw notYet(id);
    response
      .set({ 'Cache-Control': 'no-store', 'Content-Disposition': asDownload(`retention-run-${id}.json`) })
      .type('application/json')
      .send(JSON.stringify(record));
  });

  return router;
}

const OUTDATED = 'Make a new plan, look at it, and apply that one.';

/** What cannot be an id is not there. */
function idOf(id: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return id;
  throw new FactoryError({
    ...{ code: 'not-found', op: 'find retention plan', target: id },
    message: 'There is no plan of this id.',
    hint: 'The Retention page lists them.',
  });
}

function notYet(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'download record', target },
    message: 'Nothing was done by this plan yet: there is no record.',
    hint: 'Look at its page again when its run has ended.',
  });
}

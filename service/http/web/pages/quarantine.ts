import express, { type Response } from 'express';
import { asFactoryError, FactoryError } from '../../../errors.ts';
import { quarantinePage, type QuarantinePage, type Verdict } from '../views/quarantine.ts';
import { formOf, namesOf, principalOf, textOf, type Pages } from './render.ts';

const READ = 'factory.governance.read';
const MANAGE = 'factory.governance.manage';
const URL = '/governance/quarantine';
const PAGE = 20;
const VERDICTS: readonly Verdict[] = ['release', 'reject'];

type Extra = Partial<Pick<QuarantinePage, 'opened' | 'confirm' | 'refusal' | 'done'>>;

/** `/governance/quarantine`: what is held back, and the decision on it. */
export function quarantinePages({ context, view, send, permitted }: Pages): express.Router {
  const { quarantine } = context.chat.governance;
  const router = express.Router();

  async function show(response: Response, cursor: string, extra: Extra, status = 200): Promise<void> {
    await permitted(response, READ, 'list quarantine');
    const page = await quarantine.list({ limit: PAGE, ...(cursor === '' ? {} : { cursor }) });
    const body = quarantinePage(view(response.locals), {
      ...{ ...page, names: await namesOf(context), opened: null, confirm: null, refusal: null, done: null },
      mayDecide: principalOf(response).permissions.has(MANAGE),
      ...extra,
    });
    send(response, { title: 'Quarantine', place: 'governance', body }, status);
  }

  /** What was refused is said on the page; what is not there, or broke, is a page of its own. */
  async function orRefusal(response: Response, op: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { code, message: title, hint } = asFactoryError(error, op);
      if (!REFUSALS.has(code)) throw error;
      const text =
        code === 'break-glass-needed' ? 'Ask for break-glass with a reason, on the page of grants.' : hint;
      await show(response, '', { refusal: { title, text } }, 409);
    }
  }

  router.get(URL, (request, response) => {
    const done = textOf(request.query['done']);
    return show(response, textOf(request.query['cursor']), {
      done: done === 'asked' || done === 'released' || done === 'rejected' ? done : null,
    });
  });

  router.post(`${URL}/:id/read`, async (request, response) => {
    const principal = await permitted(response, MANAGE, 'read quarantined');
    const id = idOf(request.params.id);
    await orRefusal(response, 'read quarantined', async () => {
      const of = await quarantine.show(id);
      const original = await quarantine.original(principal, id);
      await show(response, '', { opened: { of, original } });
    });
  });

  for (const verdict of VERDICTS)
    router.post(`${URL}/:id/${verdict}`, async (request, response) => {
      const principal = await permitted(response, MANAGE, `${verdict} quarantined`);
      const id = idOf(request.params.id);
      const { step, reason = '' } = formOf(request);
      const of = await quarantine.show(id);
      if (step !== 'apply' || reason === '' || reason.length > 1000 || reason.includes('\0'))
        return show(response, '', { confirm: { verdict, of, reason } }, step === 'apply' ? 400 : 200);
      await orRefusal(response, `${verdict} quarantined`, async () => {
        if (verdict === 'reject') await quarantine.reject(principal, id, reason);
        const asked = verdict === 'release' && (await quarantine.release(principal, id, reason)) !== null;
        const done = verdict === 'reject' ? 'rejected' : asked ? 'asked' : 'released';
        response.redirect(303, `${URL}?done=${done}`);
      });
    });

  router.get([`${URL}/:id/read`, `${URL}/:id/release`, `${URL}/:id/reject`], (_request, response) =>
    response.redirect(303, URL),
  );

  return router;
}

const REFUSALS = new Set([
  'second-person-needed',
  'quarantine-waits',
  'on-hold',
  'break-glass-needed',
  'content-key-gone',
  'gone',
  'subject-key-gone',
]);

/** What cannot be an id is not there. */
function idOf(id: unknown): string {
  if (typeof id === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return id;
  throw new FactoryError({
    code: 'not-found',
    op: 'find in quarantine',
    message: 'Nothing waits under this id.',
    hint: 'The Quarantine page lists what waits.',
  });
}

import express from 'express';
import { governancePage } from '../views/governance.ts';
import { namesOf, principalOf, type Pages } from './render.ts';

const MANAGE = 'factory.governance.manage';
const READ = 'factory.governance.read';
/** Counted for a tile at most. */
const MOST = 200;

/** `/governance`: what is kept, what goes, who was let in, and what waits for somebody. */
export function governancePages(pages: Pages): express.Router {
  const { context, view, send, permitted } = pages;
  const { holds, erasures, grants, policies } = context.governance;
  const router = express.Router();

  router.use('/governance', async (_request, response, next) => {
    await permitted(response, READ, 'read governance');
    next();
  });

  router.get('/governance', async (_request, response) => {
    const principal = principalOf(response);
    const [held, erased, granted, waiting, policy, names] = await Promise.all([
      holds.list(principal, { limit: MOST }),
      erasures.list({ limit: MOST }),
      grants.list(principal, { open: true, limit: MOST }),
      context.chat.governance.quarantine.list({ limit: MOST }),
      policies.all(),
      namesOf(context),
    ]);
    const body = governancePage(view(response.locals), {
      ...{ holds: held.holds, erasures: erased.erasures, grants: granted.grants },
      quarantined: waiting.quarantined,
      ...{ policy, names, most: MOST },
      ...{ mayManage: principal.permissions.has(MANAGE), preset: (await grants.terms()).preset },
    });
    send(response, { title: 'Governance', place: 'governance', body });
  });

  return router;
}

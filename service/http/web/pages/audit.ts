import express, { type Request, type Response } from 'express';
import { auditPage, type AuditFilter, type AuditPage } from '../views/audit.ts';
import { auditQuery } from './audit-filter.ts';
import { textOf, type Pages } from './render.ts';

const PAGE = 50;

/** `/audit`: the log with filters, and its verification. */
export function auditPages({ context, view, send, permitted }: Pages): express.Router {
  const { auditLog } = context;
  const router = express.Router();

  async function show(request: Request, response: Response, verified: AuditPage['verified']): Promise<void> {
    const query = (name: string) => textOf(request.query[name]);
    const filter: AuditFilter = Object.fromEntries(
      ['actor', 'action', 'object', 'outcome', 'from', 'to'].flatMap((name) =>
        query(name) ? [[name, query(name)]] : [],
      ),
    );
    const cursor = query('cursor');
    const people = await context.people.list();
    const asked = auditQuery(filter, people);
    const [status, { entries, nextCursor }] = await Promise.all([
      auditLog.status(),
      auditLog.entries({ ...asked, limit: PAGE, ...(cursor ? { cursor } : {}) }),
    ]);
    const names = new Map(
      people.flatMap((person) => [
        [person.id, person.name] as const,
        ...person.tokens.map((token) => [token.id, token.name] as const),
      ]),
    );
    const body = auditPage(view(response.locals), {
      status,
      entries,
      nextCursor,
      filter,
      asked,
      verified,
      names,
    });
    send(response, { title: 'Audit', place: 'audit', body, inPlace: true });
  }

  router.use('/audit', async (_request, response, next) => {
    await permitted(response, 'factory.audit.read', 'read audit log');
    next();
  });
  router.get('/audit', (request, response) => show(request, response, null));
  router.get('/audit/verify', (_request, response) => response.redirect(303, '/audit'));
  router.post('/audit/verify', async (request, response) => show(request, response, await auditLog.verify()));

  return router;
}

import express from 'express';
import { decisionPage, historyPage, snapshotPage } from '../views/history.ts';
import { principalOf, textOf, type Pages } from './render.ts';

/** What lies behind an item: its events, decisions and snapshots. */
export function historyPages({ context, view, send }: Pages): express.Router {
  const { items } = context;
  const router = express.Router();

  router.get('/items/:id/history', async (request, response) => {
    const { id } = request.params;
    const cursor = textOf(request.query.cursor);
    const history = await items.history(principalOf(response), id, cursor ? { cursor } : {});
    send(response, {
      title: `History of ${id}`,
      place: 'board',
      body: historyPage(view(response.locals), history),
    });
  });

  router.get('/items/:id/snapshots/:digest', async (request, response) => {
    const { id, digest } = request.params;
    const snapshot = await items.snapshot(principalOf(response), id, digest);
    send(response, {
      title: `Snapshot of ${id}`,
      place: 'board',
      body: snapshotPage(view(response.locals), id, snapshot),
    });
  });

  router.get('/items/:id/decisions/:decisionId', async (request, response) => {
    const { id, decisionId } = request.params;
    const decision = await items.decision(principalOf(response), id, decisionId);
    send(response, {
      title: `Decision: ${decision.label}`,
      place: 'board',
      body: decisionPage(view(response.locals), decision, null),
    });
  });

  router.post('/items/:id/decisions/:decisionId/evaluations', async (request, response) => {
    const { id, decisionId } = request.params;
    const principal = principalOf(response);
    const decision = await items.decision(principal, id, decisionId);
    const again = await items.reevaluate(principal, id, decisionId);
    send(response, {
      title: `Decision: ${decision.label}`,
      place: 'board',
      body: decisionPage(view(response.locals), decision, again),
    });
  });

  router.get('/items/:id/decisions/:decisionId/evaluations', (request, response) => {
    const { id, decisionId } = request.params;
    response.redirect(303, `/items/${encodeURIComponent(id)}/decisions/${encodeURIComponent(decisionId)}`);
  });

  return router;
}

import express from 'express';
import type { BoardDocument } from '../../../work-items/documents.ts';
import { LANES, type Lane, type Principal } from '../../../work-items/types.ts';
import { laneLabel } from '../format.ts';
import { board, isFiltered, laneList, matchingAttention, type BoardQuery } from '../views/board.ts';
import type { BoardFilter } from '../ports.ts';
import { startPage } from '../views/start.ts';
import { principalOf, textOf, type Pages } from './render.ts';

const PAGE = 40;

/** `/`: the board; `/?lane=`: one lane, page by page. */
export function boardPages({ context, view, send }: Pages): express.Router {
  const router = express.Router();

  router.get('/', async (request, response) => {
    const principal = principalOf(response);
    const mayCreate = principal.permissions.has('factory.work-item.create');
    const lane = laneOf(textOf(request.query.lane));
    const q = textOf(request.query.q);
    if (lane) {
      const cursor = textOf(request.query.cursor);
      const list = await context.items.list(principal, {
        lane,
        limit: PAGE,
        ...(q ? { q } : {}),
        ...(cursor ? { cursor } : {}),
      });
      const body = laneList(view(response.locals), { lane, q, ...list, paged: cursor !== '' });
      return send(response, { title: laneLabel(lane), place: 'board', body });
    }
    const query: BoardQuery = {
      q,
      workType: textOf(request.query.workType),
      mine: textOf(request.query.mine) === 'true',
      attention: textOf(request.query.attention) === 'true',
    };
    const filter = {
      ...(q ? { q } : {}),
      ...(query.workType ? { workType: query.workType } : {}),
      ...(query.mine ? { mine: true } : {}),
      ...(query.attention ? { attention: true } : {}),
    };
    const found = await context.items.board(principal, filter);
    const document = isFiltered(query) ? { ...found, ...(await strip(principal, filter, found)) } : found;
    const body =
      document.total === 0 && !isFiltered(query)
        ? startPage(view(response.locals), document.problems, mayCreate)
        : board(view(response.locals), await forViewer(principal, document), query, mayCreate);
    send(response, { title: 'Board', place: 'board', body, live: 'board' });
  });

  /** The strip narrows with the lanes below it. */
  async function strip(principal: Principal, filter: BoardFilter, found: BoardDocument) {
    return matchingAttention(
      filter.attention ? found : await context.items.board(principal, { ...filter, attention: true }),
    );
  }

  /** Whoever asked for an override cannot be its second person: to them the step is to look, not to ask again. */
  async function forViewer(principal: Principal, document: BoardDocument): Promise<BoardDocument> {
    const attention = await Promise.all(
      document.attention.map(async (item) => {
        if (item.attention?.step.action !== 'override-gate') return item;
        const { overrides } = await context.items.show(principal, item.id);
        const waits = overrides.filter(({ state }) => state === 'waiting-for-person');
        if (waits.some(({ by }) => by !== principal.name)) return item;
        const step = { label: 'Open the item', action: null, url: `/items/${item.id}` };
        const cause = `${item.attention.cause} You asked for it, so another owner has to.`;
        return { ...item, attention: { ...item.attention, cause, step } };
      }),
    );
    return { ...document, attention };
  }

  return router;
}

function laneOf(text: string): Lane | null {
  return LANES.find((lane) => lane === text) ?? null;
}

import express from 'express';
import { LANES, type Lane } from '../../../work-items/types.ts';
import { laneLabel } from '../format.ts';
import { board, laneList, type BoardQuery } from '../views/board.ts';
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
    const document = await context.items.board(principal, {
      ...(q ? { q } : {}),
      ...(query.workType ? { workType: query.workType } : {}),
      ...(query.mine ? { mine: true } : {}),
      ...(query.attention ? { attention: true } : {}),
    });
    const empty = document.total === 0 && !q && !query.workType && !query.mine && !query.attention;
    const body = empty
      ? startPage(view(response.locals), document.problems, mayCreate)
      : board(view(response.locals), document, query, mayCreate);
    send(response, { title: 'Board', place: 'board', body, live: 'board' });
  });

  return router;
}

function laneOf(text: string): Lane | null {
  return LANES.find((lane) => lane === text) ?? null;
}

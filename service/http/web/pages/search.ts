import express, { type Response } from 'express';
import type { SearchPage as Found } from '../../../chat/search/search.ts';
import { contentWithheld } from '../../../chat/refusals.ts';
import { KINDS } from '../../../chat/search/places.ts';
import { namesOr } from '../../../chat/search/query.ts';
import type { Principal } from '../../../work-items/types.ts';
import { searchPage, type Asked, type SearchPage } from '../views/search.ts';
import { inputProblems, isCode, principalOf, textOf, type Pages } from './render.ts';

const USE = 'factory.session.use';
const READ_ALL = 'factory.session.read-all';
const METADATA = 'factory.session.metadata';
const PAGE = 20;
const DAY_MS = 24 * 60 * 60 * 1000;

/** `/search`: titles, messages and files, by their words. */
export function searchPages({ context, view, send, permitted }: Pages): express.Router {
  const { chat } = context;
  const router = express.Router();

  async function titles(principal: Principal, { results }: Found): Promise<Map<string, string | null>> {
    const ids = [...new Set(results.map(({ sessionId }) => sessionId))];
    const shown = await Promise.all(
      ids.map(async (id) => {
        try {
          return [id, (await chat.sessions.show(principal, id)).title] as const;
        } catch (error) {
          // It can go between the search and this.
          if (isCode(error, 'gone') || isCode(error, 'not-found')) return [id, null] as const;
          throw error;
        }
      }),
    );
    return new Map(shown);
  }

  async function search(response: Response, asked: Asked, cursor: string): Promise<SearchPage> {
    const principal = principalOf(response);
    const everybody = await context.people.list();
    const people = everybody.map(({ id, name }) => ({ id, name }));
    const page: SearchPage = { asked, people, found: null, problem: null, or: namesOr(asked.q) };
    if (asked.q === '') return page;
    const started = performance.now();
    try {
      const result = await chat.search.find(principal, { ...inputOf(asked, cursor), limit: PAGE });
      const milliseconds = performance.now() - started;
      return { ...page, found: { ...result, titles: await titles(principal, result), milliseconds } };
    } catch (error) {
      if (!isCode(error, 'bad-input')) throw error;
      const message = inputProblems(error).map((problem) => problem.message);
      return { ...page, problem: { message: message.join(' '), hint: error.hint } };
    }
  }

  /** The same refusal as of the API. */
  async function mayRead(response: Response): Promise<void> {
    const { permissions, kind, id } = principalOf(response);
    if (permissions.has(READ_ALL) || permissions.has(USE)) return;
    if (!permissions.has(METADATA)) await permitted(response, USE, 'search');
    await context.refuse({ code: 'permission-missing', action: 'search', actor: { kind, id } });
    throw contentWithheld('search');
  }

  router.get('/search', async (request, response) => {
    await mayRead(response);
    const given = (name: string) => textOf(request.query[name]);
    const asked: Asked = {
      ...{ q: given('q'), class: given('class'), person: given('person'), session: given('session') },
      ...{ from: dayOf(given('from')), to: dayOf(given('to')), in: kindOf(given('in')) },
    };
    const page = await search(response, asked, given('cursor'));
    const body = searchPage(view(response.locals), page);
    send(response, { title: 'Search', place: 'sessions', body }, page.problem ? 400 : 200);
  });

  return router;
}

const kindOf = (text: string) => KINDS.find((kind) => kind === text) ?? '';

/** A day as forms give it; anything else is none. */
const dayOf = (text: string): string =>
  /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)) ? text : '';

/** The last day counts as a whole. */
function inputOf(
  { q, class: kind, person, session, from, to, in: within }: Asked,
  cursor: string,
): Parameters<Pages['context']['chat']['search']['find']>[1] {
  const given = {
    ...{ q, class: kind, personId: person, sessionId: session, cursor },
    from: from && new Date(from).toISOString(),
    to: to && new Date(Date.parse(to) + DAY_MS).toISOString(),
  };
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== '')) as typeof given;
  return within === '' ? said : { ...said, in: within };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { createApi, type Api } from './lib/client.ts';
import { counted } from './lib/layout.ts';
import { hitsText, type SearchPage } from './lib/session-text.ts';
import { readConfig } from './lib/settings.ts';
import { pointInTime } from './lib/time.ts';
import type { Given, Run, VerbContext } from './lib/verb.ts';

const SEARCH = '/api/search';
const apiOf = (context: VerbContext): Api => createApi(readConfig(context));

const OPTIONS = {
  ...{ sessionId: 'session', personId: 'person', class: 'class', in: 'in', from: 'from', to: 'to' },
  ...{ limit: 'limit', cursor: 'cursor' },
};

export const find: Run = async (context, given) => {
  const [q = ''] = given.arguments;
  const query = new URLSearchParams({ q, ...optionsOf(given) });
  const { body } = await apiOf(context).ask(`${SEARCH}?${query.toString()}`);
  const { results, nextCursor, complete } = body as SearchPage;
  if (/(^|\s)OR(\s|$)/.test(q.replaceAll(/"[^"]*("|$)/g, '')))
    context.say('OR is not an operator: it is looked for as a word. Search for one after the other.');
  if (!complete) context.say('The search index is not complete yet: there can be more.');
  if (nextCursor !== null) context.say(`There are more: --cursor ${nextCursor}`);
  return { json: body, text: hitsText(results) };
};

function optionsOf(given: Given): Record<string, string> {
  const options: Record<string, string> = {};
  for (const [parameter, option] of Object.entries(OPTIONS)) {
    const value = given.text(option);
    if (value !== undefined) options[parameter] = TIMES.has(option) ? agoOf(option, value) : value;
  }
  return options;
}

const TIMES = new Set(['from', 'to']);
const agoOf = (flag: string, text: string): string =>
  pointInTime('sessions search', text, { flag, span: 'ago', now: Date.now() });

interface State {
  complete: boolean;
  indexed: number;
  messages: number;
}

const EVERY_MS = 500;

/** Begun by the service, which goes on with it whatever becomes of this. */
export const rebuild: Run = async (context) => {
  const api = apiOf(context);
  const started = performance.now();
  let state = (await api.ask(`${SEARCH}/index/rebuild`, { method: 'POST' })).body as State;
  while (!state.complete) {
    context.progress(`Messages in the search index: ${state.indexed} of ${state.messages}`);
    await sleep(EVERY_MS);
    state = (await api.ask(`${SEARCH}/index`)).body as State;
  }
  context.progress('');
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  return {
    json: { ...state, seconds },
    text: `The search index was made anew: ${counted(state.messages, 'message')} in ${seconds} s`,
  };
};

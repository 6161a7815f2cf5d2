import type { SearchHit } from '../../../chat/search/hits.ts';
import type { Kind } from '../../../chat/search/places.ts';
import type { SearchPage as Found } from '../../../chat/search/search.ts';
import { plural } from '../format.ts';
import { flag, html, type Child, type Html } from '../html.ts';
import { chip, icon, notice, time, twin, type View } from './parts.ts';

/** `/search`: what was said, grouped by session, the newest first. */

/** As it stands in the address; empty: any. */
export interface Asked {
  q: string;
  class: string;
  /** Id of a person. */
  person: string;
  /** Id of a session. */
  session: string;
  /** Days, e.g. 2026-01-31. */
  from: string;
  to: string;
  in: Kind | '';
}

export interface SearchPage {
  asked: Asked;
  people: { id: string; name: string }[];
  /** Null: nothing was asked. */
  found: (Found & { titles: ReadonlyMap<string, string | null>; milliseconds: number }) | null;
  problem: { message: string; hint: string } | null;
  /** `OR` was typed as if it were an operator. */
  or: boolean;
}

export function searchPage(view: View, page: SearchPage): Html {
  const { asked, found, problem, or } = page;
  return html`<div class="row head">
      <h1>Search</h1>
      ${found && html`<span class="muted small">${resultLine(found)}</span>`}
    </div>
    <div class="stack">
      ${searchForm(view, page)}
      ${problem && notice(view, 'bad', problem.message, html`<p>${problem.hint}</p>`, 'result')}
      ${or && notice(view, 'info', html`<code>OR</code> is not an operator: it is looked for as a word.`, html`<p>All words have to be in the same title, message or file. Search for one after the other.</p>`)}
      ${
        found?.complete === false &&
        notice(
          view,
          'warn',
          'The search index is not complete yet.',
          html`<p>It is being made or catching up; there can be more hits. Search again in a moment.</p>`,
        )
      }
      ${found ? results(view, page, found) : !problem && start()}
      ${twin(view, {
        cli: `npx factory sessions search ${shellText(asked.q === '' ? 'WORDS' : asked.q)}`,
        curl: 'curl -G "$FACTORY_URL/api/search" --data-urlencode "q=WORDS" -H "Authorization: Bearer $FACTORY_TOKEN"',
      })}
    </div>`;
}

const shellText = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function resultLine({ results: hits, nextCursor, milliseconds }: NonNullable<SearchPage['found']>): string {
  const more = nextCursor === null ? '' : ' and more';
  return `${plural(hits.length, 'hit')}${more} in ${Math.max(1, Math.round(milliseconds))} ms, the newest first`;
}

const PLACES = [
  ['message', 'messages'],
  ['title', 'titles'],
  ['attachment', 'files'],
] as const satisfies [Kind, string][];

function searchForm(view: View, { asked, people }: SearchPage): Html {
  const filtered = [asked.class, asked.person, asked.session, asked.from, asked.to, asked.in].some(
    (one) => one !== '',
  );
  const day = (name: 'from' | 'to', label: string) =>
    html`<div class="field">
      <label for="search-${name}">${label}</label
      ><input type="date" id="search-${name}" name="${name}" value="${asked[name]}" />
    </div>`;
  return html`<form class="filters panel" action="/search" role="search" aria-label="Search messages">
    <div class="field">
      <label for="search-q">Words</label
      ><input
        type="text"
        id="search-q"
        name="q"
        value="${asked.q}"
        maxlength="1000"
        required
        autocomplete="off"
        placeholder='migration "data loss" -test'
      />
    </div>
    <div class="field">
      <label for="search-class">Class</label
      ><input type="text" id="search-class" name="class" value="${asked.class}" placeholder="any" />
    </div>
    <div class="field">
      <label for="search-person">Whose</label
      ><select id="search-person" name="person">
        <option value="">anybody's</option>
        ${people.map(({ id, name }) => html`<option value="${id}" ${flag('selected', id === asked.person)}>${name}</option>`)}
      </select>
    </div>
    <div class="field">
      <label for="search-in">In</label
      ><select id="search-in" name="in">
        <option value="">anything</option>
        ${PLACES.map(([value, label]) => html`<option value="${value}" ${flag('selected', value === asked.in)}>${label}</option>`)}
      </select>
    </div>
    ${day('from', 'From')}${day('to', 'Until')}
    ${asked.session !== '' && html`<input type="hidden" name="session" value="${asked.session}" />`}
    <button class="btn main">${icon(view, 'search')} Search</button>
    ${filtered && html`<a class="btn" href="/search?${new URLSearchParams({ q: asked.q }).toString()}">Clear filters</a>`}
  </form>`;
}

function start(): Html {
  return html`<section class="panel"><div class="empty">
      <p class="strong">Find what was said</p>
      <p>
        Words stand anywhere in a title, a message or a file of text or JSON: what people and agents wrote, what tools
        were asked and answered, names of files. <code>"two words"</code> together, <code>migr*</code> for a beginning, <code>-test</code> for what must not be
        there. You find what you may read.
      </p>
    </div></section>`;
}

function results(view: View, page: SearchPage, found: NonNullable<SearchPage['found']>): Child {
  const { results: hits, nextCursor, titles } = found;
  if (hits.length === 0)
    return html`<section class="panel"><p class="empty">
        No title, message or file that you may read has this. Try fewer words, or the beginning of a word with a star, e.g.
        <code>migr*</code>.
      </p></section>`;
  const groups = Map.groupBy(hits, ({ sessionId }) => sessionId);
  return html`${[...groups].map(
    ([id, ofSession]) =>
      html`<section class="panel" aria-labelledby="session-${id}">
          <header>
            <h2 id="session-${id}">
              <a href="/sessions/${id}">${titles.get(id) ?? 'Untitled session'}</a>
            </h2>
            ${page.asked.session === '' && html`<a class="link small push" href="${urlOf({ ...page.asked, session: id })}">Only this session</a>`}
          </header>
          <ul class="plain lines sessions">
            ${ofSession.map((hit) => hitRow(view, hit))}
          </ul>
        </section>`,
  )}${nextCursor !== null && html`<p class="more"><a class="link" href="${urlOf(page.asked, nextCursor)}">Older messages</a></p>`}`;
}

/** With some messages after it: a hit is read in what surrounds it. */
const AFTER = 11;

function hitRow(view: View, hit: SearchHit): Html {
  const { createdAt, snippet, marks } = hit;
  return html`<li>
    <span class="row small muted">
      ${whereIn(view, hit)}
      <span>${time(view, createdAt)}</span>
    </span>
    <p class="snippet">${marked(snippet, marks)}</p>
  </li>`;
}

function whereIn(view: View, { sessionId, seq, role, attachment }: SearchHit): Child[] {
  if (seq === null || role === null)
    return [
      chip(view, 'plain', 'chat', 'title'),
      html`<a class="link" href="/sessions/${sessionId}">session</a>`,
    ];
  const sign = role === 'user' ? 'person' : role === 'tool' ? 'terminal' : 'chat';
  return [
    chip(view, 'plain', attachment ? 'file' : sign, attachment ? 'file' : role),
    html`<a class="link" href="/sessions/${sessionId}?before=${seq + AFTER}#m${seq}">message ${seq}</a>`,
    attachment !== null &&
      attachment.name !== null &&
      html`<span class="breakable">${attachment.name}</span>`,
  ];
}

function marked(text: string, marks: SearchHit['marks']): Child[] {
  const pieces: Child[] = [];
  let at = 0;
  for (const [start, end] of marks) {
    pieces.push(text.slice(at, start), html`<mark>${text.slice(start, end)}</mark>`);
    at = end;
  }
  return [...pieces, text.slice(at)];
}

function urlOf(asked: Asked, cursor = ''): string {
  const given = Object.entries({ ...asked, cursor }).filter(([, value]) => value !== '');
  return `/search?${new URLSearchParams(given).toString()}`;
}

import type { SessionView } from '../../../chat/types.ts';
import { plural } from '../format.ts';
import { attribute, html, type Child, type Html } from '../html.ts';
import type { InputProblem } from './fields.ts';
import { chip, csrfField, icon, panel, time, twin, type View } from './parts.ts';

/** `/sessions`: the list, and the form that begins one. */

export interface SessionsPage {
  sessions: SessionView[];
  nextCursor: string | null;
  filter: { class: string; itemId: string };
  /** Whether the viewer may begin one. */
  mayBegin: boolean;
  /** The viewer sees that sessions are there, and no content. */
  metadataOnly: boolean;
  names: ReadonlyMap<string, string>;
  form: { input: Record<string, string>; problems: InputProblem[] } | null;
}

export function sessionsPage(view: View, page: SessionsPage): Html {
  const { sessions, filter, nextCursor } = page;
  const filtered = filter.class !== '' || filter.itemId !== '';
  return html`<div class="row head">
      <h1>Sessions</h1>
      <span class="muted small">the newest first</span>
      ${page.mayBegin && sessions.length > 0 && html`<a class="btn main only-s" href="#begin">Begin a session</a>`}
      ${!page.metadataOnly && html`<a class="btn push" href="/search">${icon(view, 'search')} Search messages</a>`}
    </div>
    ${
      page.metadataOnly &&
      html`<p class="muted">You see that sessions are there, whose they are and how large. Titles and messages are not for
        your role.</p>`
    }
    <div class="${page.mayBegin ? 'two' : ''}">
      <div class="stack">
        ${filterForm(filter)}
        ${
          sessions.length === 0
            ? emptyState(page, filtered)
            : html`<section class="panel"><ul class="plain lines sessions">
                ${sessions.map((session) => sessionRow(view, session, page.names))}
              </ul>${
                nextCursor !== null &&
                html`<p class="more"><a class="link" href="${pageUrl(filter, nextCursor)}">Older sessions</a></p>`
              }</section>`
        }
        ${twin(view, { curl: 'curl "$FACTORY_URL/api/sessions" -H "Authorization: Bearer $FACTORY_TOKEN"' })}
      </div>
      ${page.mayBegin && html`<div class="stack">${panel('Begin a session', beginForm(view, page.form), { id: 'begin' })}</div>`}
    </div>`;
}

function pageUrl(filter: SessionsPage['filter'], cursor: string): string {
  const query = new URLSearchParams(
    Object.entries({ ...filter, cursor }).filter(([, value]) => value !== ''),
  );
  return `/sessions?${query.toString()}`;
}

function filterForm({ class: kind, itemId }: SessionsPage['filter']): Html {
  return html`<form class="filters panel narrow-filters" action="/sessions">
    <div class="field">
      <label for="filter-class">Class</label><input type="text" id="filter-class" name="class" value="${kind}" placeholder="any" />
    </div>
    <div class="field">
      <label for="filter-item">Work item</label
      ><input type="text" id="filter-item" name="itemId" value="${itemId}" placeholder="any" />
    </div>
    <button class="btn">Filter</button>
    ${(kind !== '' || itemId !== '') && html`<a class="btn" href="/sessions">Clear</a>`}
  </form>`;
}

function emptyState({ mayBegin }: SessionsPage, filtered: boolean): Html {
  if (filtered)
    return html`<section class="panel"><p class="empty">No session fits this filter. <a class="link" href="/sessions">Show all</a></p></section>`;
  return html`<section class="panel"><div class="empty">
      <p class="strong">No sessions yet</p>
      <p>
        A session keeps one conversation: what people and agents said, which tools they called and what came back. Agents
        write with <code>POST /api/sessions/{id}/messages</code>.
        ${mayBegin && html`<a class="link" href="#begin">Begin the first one here.</a>`}
      </p>
    </div></section>`;
}

/** Whose: by name where the person or token is known. */
export function authorName(names: ReadonlyMap<string, string>, id: string): string {
  return names.get(id) ?? id;
}

/** Of a session without a title that can be shown; whoever may not read it is told no subject either. */
export const titleWords = ({ subjectId }: Pick<SessionView, 'subjectId'>): string =>
  subjectId === null ? 'Title withheld: not yours to read' : 'Untitled session';

function sessionRow(view: View, session: SessionView, names: ReadonlyMap<string, string>): Html {
  const { id, title, class: kind, messages, itemId, author, createdAt, updatedAt } = session;
  return html`<li>
    <a class="strong" href="/sessions/${id}">${title ?? html`<span class="muted">${titleWords(session)}</span>`}</a>
    <span class="row small muted">
      ${chip(view, 'plain', null, kind)}
      ${itemId !== null && html`<a class="link" href="/items/${itemId}">${itemId}</a>`}
      <span>${authorName(names, author.id)}</span>
      <span>${plural(messages, 'message')}</span>
      <span>begun ${time(view, createdAt)}${updatedAt !== createdAt && html`, last written ${time(view, updatedAt)}`}</span>
    </span>
  </li>`;
}

const FIELDS = [
  { name: 'title', label: 'Title', placeholder: '', hint: null },
  { name: 'class', label: 'Class', placeholder: 'general', hint: 'Policies go by it.' },
  {
    ...{ name: 'subjectId', label: 'About whom', placeholder: 'you' },
    hint: 'A name or number of the person that it is about: erasure goes by it.',
  },
  { name: 'itemId', label: 'Work item', placeholder: 'none', hint: null },
] as const;

function beginForm(view: View, form: SessionsPage['form']): Child {
  return html`<form method="post" action="/sessions" class="stack">
    ${csrfField(view)} ${FIELDS.map((field) => beginField(field, form))}
    <p><button class="btn main">Begin session</button></p>
  </form>`;
}

function beginField(
  { name, label, placeholder, hint }: (typeof FIELDS)[number],
  form: SessionsPage['form'],
): Html {
  const problems = (form?.problems ?? []).filter(({ path }) => path === name);
  const described =
    problems.length > 0 ? `begin-${name}-problem` : hint !== null ? `begin-${name}-hint` : null;
  return html`<div class="field">
    <label for="begin-${name}">${label}</label
    ><input
      type="text"
      id="begin-${name}"
      name="${name}"
      maxlength="500"
      value="${form?.input[name]}"
      placeholder="${placeholder}"
      autocomplete="off"
      ${problems.length > 0 && html` aria-invalid="true"`}${attribute('aria-describedby', described)}
    />
    ${hint !== null && html`<p class="muted small" id="begin-${name}-hint">${hint}</p>`}
    ${
      problems.length > 0 &&
      html`<p class="bad small" id="begin-${name}-problem">${problems.map(({ message }) => message).join(' ')}</p>`
    }
  </div>`;
}

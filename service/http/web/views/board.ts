import { clip, duration, laneLabel, plural, pullRequestNumber } from '../format.ts';
import { attribute, html, type Child, type Html } from '../html.ts';
import type { AttentionDocument, BoardDocument, ItemSummary } from '../../../work-items/documents.ts';
import type { FreshnessVerdict, Lane, QueueProblem } from '../../../work-items/types.ts';
import { unusable, unusableBecause } from '../queue-words.ts';
import type { FrameView } from './frame.ts';
import { chip, icon, notice, withCode, type IconName, type Tone, type View } from './parts.ts';

/** The filter as it stands in the URL. */
export interface BoardQuery {
  q: string;
  workType: string;
  mine: boolean;
  attention: boolean;
}

const ATTENTION: Record<AttentionDocument['kind'], { icon: IconName; tone: Tone; word: string }> = {
  problem: { icon: 'file', tone: 'bad', word: 'problem' },
  blocked: { icon: 'cross', tone: 'bad', word: 'blocked' },
  drift: { icon: 'triangle', tone: 'warn', word: 'drift' },
  waiting: { icon: 'person', tone: 'info', word: 'waiting' },
};

/** Lines of the strip on a filtered board. */
const STRIP = 8;

const FRESHNESS_MARK: Record<FreshnessVerdict, { icon: IconName; tone: Tone }> = {
  Fresh: { icon: 'tick', tone: 'ok' },
  Aging: { icon: 'clock', tone: 'warn' },
  Stale: { icon: 'triangle', tone: 'warn' },
  Unknown: { icon: 'question', tone: 'plain' },
};

export function freshnessChip(view: View, verdict: FreshnessVerdict): Html {
  const { icon: name, tone } = FRESHNESS_MARK[verdict];
  return chip(view, tone, name, verdict);
}

/** `/?…` with the filter and what `change` says; empty parts are left out. */
export function boardUrl(query: Partial<BoardQuery>): string {
  const parameters = new URLSearchParams();
  if (query.q) parameters.set('q', query.q);
  if (query.workType) parameters.set('workType', query.workType);
  if (query.mine) parameters.set('mine', 'true');
  if (query.attention) parameters.set('attention', 'true');
  const text = parameters.toString();
  return text ? `/?${text}` : '/';
}

export function isFiltered(query: BoardQuery): boolean {
  return query.q !== '' || query.workType !== '' || query.mine || query.attention;
}

export function board(view: FrameView, document: BoardDocument, query: BoardQuery, mayCreate: boolean): Html {
  const columns = document.lanes.filter(({ lane }) => lane !== 'cancelled');
  const cancelled = document.lanes.find(({ lane }) => lane === 'cancelled');
  const matches = columns.some(({ count }) => count > 0);
  const summary = [plural(document.total, 'item'), sourcesText(document)];
  return html`<div class="row head">
      <h1>Board</h1>
      <span class="muted small" id="board-summary"
        >${summary.join(' · ')}${
          cancelled && cancelled.count > 0
            ? html` · <a href="${laneUrl('cancelled', query.q)}">${cancelled.count} cancelled</a>`
            : null
        }</span
      >${filters(view, document, query, mayCreate)}
    </div>
    <div id="board">
      ${queueProblems(view, document.problems)}
      ${document.attention.length > 0 && attentionStrip(view, document, query)}
      ${isFiltered(query) && !matches ? noMatch(query) : html`<div class="lanes">${columns.map((column) => laneColumn(view, column, query))}</div>`}
    </div>`;
}

function sourcesText({ problems, freshness: { verdict, ageSeconds } }: BoardDocument): string {
  if (problems.length > 0) return unusable(problems);
  if (verdict === 'Fresh') return 'all sources fresh';
  return ageSeconds === null
    ? 'sources not read yet'
    : `${verdict.toLowerCase()}: sources read ${duration(ageSeconds)} ago`;
}

function filters(view: View, { workTypes }: BoardDocument, query: BoardQuery, mayCreate: boolean): Html {
  const toggle = (name: 'mine' | 'attention', label: string, mark: IconName) =>
    html`<a
      class="btn"
      href="${boardUrl({ ...query, [name]: !query[name] })}"
      ${query[name] && html` aria-current="true"`}
      >${icon(view, mark)}${label}</a
    >`;
  return html`<div class="push row">
    ${query.q && html`<a class="btn" href="${boardUrl({ ...query, q: '' })}" title="Remove this filter">“${clip(query.q, 24)}” ${icon(view, 'cross')}</a>`}
    ${toggle('mine', 'Mine', 'person')}${toggle('attention', 'Attention', 'triangle')}
    ${workTypes.length > 1 ? workTypeMenu(view, workTypes, query) : null}
    ${mayCreate && html`<a class="btn main" href="/items/new">${icon(view, 'plus')}New item</a>`}
  </div>`;
}

function workTypeMenu(view: View, workTypes: string[], query: BoardQuery): Html {
  const entry = (workType: string, label: string) =>
    html`<li>
      <a
        href="${boardUrl({ ...query, workType })}"
        ${workType === query.workType && html` aria-current="true"`}
        >${label}</a
      >
    </li>`;
  return html`<details class="menu" name="filters">
    <summary class="btn">${icon(view, 'filter')}${query.workType || 'Work type'}</summary>
    <ul class="menu-body">
      ${entry('', 'All work types')}${workTypes.map((workType) => entry(workType, workType))}
    </ul>
  </details>`;
}

function queueProblems(view: FrameView, problems: QueueProblem[]): Html | null {
  if (problems.length === 0) return null;
  return notice(view, 'bad', unusableBecause(problems), problemList(problems, view.facts.queueFolder));
}

/** Each with its file, line, problem and what to do; `folder` is the name of the folder that the files lie in. */
export function problemList(problems: QueueProblem[], folder: string): Html {
  return html`<ul class="problems">
    ${problems.map(
      ({ file, line, code, message, hint }) =>
        html`<li>
          <code>${file === '.' ? `${folder}/` : `${file}:${line}`}</code> ${withCode(message)}
          <span class="muted">${withCode(hint)} (${code})</span>
        </li>`,
    )}
  </ul>`;
}

function attentionStrip(view: View, document: BoardDocument, query: BoardQuery): Html {
  const more = document.attentionTotal - document.attention.length;
  return html`<section class="panel attention">
    <header>
      <h2>Needs attention</h2>
      <span class="chip">${document.attentionTotal}</span
      ><span class="push muted small hide-s"
        ><kbd>j</kbd> <kbd>k</kbd> move · <kbd>a</kbd> actions · <kbd>?</kbd></span
      >
    </header>
    <ul>
      ${document.attention.map((item) => item.attention && attentionRow(view, item, item.attention))}
    </ul>
    ${more > 0 && html`<p class="more"><a href="${boardUrl({ ...query, attention: true })}">${plural(more, 'further item')}</a></p>`}
  </section>`;
}

function attentionRow(view: View, item: ItemSummary, { kind, cause, step }: AttentionDocument): Html {
  const mark = ATTENTION[kind];
  return html`<li>
    <span class="${mark.tone}" title="${mark.word}">
      ${icon(view, mark.icon)}<span class="sr">${mark.word}</span>
    </span>
    <span class="mono muted key">${item.key}</span>
    <a class="title" id="title-${item.id}" href="/items/${item.id}" data-nav>${clip(item.title)}</a>
    <p class="cause small" title="${cause}">${withCode(clip(cause, 400))}</p>
    <a class="btn" id="step-${item.id}" href="${stepUrl(item.id, step)}">${step.label}</a>
  </li> `;
}

/** An action's step leads to its form. */
function stepUrl(itemId: string, { action, url }: AttentionDocument['step']): string {
  return action ? `/items/${itemId}?act=${action}#act-${action}` : url;
}

function laneColumn(view: View, column: BoardDocument['lanes'][number], query: BoardQuery): Html {
  const { lane, count, limit, items } = column;
  const more = count - items.length;
  return html`<section aria-label="${laneLabel(lane)}">
    <header>
      <h2>${laneLabel(lane)}</h2>
      <span class="muted small" ${attribute('title', limit !== null && `At most ${plural(limit, 'handoff')} may run at once`)}>${wip(column)}</span>
    </header>
    <ul>
      ${items.map((item) => card(view, item))}
    </ul>
    ${items.length === 0 ? html`<p class="empty muted small">${isFiltered(query) ? 'No match.' : EMPTY_LANE[lane]}</p>` : null}
    ${more > 0 && html`<p class="more"><a href="${laneUrl(lane, query.q)}">${more.toLocaleString('en')} more</a></p>`}
  </section>`;
}

const EMPTY_LANE: Record<Lane, string> = {
  backlog: 'Nothing planned.',
  ready: 'Nothing ready to start.',
  executing: 'Nobody works on anything.',
  review: 'Nothing to review.',
  done: 'Nothing done yet.',
  cancelled: 'Nothing cancelled.',
};

function wip({ count, limit, running }: BoardDocument['lanes'][number]): string {
  const cards = count.toLocaleString('en');
  return limit === null ? cards : `${cards} · ${running ?? count}/${limit} running`;
}

function laneUrl(lane: Lane, q: string, cursor?: string): string {
  const parameters = new URLSearchParams({ lane });
  if (q) parameters.set('q', q);
  if (cursor) parameters.set('cursor', cursor);
  return `/?${parameters.toString()}`;
}

/** One item on the board. */
export function card(view: View, item: ItemSummary): Html {
  const { met, total } = item.criteria;
  return html`<li>
    <a class="card" id="card-${item.id}" href="/items/${item.id}" data-nav
      ><span class="row small muted"
        ><span class="mono">${item.key}</span>${
          total > 0 &&
          html`<span class="push" title="${met} of ${total} criteria have evidence">${met}/${total}</span>`
        }</span
      >
      <p>${clip(item.title)}</p>
      <span class="row chips">${chips(view, item)}</span>${
        total > 0 &&
        html`<progress
          max="${total}"
          value="${met}"
          aria-label="${met} of ${total} criteria have evidence"
        ></progress>`
      }</a
    >
  </li> `;
}

function chips(view: View, item: ItemSummary): Child[] {
  const { attention, drift, freshness, handoff, holder, pr } = item;
  const number = pr === null ? null : (pullRequestNumber(pr) ?? 'linked');
  const busy =
    handoff && `${holder ?? handoff.state} · ${duration((view.now - Date.parse(handoff.since)) / 1000)}`;
  return [
    attention &&
      attention.kind !== 'drift' &&
      chip(
        view,
        ATTENTION[attention.kind].tone,
        ATTENTION[attention.kind].icon,
        ATTENTION[attention.kind].word,
      ),
    drift.length > 0 && chip(view, 'warn', 'triangle', `drift ${drift.length}`),
    !attention && drift.length === 0 && item.lane !== 'backlog' && freshnessChip(view, freshness.verdict),
    busy && chip(view, 'plain', holder ? 'person' : 'clock', busy, busy),
    number && chip(view, 'plain', 'branch', number),
    item.lane === 'backlog' && chip(view, 'plain', null, item.workType),
  ];
}

function noMatch(query: BoardQuery): Html {
  const others = query.workType !== '' || query.mine || query.attention;
  return html`<p class="empty">
    ${query.q === '' ? 'No item matches this filter.' : `Nothing matches “${query.q}”${others ? ' with this filter' : ''}.`}
    <a href="/">Show the whole board</a>
  </p>`;
}

/** What the strip shows of a filtered board: those of its items that need attention, the most urgent kind first. */
export function matchingAttention(
  narrowed: BoardDocument,
): Pick<BoardDocument, 'attention' | 'attentionTotal'> {
  const order = Object.keys(ATTENTION);
  const urgency = ({ attention }: ItemSummary) => order.indexOf(attention?.kind ?? 'waiting');
  const attention = narrowed.lanes.flatMap(({ items }) => items).sort((a, b) => urgency(a) - urgency(b));
  return { attention: attention.slice(0, STRIP), attentionTotal: narrowed.total };
}

/** One lane as a list, page by page. */
export function laneList(
  view: View,
  list: { lane: Lane; q: string; items: ItemSummary[]; nextCursor: string | null; paged: boolean },
): Html {
  const title = laneLabel(list.lane);
  return html`<p class="crumbs"><a href="/">Board</a></p>
    <div class="row head">
      <h1>${title}</h1>
      ${list.q && html`<span class="muted small">matching “${list.q}”</span>`}${list.paged && html`<a class="push btn" href="${laneUrl(list.lane, list.q)}">Newest</a>`}
    </div>
    <div id="board">
      <ul class="cards">
        ${list.items.map((item) => card(view, item))}
      </ul>
      ${list.items.length === 0 ? html`<p class="empty">${list.q ? `Nothing in this lane matches “${list.q}”.` : EMPTY_LANE[list.lane]} <a href="/">Back to the board</a></p>` : null}
      ${list.nextCursor && html`<p class="more"><a class="btn" href="${laneUrl(list.lane, list.q, list.nextCursor)}" rel="next">Older items</a></p>`}
    </div>`;
}

import type { ActionsDocument, HandoffDocument, ItemDocument } from '../../../work-items/documents.ts';
import { clip, duration, isWebUrl, laneLabel, plural } from '../format.ts';
import { attribute, html, type Child, type Html } from '../html.ts';
import { actionList, isMine } from './actions.ts';
import { problemList, freshnessChip } from './board.ts';
import { approvalsPanel, criteriaPanel, evidencePanel, handoffsPanel, overridesPanel } from './evidence.ts';
import type { ItemPage } from './item-page.ts';
import type { FrameView } from './frame.ts';
import { changesIn, countsLater, nextStrip } from './next.ts';
import { chip, copyButton, fact, notice, panel, prose, time, withCode, type View } from './parts.ts';
import { titleWords } from './sessions.ts';
import { appliedNotice, timeline } from './history.ts';

/** The page of one item: the sections of the reference pages in their order, then what stands behind them. */
export function itemPage(view: FrameView, page: ItemPage): Html {
  const { item, actions, applied } = page;
  const seconds = changesIn(view, page);
  return html`<div class="row head top-aligned" id="heading">
      <hgroup>
        <p class="muted small">${laneLabel(item.lane)} Work Item</p>
        ${heading(item.title)}
        <p class="lead muted prose">${withCode(item.summary)}</p>
      </hgroup>
      <div class="push stand">${mineCount(actions)} ${item.handoff && whoHolds(view, item.handoff)}</div>
    </div>
    ${applied && appliedNotice(view, applied, countsLater(view, page))}
    ${item.problems.length > 0 && notice(view, 'bad', 'The record of this item has problems', problemList(item.problems, view.facts.queueFolder))}
    <div id="next" ${attribute('data-changes-in', seconds === null ? null : String(seconds))}>${nextStrip(view, page)}</div>
    <div class="item">
      <div class="stack" id="facts">${factPanels(view, item)}</div>
      <div class="stack">
        ${actionList(view, page)}
        <div class="stack" id="more">
          ${criteriaPanel(view, item, page.viewer)} ${handoffsPanel(view, item)} ${evidencePanel(view, item)}
          ${approvalsPanel(view, item)} ${overridesPanel(view, item)} ${sessionsPanel(view, page)} ${timelinePanel(view, page)}
        </div>
      </div>
    </div>`;
}

/** Conversations that belong to this item; nothing where there are none. */
function sessionsPanel(view: View, { item, sessions }: ItemPage): Html | null {
  if (sessions.length === 0) return null;
  const rows = sessions.map(
    ({ id, title, subjectId, messages, updatedAt }) =>
      html`<li class="row">
        <a class="link" href="/sessions/${id}">${title ?? titleWords({ subjectId })}</a>
        <span class="push muted small">${plural(messages, 'message')} · ${time(view, updatedAt)}</span>
      </li>`,
  );
  const all = html`<a class="link small" href="/sessions?itemId=${item.id}">All of them</a>`;
  return panel('Sessions', html`<ul class="plain lines">${rows}</ul>`, { id: 'sessions', aside: all });
}

/** A title of the length that a line can be is a heading; of a longer one the beginning, and all of it below. */
function heading(title: string): Html {
  if (title.length <= LONG_TITLE) return html`<h1>${title}</h1>`;
  return html`<h1>${clip(title, LONG_TITLE)}</h1>
    <details class="small">
      <summary>The whole title</summary>
      <p>${title}</p>
    </details>`;
}

const LONG_TITLE = 300;

/** What this viewer can do, which is less than what the gates let pass. */
function mineCount({ actions }: ActionsDocument): Html {
  return html`<a class="btn" href="#actions"
    >You can take ${actions.filter(isMine).length} of ${plural(actions.length, 'action')}</a
  >`;
}

/** Who works on the item, or that its handoff waits for somebody. */
function whoHolds(view: View, { state, holder, claimedAt, queuedAt }: HandoffDocument): Html {
  const who = holder === null ? 'nobody holds it' : `held by ${holder}`;
  return html`<p class="small">
    ${chip(view, 'info', holder === null ? 'clock' : 'person', `handoff ${state}`)} ${who},
    ${time(view, claimedAt ?? queuedAt)}
  </p>`;
}

function factPanels(view: View, item: ItemDocument): Child {
  return [
    panel('Execution Context', executionContext(view, item)),
    panel('Lifecycle Metadata', lifecycleMetadata(item)),
    panel('Queue Truth', queueTruth(item), { aside: freshnessChip(view, item.queueTruth.freshness.verdict) }),
    panel(
      'Reconciliation Guidance',
      html`<ul class="plain">
        ${item.guidance.map((text) => html`<li>${withCode(text)}</li>`)}
      </ul>`,
    ),
    panel('Prompt Context', promptContext(item)),
  ];
}

function executionContext(view: View, item: ItemDocument): Html {
  const id = (text: string, what: string) =>
    html`<span class="mono">${text}</span>${copyButton(view, text, what)}`;
  return html`<dl class="facts">
    ${fact('ID', id(item.id, 'id'))}${fact('Branch', item.branch === null ? absent : id(item.branch, 'branch'))}${fact(
      'Validation',
      item.validation === null ? absent : id(item.validation, 'validation command'),
    )}${fact('PR', item.pr === null ? absent : pullRequest(item.pr))}
  </dl>`;
}

const absent = html`<span class="muted">none</span>`;

function pullRequest(pr: string): Html {
  return isWebUrl(pr)
    ? html`<a class="link" href="${pr}" rel="noreferrer">${pr}</a>`
    : html`<span class="mono">${pr}</span>`;
}

function lifecycleMetadata(item: ItemDocument): Html {
  return html`<dl class="facts">
      ${fact('Lane', laneLabel(item.lane))}${fact('Work type', item.workType)}${fact('Source', item.source)}${fact('Status', item.status)}${fact(
        'State',
        item.state,
      )}${fact('Done criteria', item.criteria.length)}
    </dl>
    <p class="muted small aside">
      ${[
        `State on the basis of ${item.stateBasis === 'record' ? 'the record' : 'the forge'}`,
        `version ${item.version}`,
        item.origin === 'import' ? 'imported' : 'created here',
      ].join(' · ')}
    </p>
    ${relations(item)}`;
}

function relations(item: ItemDocument): Html | null {
  const link = (id: string) => html`<a class="link mono" href="/items/${id}">${id}</a>`;
  if (item.blockedBy.length === 0 && item.supersedes === null && item.supersededBy.length === 0) return null;
  return html`<dl class="facts aside">
    ${
      item.blockedBy.length > 0 &&
      fact(
        'Blocked by',
        html`<ul class="plain">
          ${item.blockedBy.map(({ id, title, lane }) => html`<li>${link(id)} <span class="muted small">${title && `${clip(title)} · `}${lane === null ? 'unknown item' : laneLabel(lane)}</span></li>`)}
        </ul>`,
      )
    }
    ${item.supersedes && fact('Supersedes', link(item.supersedes))}
    ${item.supersededBy.length > 0 && fact('Superseded by', item.supersededBy.map(link))}
  </dl>`;
}

/** The reference pages' two lines first; what is open, not connected and not computed after them. */
function queueTruth({ queueTruth: truth }: ItemDocument): Html {
  const { verdict, ageSeconds } = truth.freshness;
  const age = ageSeconds === null ? 'never read' : `snapshot age ${ageSeconds}s`;
  return html`<p>Freshness: ${verdict} (${age})</p>
    <p>Drift: ${truth.drift.length === 0 ? 'none.' : `${truth.drift.length} open.`}</p>
    ${
      truth.drift.length > 0 &&
      html`<ul class="drift">
        ${truth.drift.map(
          ({ code, severity, field, left, right }) =>
            html`<li>
              <span class="${severity === 'error' ? 'bad' : 'warn'}">${severity}</span>
              <code>${code}</code> ${field}: ${left.source} says ${left.value}, ${right.source} says
              ${right.value}.
            </li>`,
        )}
      </ul>`
    }
    ${truth.notConnected.length > 0 && html`<p class="muted small aside">Not connected: ${truth.notConnected.join(', ')}.</p>`}
    ${
      truth.notComputed.length > 0 &&
      html`<details class="small aside">
        <summary>Not computed: ${plural(truth.notComputed.length, 'code')}</summary>
        <ul class="plain muted">
          ${truth.notComputed.map(({ code, reason }) => html`<li><code>${code}</code> ${reason}</li>`)}
        </ul>
      </details>`
    }
    ${
      truth.sources.length > 0 &&
      html`<details class="small aside">
        <summary>Sources</summary>
        <table class="compact">
          <thead>
            <tr>
              <th>Source</th>
              <th>Verdict</th>
              <th class="n">Age</th>
              <th class="n">Budget</th>
            </tr>
          </thead>
          <tbody>
            ${truth.sources.map(
              (source) =>
                html`<tr>
                  <td>${source.source}</td>
                  <td>${source.verdict}</td>
                  <td class="n">${source.ageSeconds === null ? 'never' : duration(source.ageSeconds)}</td>
                  <td class="n">${duration(source.budgetSeconds)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </details>`
    }`;
}

function promptContext({ prompt }: ItemDocument): Html {
  const missing = html`<p class="bad">The prompt file is missing or cannot be read.</p>`;
  return html`<p class="mono breakable">${prompt.path}</p>
    ${prompt.missing ? missing : html`<div class="excerpt muted" tabindex="0" role="region" aria-label="Prompt excerpt">${prose(prompt.excerpt ?? '')}</div>`}`;
}

function timelinePanel(view: View, { item, history }: ItemPage): Html {
  const aside = html`<a class="link small" href="/items/${item.id}/history"
    >History, decisions and snapshots</a
  >`;
  return panel(
    'Timeline',
    history.events.length === 0
      ? html`<p class="muted">Nothing happened since ${time(view, item.createdAt)}.</p>`
      : timeline(view, item.id, history.events.slice(0, 10)),
    { id: 'timeline', aside },
  );
}

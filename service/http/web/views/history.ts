import type {
  DecisionDocument,
  DecisionSummary,
  HistoryDocument,
  HistoryEntry,
} from '../../../work-items/documents.ts';
import type { ActionReport } from '../../../work-items/types.ts';
import { absolute, clip, laneLabel, short, shortId, valueText } from '../format.ts';
import { html, type Html } from '../html.ts';
import type { SnapshotDocument } from '../ports.ts';
import { factsTable } from './gates.ts';
import {
  chip,
  copyButton,
  csrfField,
  fact,
  icon,
  notice,
  panel,
  time,
  VERDICT_MARK,
  type View,
} from './parts.ts';

/** What happened to an item, why, and what was kept of it. */

const OUTCOME = {
  applied: { icon: 'tick', tone: 'ok' },
  blocked: { icon: 'cross', tone: 'bad' },
  planned: { icon: 'clock', tone: 'plain' },
} as const;

export function outcomeChip(view: View, outcome: DecisionDocument['outcome']): Html {
  return chip(view, OUTCOME[outcome].tone, OUTCOME[outcome].icon, outcome);
}

/** Events as they come, newest first. */
export function timeline(view: View, itemId: string, events: HistoryEntry[]): Html {
  return html`<ol class="timeline">
    ${events.map(
      ({ seq, at, actor, text, decisionId, snapshot }) =>
        html`<li id="event-${seq}">
          <p>${text}</p>
          <p class="muted small">
            ${actor} ·
            ${time(view, at)}${decisionId && html` · decision <a class="link mono" href="/items/${itemId}/decisions/${decisionId}">${shortId(decisionId)}</a>`}${
              snapshot && html` · <a class="link" href="/items/${itemId}/snapshots/${snapshot}">snapshot</a>`
            }
          </p>
        </li> `,
    )}
  </ol>`;
}

/** What the viewer's action did, at the top of the page it led to. */
export function appliedNotice(view: View, decision: DecisionDocument, later: Html | null): Html {
  const { label, lane, effects, itemId, id } = decision;
  const moved =
    lane && lane.from !== lane.to
      ? `${laneLabel(lane.from)} → ${laneLabel(lane.to)}`
      : lane && `the item stays ${laneLabel(lane.from)}`;
  return notice(
    view,
    'ok',
    html`${label}: done${moved && `, ${moved}`}.`,
    html`${
      effects.length > 0 &&
      html`<ul class="plain">
          ${effects.map(({ text }) => html`<li>${text}</li>`)}
        </ul>`
    }
      ${later}
      <p class="muted small">
        decision <a class="link mono" href="/items/${itemId}/decisions/${id}">${shortId(id)}</a>
      </p>`,
    'result',
  );
}

export function historyPage(view: View, document: HistoryDocument): Html {
  const { itemId, title, lane, events, decisions, snapshots, nextCursor } = document;
  return html`${crumbs(itemId)}
    <div class="row head">
      <hgroup>
        <p class="muted small">${laneLabel(lane)} Work Item</p>
        <h1>History of ${clip(title)}</h1>
      </hgroup>
    </div>
    <div class="two">
      ${panel(
        'Events',
        events.length === 0 ? html`<p class="muted">No further events.</p>` : timeline(view, itemId, events),
        {
          aside:
            nextCursor &&
            html`<a
              class="link small"
              rel="next"
              href="/items/${itemId}/history?cursor=${encodeURIComponent(nextCursor)}"
              >older</a
            >`,
        },
      )}
      <div class="stack">
        ${panel('Decisions', decisionList(view, itemId, decisions))}
        ${panel('Snapshots', snapshotList(view, itemId, snapshots))}
      </div>
    </div>`;
}

function decisionList(view: View, itemId: string, decisions: DecisionSummary[]): Html {
  if (decisions.length === 0) return html`<p class="muted">No action was planned or taken yet.</p>`;
  return html`<ul class="plain lines">
    ${decisions.map(
      ({ id, label, outcome, by, at, blockers }) =>
        html`<li>
          <p>
            <a class="link strong" href="/items/${itemId}/decisions/${id}">${label}</a>
            ${outcomeChip(view, outcome)}
          </p>
          <p class="muted small">
            ${by} · ${time(view, at)}${blockers.length > 0 && ` · ${blockers.join(', ')}`}
          </p>
        </li> `,
    )}
  </ul>`;
}

function snapshotList(view: View, itemId: string, snapshots: HistoryDocument['snapshots']): Html {
  if (snapshots.length === 0) return html`<p class="muted">None. <code>Record history</code> takes one.</p>`;
  return html`<ul class="plain lines">
    ${snapshots.map(
      ({ digest, at }) =>
        html`<li>
          <a class="link mono" href="/items/${itemId}/snapshots/${digest}">${short(digest, 16)}</a>
          <span class="muted small">${time(view, at)}</span>
        </li> `,
    )}
  </ul>`;
}

export function snapshotPage(view: View, itemId: string, { digest, at, content }: SnapshotDocument): Html {
  return html`${crumbs(itemId, true)}
    <div class="row head"><h1>Snapshot</h1></div>
    <div class="stack">
      ${panel(
        'What it is',
        html`<dl class="facts">
            ${fact('Item', html`<a class="link mono" href="/items/${itemId}">${itemId}</a>`)}${fact('Taken', html`${time(view, at)} <span class="muted">${absolute(at)}</span>`)}${fact(
              'Digest',
              html`<span class="mono breakable">${digest}</span>${copyButton(view, digest, 'digest')}`,
            )}
          </dl>
          <p class="muted small aside">
            The digest is that of the content: a copy that was changed has another.
          </p>`,
      )}
      ${panel('Content', html`<pre class="scroll" tabindex="0"><code>${JSON.stringify(content, null, 2)}</code></pre>`)}
    </div>`;
}

function crumbs(itemId: string, toHistory = false): Html {
  return html`<p class="crumbs">
    <a href="/">Board</a> /
    <a href="/items/${itemId}">${itemId}</a
    >${toHistory && html` / <a href="/items/${itemId}/history">History</a>`}
  </p>`;
}

/** A stored decision; `again` is today's evaluation of the same action, shown beside it. */
export function decisionPage(view: View, decision: DecisionDocument, again: ActionReport | null): Html {
  const { id, itemId, label, outcome, by, at, gates, lane } = decision;
  return html`${crumbs(itemId, true)}
    <div class="row head">
      <hgroup>
        <p class="muted small">Decision</p>
        <h1>${label} ${outcomeChip(view, outcome)}</h1>
        <p class="muted">${by} · ${time(view, at)} · <span class="mono">${itemId}</span></p>
      </hgroup>
      <form class="push" method="post" action="/items/${itemId}/decisions/${id}/evaluations">
        ${csrfField(view)}<button class="btn">Evaluate again</button>
      </form>
    </div>
    <div class="stack">
      ${again ? comparison(view, decision, again) : panel('Gates', gateTable(view, gates), { bare: true })}
      ${panel('Facts', factsTable(view, gates) ?? html`<p class="muted">No gate looked at a fact.</p>`)}
      ${panel(
        'What it rests on',
        html`<dl class="facts wide">
          ${fact('Permission', `${decision.permission.name}: ${decision.permission.granted ? 'granted' : 'missing'}`)}
          ${lane && fact('Lane', lane.from === lane.to ? `stays ${laneLabel(lane.from)}` : `${laneLabel(lane.from)} → ${laneLabel(lane.to)}`)}
          ${
            decision.effects.length > 0 &&
            fact(
              'Effects',
              html`<ul class="plain">
                ${decision.effects.map(({ text }) => html`<li>${text}</li>`)}
              </ul>`,
            )
          }
          ${fact('Item version', decision.itemVersion)}${fact('Gate pack', decision.gatePack)}${fact('Rules', html`<code>${decision.ruleVersion}</code>`)}
          ${fact('Policy digest', html`<code class="breakable">${decision.policyDigest}</code>`)}${fact('Facts digest', html`<code class="breakable">${decision.factsDigest}</code>`)}
          ${fact('Input', html`<code class="breakable">${valueText(decision.input)}</code>`)}
          ${fact('Decision', html`<code>${id}</code>${copyButton(view, id, 'decision id')}`)}
        </dl>`,
      )}
    </div>`;
}

function verdictText(view: View, gate: DecisionDocument['gates'][number] | undefined): Html {
  if (!gate) return html`<span class="muted">not asked</span>`;
  const mark = VERDICT_MARK[gate.verdict];
  return html`<span class="${mark.tone}">${icon(view, mark.icon)} ${gate.verdict}</span>
    <span class="muted">${gate.verdict === 'pass' ? null : gate.reason}</span>`;
}

function gateTable(view: View, gates: DecisionDocument['gates']): Html {
  return html`<table class="verdicts">
    <thead>
      <tr>
        <th scope="col">Gate</th>
        <th scope="col">Verdict</th>
      </tr>
    </thead>
    <tbody>
      ${gates.map(
        (gate) =>
          html`<tr>
            <td><code>${gate.gate}</code></td>
            <td>${verdictText(view, gate)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function comparison(view: View, then: DecisionDocument, now: ActionReport): Html {
  const names = [...new Set([...then.gates, ...now.gates].map(({ gate }) => gate))];
  const of = (gates: DecisionDocument['gates'], name: string) => gates.find(({ gate }) => gate === name);
  const same = names.every((name) => of(then.gates, name)?.verdict === of(now.gates, name)?.verdict);
  return html`${notice(view, same ? 'ok' : 'info', same ? 'Both evaluations agree.' : 'The verdict is another one.', null, 'result')}
  ${panel(
    'Gates, then and again',
    html`<table class="verdicts">
      <thead>
        <tr>
          <th scope="col">Gate</th>
          <th scope="col">Then</th>
          <th scope="col">Evaluated again</th>
        </tr>
      </thead>
      <tbody>
        ${names.map(
          (name) =>
            html`<tr>
              <td><code>${name}</code></td>
              <td>${verdictText(view, of(then.gates, name))}</td>
              <td>${verdictText(view, of(now.gates, name))}</td>
            </tr>`,
        )}
      </tbody>
    </table>`,
    { bare: true },
  )}`;
}

import {
  ACTION_IDENTITIES,
  type ActionIdentity,
  type ActionReport,
  type Lane,
} from '../../../work-items/types.ts';
import { flag, html, type Child, type Html } from '../html.ts';
import { confirmPanel } from './confirm.ts';
import { blocking, gateLine } from './gates.ts';
import type { ItemPage } from './item-page.ts';
import type { FrameView } from './frame.ts';
import { chip, copyButton, csrfField, hiddenFields, icon, withCode, type View } from './parts.ts';
import { requestTwin } from './snippets.ts';
import { guidance, rolesWith } from './ways.ts';

const TERMINAL: readonly Lane[] = ['done', 'cancelled'];
/** Those that every page of an item lists, all of it. */
const FOUR: ReadonlySet<ActionIdentity> = new Set(ACTION_IDENTITIES.slice(0, 4));

/** Whether the viewer can take the action now: its gates pass, and the permission is there. */
export function isMine({ enabled, permission }: ActionReport): boolean {
  return enabled && permission.granted;
}

/** All listed actions with their reasons, gates and buttons. */
export function actionList(view: FrameView, page: ItemPage): Html {
  const { actions, item, all, viewer } = page;
  const other = all
    ? html`<a class="link" href="/items/${item.id}#actions">those of this lane</a>`
    : html`<a class="link" href="/items/${item.id}?all=true#actions">all actions</a>`;
  return html`<section class="panel" id="actions">
    <header>
      <h2>Available Actions</h2>
      <span class="push muted small">
        as you, ${viewer.roles.join(', ')} · <a class="link" href="#gate-pack">gates of pack ${view.facts.gatePack}</a> ·
        ${other}
      </span>
    </header>
    <ul class="actions">
      ${actions.actions.map((action) => actionCard(view, page, action))}
    </ul>
    ${gatePack(view.facts)}
  </section>`;
}

/** Which gates these are, and what the other built-in pack would ask; the pack is the project's choice. */
function gatePack({ gatePack: pack, queueFolder }: FrameView['facts']): Html {
  const other =
    pack === 'baseline'
      ? html` <code>strict</code> also asks for evidence of every criterion and a review by somebody else.`
      : null;
  return html`<p class="foot muted small" id="gate-pack">
    Gates of pack <code>${pack}</code>.${other} Change it with <code>gatePack</code> in
    <code>${queueFolder}/policy.yaml</code>.
  </p>`;
}

/** The four of the reference pages, what the viewer can take, and what the page is about stand open. */
function standsOpen({ panel }: ItemPage, action: ActionReport): boolean {
  return isMine(action) || panel?.identity === action.identity || FOUR.has(action.identity);
}

function actionCard(view: FrameView, page: ItemPage, action: ActionReport): Html {
  const { identity, label } = action;
  const title = html`<h3><span>${label}</span>${stateChip(view, action)}</h3>`;
  const rest = actionBody(view, page, action);
  const look = isMine(action) ? 'action mine' : 'action';
  return html`<li class="${look}" id="act-${identity}" data-action="${label}">
    ${
      standsOpen(page, action)
        ? [title, rest]
        : html`<details id="fold-${identity}" ${flag('open', page.focus === identity)}>
            <summary>
              ${title}
              <p class="muted small">${whyFolded(action)}</p>
            </summary>
            <div class="unfolded">${rest}</div>
          </details>`
    }
  </li> `;
}

/** One line in place of all that is folded away. */
function whyFolded({ gates, permission }: ActionReport): Child {
  const [first] = blocking(gates);
  return first ? withCode(first.reason) : `needs ${rolesWith(permission.name)}`;
}

function actionBody(view: FrameView, page: ItemPage, action: ActionReport): Child {
  const { item, panel } = page;
  const { identity, description, enabled, permission } = action;
  const endpoint = `POST /api/control-plane/items/${item.id}/actions/${identity}`;
  const blockers = blocking(action.gates);
  const terminal = TERMINAL.includes(item.lane);
  const gates = action.gates.filter(({ verdict }) => !(terminal && verdict === 'not-applicable'));
  const open = panel?.identity === identity ? panel : null;
  return html`<p class="muted">${description}</p>
    ${enabled && !permission.granted && notYours(permission.name)}
    ${blockers.length > 0 && guidance(page, blockers)}
    <div class="ids mono muted">
      <p>identity: ${identity}</p>
      <p>permission: ${permission.name}</p>
      <p class="${permission.granted ? 'ok' : 'bad'}">
        ${icon(view, permission.granted ? 'tick' : 'cross')} ${permission.granted ? 'granted' : 'missing'}
      </p>
    </div>
    ${
      gates.length > 0 &&
      html`<ul class="gates">
        ${gates.map((gate) => gateLine(view, gate))}
      </ul>`
    }
    <div class="call">
      <div class="endpoint mono muted">
        <p>${endpoint}</p>
        ${copyButton(view, endpoint, 'endpoint')}
      </div>
      ${requestTwin(view, page, action)}
    </div>
    ${open ? confirmPanel(view, page, action, open) : start(view, page, action)}`;
}

/** Enabled says that the gates pass, whoever asks; only what the viewer can do looks like it. */
function stateChip(view: View, action: ActionReport): Html {
  if (!action.enabled) return chip(view, 'bad', 'cross', 'Blocked');
  return isMine(action) ? chip(view, 'ok', 'tick', 'Enabled') : chip(view, 'plain', 'dash', 'Enabled');
}

function notYours(permission: string): Html {
  return html`<p>
    Not yours: needs ${rolesWith(permission)}. <a class="link" href="/people">Ask one of the people</a>
  </p>`;
}

/** The button that asks for the plan, where the viewer can take the action. */
function start(view: View, page: ItemPage, action: ActionReport): Html | null {
  if (!isMine(action)) return null;
  const { identity, label } = action;
  return html`<form
    class="do"
    method="post"
    action="/items/${page.item.id}/actions/${identity}#act-${identity}"
    hx-post="/items/${page.item.id}/actions/${identity}"
    hx-target="#act-${identity}"
    hx-select="#act-${identity}"
    hx-disabled-elt="find button"
  >
    ${csrfField(view)}${hiddenFields({ step: 'plan', all: page.all ? 'true' : null })}
    <button class="btn" id="do-${identity}">${label}</button>
  </form>`;
}

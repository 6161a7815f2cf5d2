import { permissionsOf, ROLES } from '../../../access/roles.ts';
import { labelOf } from '../../../work-items/actions.ts';
import type {
  ActionIdentity,
  ActionReport,
  GateIdentity,
  GateResult,
  Lane,
  Unblock,
} from '../../../work-items/types.ts';
import { plural } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import { confirmPanel } from './confirm.ts';
import { blocking, gateLine } from './gates.ts';
import type { ItemPage } from './item-page.ts';
import type { FrameView } from './frame.ts';
import { chip, copyButton, csrfField, fact, hiddenFields, icon, twin, withCode, type View } from './parts.ts';

const TERMINAL: readonly Lane[] = ['done', 'cancelled'];

/** What kind of evidence makes a gate pass. */
const EVIDENCE_KIND: Partial<Record<GateIdentity, string>> = {
  'pull-request': 'attestation',
  'validation-evidence': 'validation',
  'validation-script-unchanged': 'attestation',
  'criteria-met': 'criterion',
};

/** Page of an action that leads out of a gate: its form, with what the gate already knows, or its place. */
function actionUrl(itemId: string, action: ActionIdentity, { gate, params }: GateResult): string {
  const query = new URLSearchParams({ act: action });
  const kind = EVIDENCE_KIND[gate];
  if (action === 'submit-evidence' && kind) query.set('kind', kind);
  if (action === 'submit-evidence' && typeof params.head === 'string') query.set('commit', params.head);
  return `/items/${itemId}?${query.toString()}#act-${action}`;
}

/** Roles that hold a permission, as words: `owner, planner`. */
export function rolesWith(permission: string): string {
  return ROLES.filter((role) => permissionsOf([role]).has(permission)).join(', ');
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

function actionCard(view: View, page: ItemPage, action: ActionReport): Html {
  const { item, panel } = page;
  const { identity, label, description, enabled, permission } = action;
  const endpoint = `POST /api/control-plane/items/${item.id}/actions/${identity}`;
  const blockers = blocking(action.gates);
  const terminal = TERMINAL.includes(item.lane);
  const gates = action.gates.filter(({ verdict }) => !(terminal && verdict === 'not-applicable'));
  const open = panel?.identity === identity ? panel : null;
  return html`<li class="action" id="act-${identity}" data-action="${label}">
    <h3>
      <span>${label}</span
      >${enabled ? chip(view, 'ok', 'tick', 'Enabled') : chip(view, 'bad', 'cross', 'Blocked')}
    </h3>
    <p class="muted">${description}</p>
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
    ${open ? confirmPanel(view, page, action, open) : start(view, page, action)}
  </li> `;
}

function guidance(page: ItemPage, [first, ...further]: GateResult[]): Child {
  return html`<div class="guidance">
    <h4>Recovery guidance</h4>
    ${first && way(page, first)}
    ${
      further.length > 0 &&
      html`<h4>${plural(further.length, 'further gate')} ${further.length === 1 ? 'blocks' : 'block'} it</h4>
        <ol class="further">
          ${further.map((gate) => html`<li><code>${gate.gate}</code>${way(page, gate)}</li>`)}
        </ol>`
    }
  </div>`;
}

/** The four texts of a blocking gate and the links that lead out. */
export function way(page: Pick<ItemPage, 'item' | 'viewer'>, gate: GateResult): Html {
  if (!gate.recovery) return html`<p class="way">${gate.reason}</p>`;
  const { cause, policyContext, nextStep, safeRetry } = gate.recovery;
  const out = gate.unblock.map((step) => wayOut(page, gate, step));
  return html`<dl class="way">
    ${fact('Cause', withCode(cause))}${fact('Policy context', withCode(policyContext))}${fact(
      'Next step',
      out.length === 0
        ? withCode(nextStep)
        : html`${withCode(nextStep)}
            <div class="out">${out}</div>`,
    )}${fact('Safe retry', withCode(safeRetry.text))}
  </dl>`;
}

function wayOut(
  { item, viewer }: Pick<ItemPage, 'item' | 'viewer'>,
  gate: GateResult,
  { action, url, permission }: Unblock,
): Html | null {
  const missing = permission !== null && !viewer.permissions.has(permission);
  const needs = missing && html` <span class="muted small">needs ${rolesWith(permission)}</span>`;
  if (action)
    return html`<span
      ><a class="link" href="${actionUrl(item.id, action, gate)}">${labelOf(action)}</a>${needs}</span
    >`;
  return url ? html`<span><a class="link" href="${url}">${pageLabel(url)}</a>${needs}</span>` : null;
}

function pageLabel(url: string): string {
  const { pathname } = new URL(url, 'http://local');
  if (pathname === '/items/new') return 'Create a net-new work item';
  if (pathname === '/people') return 'Ask one of the people';
  if (pathname === '/') return 'Board';
  return pathname.startsWith('/items/') ? `Open ${pathname.slice('/items/'.length)}` : url;
}

function requestTwin(view: View, { item }: ItemPage, { identity }: ActionReport): Html {
  const curl = [
    `curl -X POST "$FACTORY_URL/api/control-plane/items/${item.id}/actions/${identity}"`,
    `-H "Authorization: Bearer $FACTORY_TOKEN" -H 'Content-Type: application/json'`,
    `-H "Idempotency-Key: $(uuidgen)" -H 'If-Match: "${item.version}"' -d '{}'`,
  ].join(' \\\n  ');
  return twin(view, { curl, cli: `npx factory items act ${item.id} ${identity}` });
}

/** The button that asks for the plan, or why there is none. */
function start(
  view: View,
  page: ItemPage,
  { identity, label, enabled, permission }: ActionReport,
): Html | null {
  if (!enabled) return null;
  if (!permission.granted) {
    return html`<p class="do muted small">
      You may not do this: it takes ${permission.name} (${rolesWith(permission.name)}).
      <a class="link" href="/people">Ask one of the people</a>
    </p>`;
  }
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

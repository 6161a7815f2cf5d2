import { permissionsOf, ROLES } from '../../../access/roles.ts';
import { labelOf } from '../../../work-items/actions.ts';
import type { ActionIdentity, GateIdentity, GateResult, Unblock } from '../../../work-items/types.ts';
import { plural } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import type { ItemPage } from './item-page.ts';
import { fact, withCode } from './parts.ts';

/** Ways out of what blocks an action: the four texts of a gate, the links that lead on, and whom to ask. */

type Around = Pick<ItemPage, 'item' | 'viewer'>;

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

/** Roles that hold a permission, as words: `an owner or planner`. */
export function rolesWith(permission: string): string {
  const roles = ROLES.filter((role) => permissionsOf([role]).has(permission));
  const last = roles.pop();
  if (last === undefined) return 'nobody';
  return `an ${roles.length > 0 ? `${roles.join(', ')} or ` : ''}${last}`;
}

export function guidance(around: Around, [first, ...further]: GateResult[]): Child {
  return html`<div class="guidance">
    <h4>Recovery guidance</h4>
    ${first && way(around, first)}
    ${
      further.length > 0 &&
      html`<h4>${plural(further.length, 'further gate')} ${further.length === 1 ? 'blocks' : 'block'} it</h4>
        <ol class="further">
          ${further.map((gate) => html`<li><code>${gate.gate}</code>${way(around, gate)}</li>`)}
        </ol>`
    }
  </div>`;
}

/** The four texts of a blocking gate and the links that lead out. */
function way(around: Around, gate: GateResult): Html {
  if (!gate.recovery) return html`<p class="way">${gate.reason}</p>`;
  const { cause, policyContext, nextStep, safeRetry } = gate.recovery;
  const out = gate.unblock.map((step) => wayOut(around, gate, step));
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

/** Whether the viewer may take this way out. */
export function mayTake({ viewer }: Around, { permission }: Unblock): boolean {
  return permission === null || viewer.permissions.has(permission);
}

/** The link of a way out, and which roles it takes where the viewer has none of them; null where it leads nowhere. */
export function wayOut(around: Around, gate: GateResult, step: Unblock, look = 'link'): Html | null {
  const { action, url, permission } = step;
  const href = action ? actionUrl(around.item.id, action, gate) : url;
  if (!href) return null;
  const needs =
    permission !== null &&
    !mayTake(around, step) &&
    html` <span class="muted small">needs ${rolesWith(permission)}</span>`;
  return html`<span><a class="${look}" href="${href}">${action ? labelOf(action) : pageLabel(href)}</a>${needs}</span>`;
}

function pageLabel(url: string): string {
  const { pathname } = new URL(url, 'http://local');
  if (pathname === '/items/new') return 'Create a net-new work item';
  if (pathname === '/people') return 'Ask one of the people';
  if (pathname === '/') return 'Board';
  return pathname.startsWith('/items/') ? `Open ${pathname.slice('/items/'.length)}` : url;
}

import type { ActionResult } from '../../../work-items/documents.ts';
import type { ActionIdentity, ActionReport } from '../../../work-items/types.ts';
import { laneLabel, shortId } from '../format.ts';
import { html, type Html } from '../html.ts';
import { changeList } from './changes.ts';
import { inputFields, TAKES_INPUT, type NoteNeeded } from './action-inputs.ts';
import { factsTable, gateLine } from './gates.ts';
import type { FrameView } from './frame.ts';
import type { ActPanel, ItemPage } from './item-page.ts';
import { turnable } from './overrides.ts';
import { csrfField, fact, hiddenFields, notice, type View } from './parts.ts';

/** The step between a button and its effect: input, plan, and the button that confirms both. */
export function confirmPanel(view: FrameView, page: ItemPage, action: ActionReport, panel: ActPanel): Html {
  const mayAct = action.enabled && action.permission.granted;
  const asksInput = TAKES_INPUT.has(action.identity) || panel.problems.length > 0;
  return html`<div class="confirm" id="confirm-${action.identity}">
    ${panel.refusal && refusalNotice(view, panel.refusal)}
    ${mayAct && (panel.plan !== null || asksInput) ? confirmForm(view, page, action, panel) : null}
  </div>`;
}

function refusalNotice(view: View, { title, text, gates }: NonNullable<ActPanel['refusal']>): Html {
  return notice(
    view,
    'bad',
    title,
    html`<p>${text}</p>
      ${
        gates.length > 0 &&
        html`<ul class="gates">
          ${gates.map((gate) => gateLine(view, gate))}
        </ul>`
      }`,
  );
}

/** Actions that nothing takes back: their button says more than their label, and warns. */
const FINAL: Partial<Record<ActionIdentity, { button: string; warning: string }>> = {
  cancel: {
    button: 'Cancel this item',
    warning: 'Cancelled items stay closed: nothing opens one again, and more work takes a new item.',
  },
};

/**
 * Whether approving takes a note, as one's own work does in the solo preset: the gate knows whose work it is; a pack
 * without that gate leaves it open until the note is missed.
 */
function noteNeeded(
  { viewer }: ItemPage,
  { identity, gates }: ActionReport,
  { problems }: ActPanel,
): NoteNeeded {
  if (identity !== 'approve') return 'no';
  if (problems.some(({ path }) => path === 'note')) return 'yes';
  const review = gates.find(({ gate }) => gate === 'independent-review');
  if (!review) return 'for-own-work';
  const authors = review.facts.find(({ path }) => path === 'authors')?.value;
  return Array.isArray(authors) && authors.includes(viewer.personId) ? 'yes' : 'no';
}

function confirmForm(view: FrameView, page: ItemPage, action: ActionReport, panel: ActPanel): Html {
  const { item } = page;
  const { identity, label } = action;
  const url = `/items/${item.id}/actions/${identity}`;
  const carried = {
    key: panel.idempotencyKey,
    version: String(panel.plan?.item.version ?? item.version),
    decisionId: panel.plan?.decisionId,
    all: page.all ? 'true' : null,
  };
  const takesInput = TAKES_INPUT.has(identity);
  const turns = turnable(page, view.facts.hardGates);
  if (identity === 'override-gate' && turns.length === 0) return nothingToTurn(item.id);
  const final = FINAL[identity];
  const fields = inputFields(page.item, identity, panel.input, panel.problems, {
    noteNeeded: noteNeeded(page, action, panel),
    turnable: turns,
    now: view.now,
  });
  const plan = panel.plan && planView(view, panel.plan);
  return html`<form
    method="post"
    action="${url}#act-${identity}"
    hx-post="${url}"
    hx-target="#main"
    hx-select="#main"
    hx-push-url="true"
    hx-disabled-elt="find button[value=apply]"
    aria-label="Confirm ${label}"
  >
    ${csrfField(view)}${hiddenFields(carried)}
    ${takesInput ? [fields, plan] : [plan, fields]} ${final && html`<p>${final.warning}</p>`}
    <div class="row">
      <button
        class="btn ${final ? 'danger' : 'main'}"
        name="step"
        value="apply"
        id="confirm-do-${identity}"
      >
        ${final?.button ?? label}
      </button>
      ${takesInput && html`<button class="btn" name="step" value="plan" formnovalidate>Show the plan</button>`}
      <a class="btn quiet" href="/items/${item.id}#act-${identity}">Not now</a>
    </div>
  </form>`;
}

function nothingToTurn(itemId: string): Html {
  return html`<p>
      No gate that an override can turn blocks an action of this item now. The gates of the lanes always hold.
    </p>
    <p><a class="btn quiet" href="/items/${itemId}#act-override-gate">Not now</a></p>`;
}

/** What will happen, and what the plan rests on. */
function planView(view: View, plan: ActionResult): Html {
  const { lane, effects, diff, gates } = plan;
  const moves = lane.from !== lane.to;
  return html`<div class="plan">
    <h4>Plan</h4>
    <dl class="facts">
      ${fact('Lane', moves ? html`${laneLabel(lane.from)} → <b>${laneLabel(lane.to)}</b>` : `stays ${laneLabel(lane.from)}`)}
      ${fact(
        'Effects',
        effects.length === 0
          ? 'none beyond the record'
          : html`<ul class="plain">
              ${effects.map(({ text }) => html`<li>${text}</li>`)}
            </ul>`,
      )}
      ${diff.length > 0 && fact('Changes', changeList(diff))}
      ${fact(
        'Gates',
        html`<ul class="gates">
          ${gates.map((gate) => gateLine(view, gate))}
        </ul>`,
      )}
      ${fact('Decision', html`<a class="link mono" href="/items/${plan.item.id}/decisions/${plan.decisionId}">${shortId(plan.decisionId)}</a>`)}
    </dl>
    <h4>Facts relied on</h4>
    ${factsTable(view, gates) ?? html`<p class="muted">None beyond the item itself.</p>`}
  </div>`;
}

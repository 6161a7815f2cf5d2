import type { PolicyDocument } from '../../../chat/policies.ts';
import type { BinView } from '../../../chat/retention/bin.ts';
import type { PlanView } from '../../../chat/retention/retaining.ts';
import { absolute, plural, size } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import { countsOfBin, countsText, isNothing, THING } from '../retention-words.ts';
import { keepingLines, partsNav } from './governance.ts';
import { chip, csrfField, panel, time, twin, type View } from './parts.ts';
import { authorName } from './sessions.ts';

/** `/governance/retention`: what is kept how long, what lies in the bin, plans and what was done by them. */

export const URL = '/governance/retention';

export interface RetentionPage {
  document: PolicyDocument;
  plans: PlanView[];
  nextCursor: string | null;
  bin: BinView[];
  mayManage: boolean;
  names: ReadonlyMap<string, string>;
}

export function retentionPage(view: View, page: RetentionPage): Html {
  const { document, mayManage } = page;
  const kept = html`<div class="stack">
    ${Object.entries(document.classes).map(([name, one]) => html`<div><h3>Class <code>${name}</code></h3>${keepingLines(one, document.general)}</div>`)}
    <p class="muted small">Class general stands for every class without a policy of its own. Exports are streamed and never kept.</p>
  </div>`;
  return html`<div class="row head">
      <h1>Retention</h1>
      <span class="muted small">nothing goes by the clock alone: only by a plan that somebody looked at and applied</span>
      ${mayManage && html`<form class="push" method="post" action="${URL}">${csrfField(view)}<button class="btn main">Make a plan</button></form>`}
    </div>
    <div class="stack">
      ${partsNav(URL)}
      <div class="two">
        <div class="stack">${plansPanel(view, page)} ${binPanel(view, page)}
          ${twin(view, { curl: 'curl "$FACTORY_URL/api/governance/retention-plans" -H "Authorization: Bearer $FACTORY_TOKEN"', cli: 'npx factory governance retention' })}
        </div>
        <div class="stack">
          ${panel('What is kept how long', kept, { id: 'kept', aside: html`<a class="link small" href="/governance/policies">Policies</a>` })}
        </div>
      </div>
    </div>`;
}

/** Asks for another plan, where one is outdated. */
export function planForm(view: View): Html {
  return html`<form method="post" action="${URL}" class="stack">
    ${csrfField(view)}
    <p>It says what the policies of now make expire, and what is held. Nothing is deleted by that.</p>
    <p><button class="btn main">Make a plan</button></p>
  </form>`;
}

export function stateChip(view: View, { state }: Pick<PlanView, 'state'>): Html {
  switch (state) {
    case 'planned':
      return chip(view, 'info', 'file', 'planned');
    case 'applying':
      return chip(view, 'info', 'clock', 'under way');
    case 'applied':
      return chip(view, 'ok', 'tick', 'applied');
    case 'undone':
      return chip(view, 'plain', 'dash', 'taken back');
  }
}

function plansPanel(view: View, { plans, nextCursor, names }: RetentionPage): Html {
  if (plans.length === 0)
    return panel(
      'Plans and runs',
      html`<div class="empty">
        <p class="strong">No plan was made yet</p>
        <p>
          A plan says what the policies of now make expire, with samples, and what is held; nothing is deleted by that. Applied, it puts content into the bin, where nobody sees it; a later plan purges
          what lay there for its days. Each run leaves a signed record.
        </p>
      </div>`,
      { bare: true, id: 'plans' },
    );
  const more =
    nextCursor !== null &&
    html`<p class="more"><a class="link" href="${URL}?${new URLSearchParams({ cursor: nextCursor }).toString()}#plans">Older plans</a></p>`;
  return panel(
    'Plans and runs',
    html`<ul class="plain lines">${plans.map((plan) => planRow(view, plan, names))}</ul>${more}`,
    { id: 'plans' },
  );
}

/** To the second: a day can have several. */
export const planName = ({ createdAt }: Pick<PlanView, 'createdAt'>): string =>
  `Plan of ${absolute(createdAt)}`;

function planRow(view: View, plan: PlanView, names: RetentionPage['names']): Html {
  const { id, createdAt, createdBy, appliedAt, record, held } = plan;
  return html`<li>
    <p class="row">
      ${stateChip(view, plan)} <a class="strong" href="${URL}/${id}">${planName(plan)}</a>
    </p>
    <p class="small">${actsText(plan)}${held > 0 && html` · ${held.toLocaleString('en')} held`}</p>
    <p class="small muted">made ${time(view, createdAt)} by ${authorName(names, createdBy)}${appliedAt !== null && html`, applied ${time(view, appliedAt)}`}${record !== null && html` · <a class="link" href="${URL}/${id}/record">Signed record</a>`}</p>
  </li>`;
}

/** Of what was done where it was, else of what is planned. */
export function actsText({ record, bin, purge, bytes }: PlanView): Child {
  const [binned, purged] = record ? [record.binned, record.purged] : [bin, purge];
  if (isNothing(binned) && isNothing(purged)) return 'Nothing expires.';
  const [into, away] = record ? ['Binned', 'purged'] : ['Into the bin', 'to be purged'];
  return `${into}: ${countsText(binned)}; ${away}: ${countsText(purged)} (${size(bytes)})`;
}

function binPanel(view: View, { bin }: RetentionPage): Html {
  if (bin.length === 0)
    return panel(
      'The bin',
      html`<div class="empty">
        <p class="strong">The bin is empty</p>
        <p>What a plan puts here can be taken back until another plan purges it.</p>
      </div>`,
      { bare: true, id: 'bin' },
    );
  return panel(
    'The bin',
    html`<p class="muted small">Nobody sees it. It stays until a plan purges it; its run can be taken back until then.</p>
      <ul class="plain lines aside">
        ${bin.map((run) => html`<li><p><a class="strong" href="${URL}/${run.plan}">${countsText(countsOfBin(run.entries))}</a> <span class="small muted">put there ${time(view, run.binnedAt)}</span></p>${binLines(view, run)}</li>`)}
      </ul>`,
    { id: 'bin' },
  );
}

/** What of a run lies there until when. */
export function binLines(view: View, { entries }: BinView): Html {
  return html`<ul class="plain small">
    ${entries.map(
      ({ class: name, kind, items, messages, bytes, purgeableFrom }) =>
        html`<li>
          ${plural(items, THING[kind])}${kind === 'session' && html` with ${plural(messages, 'message')}`} of class <code>${name}</code>, ${size(bytes)}:
          ${untilText(view, purgeableFrom)}
        </li>`,
    )}
  </ul>`;
}

function untilText({ now }: View, purgeableFrom: string | null): string {
  if (purgeableFrom === null) return 'kept for ever by the policy of now, so no plan purges it.';
  return Date.parse(purgeableFrom) <= now
    ? 'its days here are over, so a plan can purge it.'
    : `a plan can purge it from ${purgeableFrom.slice(0, 10)} on.`;
}

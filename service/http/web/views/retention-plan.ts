import type { BinView } from '../../../chat/retention/bin.ts';
import type { PlanView } from '../../../chat/retention/retaining.ts';
import type { Counts, Sample, StepKind } from '../../../chat/retention/retention.ts';
import { plural, shortId, size } from '../format.ts';
import { attribute, flag, html, type Html } from '../html.ts';
import { countsOfBin, countsText, isNothing, THING } from '../retention-words.ts';
import { partsNav } from './governance.ts';
import {
  copyButton,
  csrfField,
  fact,
  hiddenFields,
  inlineCommand,
  notice,
  panel,
  time,
  twin,
} from './parts.ts';
import type { View } from './parts.ts';
import { binLines, planForm, planName, stateChip, URL } from './retention.ts';
import { authorName } from './sessions.ts';

/** The page of one plan: what it takes, the step that confirms it, its run and what that left in the bin. */

/** A hold that keeps something back. Null: it is not known here any more. */
export interface Keeper {
  id: string;
  items: number;
  reason: string | null;
  released: boolean;
}

export interface PlanPage {
  plan: PlanView;
  keepers: Keeper[];
  bin: BinView | null;
  names: ReadonlyMap<string, string>;
  mayManage: boolean;
  confirm: 'apply' | 'undo' | null;
  refusal: { title: string; text: string } | null;
}

const POLL = 'every 2s';

/** While it runs it looks again by itself, and a reload does the same. */
export function planPage(view: View, page: PlanPage): Html {
  const { plan, refusal, confirm } = page;
  const { id, state } = plan;
  const running = state === 'applying';
  const refused =
    refusal &&
    notice(
      view,
      'bad',
      refusal.title,
      html`<p>${refusal.text}</p>${page.mayManage && planForm(view)}`,
      'result',
    );
  return html`<div class="row head"><h1>${planName(plan)}</h1>${stateChip(view, plan)}</div>
    <div class="stack">
      ${partsNav(URL)} ${refused}${confirm === 'apply' && applyPanel(view, plan)}${confirm === 'undo' && undoPanel(view, page)}
      <div
        class="stack"
        id="run"
        ${running && attribute('hx-get', `${URL}/${id}`)}
        ${running && attribute('hx-trigger', POLL)}
        ${running && attribute('hx-select', '#run')}
      >
        ${runPanel(view, page)}
        <div class="two">
          <div class="stack">${takesPanel(plan)} ${samplePanel(plan)}</div>
          <div class="stack">${factsPanel(view, page)} ${heldPanel(page)} ${binPanel(view, page)}</div>
        </div>
      </div>
      ${twin(view, { curl: `curl "$FACTORY_URL/api/governance/retention-plans/${id}" -H "Authorization: Bearer $FACTORY_TOKEN"`, cli: `npx factory governance retention ${id}` })}
    </div>`;
}

const takesNothing = ({ bin, purge }: PlanView): boolean => isNothing(bin) && isNothing(purge);

/** What comes next, or what came of it. */
function runPanel(view: View, page: PlanPage): Html | null {
  const { plan, mayManage, confirm } = page;
  const { id, state, progress, record } = plan;
  if (state === 'applying') {
    const body = html`<progress max="${progress.of}" value="${progress.done}" aria-label="Progress"></progress>
      <p class="aside">
        ${progress.done.toLocaleString('en')} of ${plural(progress.of, 'step')}. It goes on in the background, also after a restart. You can
        leave this page and come back.
      </p>`;
    return panel('Under way', body, { id: 'progress' });
  }
  if (record) return recordPanel(view, page, record);
  if (state !== 'planned') return null;
  if (takesNothing(plan))
    return panel(
      'Nothing expires',
      html`<p>By the policies of that time there is nothing to put into the bin and nothing to purge, so there is nothing to apply.</p>`,
    );
  return confirm === null && mayManage
    ? panel(
        'Nothing was done yet',
        html`<form method="post" action="${URL}/${id}/apply" class="stack">
          ${csrfField(view)}
          <p>It can be applied as long as exactly this set expires.</p>
          <p><button class="btn main" name="step" value="plan">Apply plan</button></p>
        </form>`,
      )
    : null;
}

function recordPanel(
  view: View,
  { plan, mayManage, bin, confirm }: PlanPage,
  record: NonNullable<PlanView['record']>,
): Html {
  const { id, state } = plan;
  const { binned, purged, left, startedAt, finishedAt, signature } = record;
  const undo =
    mayManage &&
    state === 'applied' &&
    bin !== null &&
    confirm === null &&
    html`<form method="post" action="${URL}/${id}/undo">${csrfField(view)}<button class="btn" name="step" value="plan">Take back</button></form>`;
  const body = html`<dl class="facts wide">
      ${fact('Put into the bin', countsText(binned))} ${fact('Purged', countsText(purged))}
      ${left > 0 && fact('Left', html`${plural(left, 'thing')} of the plan: gone, changed or held by then`)}
      ${fact('Begun', time(view, startedAt))} ${fact('Ended', time(view, finishedAt))}
      ${fact('Signature', html`<code class="breakable">${signature}</code>`)}
    </dl>
    <div class="row aside"><a class="btn main" href="${URL}/${id}/record">Download signed record</a>${undo}</div>
    <p class="small aside">
      Check it anywhere, without this installation:
      ${inlineCommand(`node scripts/verify-certificate.mjs retention-run-${id}.json --key audit-log.vkey`)}
    </p>`;
  return panel(state === 'undone' ? 'What was done, and taken back since' : 'What was done', body, {
    id: 'record',
  });
}

function factsPanel(view: View, { plan, names }: PlanPage): Html {
  const { digest, createdAt, createdBy, appliedAt, bytes, held } = plan;
  return panel(
    'Facts',
    html`<dl class="facts">
      ${fact('Made', html`${time(view, createdAt)} by ${authorName(names, createdBy)}`)} ${appliedAt !== null && fact('Applied', time(view, appliedAt))}
      ${fact('Size', size(bytes))} ${fact('Held', held === 0 ? 'nothing that would go' : plural(held, 'thing'))}
      ${fact('Digest', html`<code class="breakable">${digest}</code>${copyButton(view, digest, 'digest')}`)}
    </dl>`,
    { id: 'facts' },
  );
}

const KINDS: readonly StepKind[] = ['session', 'message', 'toolOutput', 'attachment'];
const HEADS: Record<StepKind, string> = {
  session: 'Sessions',
  message: 'Messages',
  toolOutput: 'Tool outputs',
  attachment: 'Attachments',
};

/** Counts by class, what goes to the bin and what for ever. */
function takesPanel({ classes, state }: PlanView): Html {
  const title = state === 'planned' ? 'What it takes' : 'What was planned';
  const cells = (counts: Counts) =>
    KINDS.map(
      (kind) =>
        html`<td class="n" data-label="${kind === 'attachment' ? 'Files' : HEADS[kind]}">${counts[kind].toLocaleString('en')}</td>`,
    );
  const rows = classes.flatMap(({ class: name, bin, purge, held }) => [
    ...(isNothing(bin) ? [] : [{ name, act: 'into the bin', counts: bin }]),
    ...(isNothing(purge) ? [] : [{ name, act: 'purged', counts: purge }]),
    ...(held === 0 ? [] : [{ name, act: 'held', held }]),
  ]);
  if (rows.length === 0)
    return panel(title, html`<p class="empty">Nothing of any class.</p>`, {
      bare: true,
      id: 'takes',
    });
  return panel(
    title,
    html`<div class="scroll" tabindex="0" role="region" aria-label="What it takes, by class">
        <table class="log">
          <thead>
            <tr>
              <th scope="col">Class</th>
              <th scope="col">Goes</th>
              ${KINDS.map((kind) => html`<th scope="col" class="n">${HEADS[kind]}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${rows.map(
              (row) => html`<tr>
                <td data-label="Class"><code>${row.name}</code></td>
                <td data-label="Goes"><span class="word">${row.act}</span></td>
                ${row.counts ? cells(row.counts) : html`<td colspan="4" data-label="Stays">${plural(row.held, 'thing')} that would go</td>`}
              </tr>`,
            )}
          </tbody>
        </table>
      </div>
      <p class="more muted">Messages of whole sessions are among the messages.</p>`,
    { bare: true, id: 'takes' },
  );
}

/** Session and message can be looked at as long as they are not in the bin. */
function sampleLine({ act, kind, class: name, sessionId, id }: Sample, state: PlanView['state']): Html {
  const seq = kind === 'message' || kind === 'toolOutput' ? id?.split('.').at(-1) : undefined;
  const words =
    id === null ? 'Session' : seq === undefined ? 'An attachment' : sentence(`${THING[kind]} ${seq}`);
  const there = state === 'undone' || (act === 'bin' && (state === 'planned' || kind !== 'session'));
  const of = html`${words}${id !== null && ' of session'} <code title="${sessionId}">${shortId(sessionId)}</code>`;
  return html`<li>
    ${there ? html`<a class="link" href="/sessions/${sessionId}${seq === undefined ? '' : `#m${seq}`}">${of}</a>` : of}
    <span class="small muted">class ${name}, ${act === 'bin' ? 'into the bin' : 'purged'}</span>
  </li>`;
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

function samplePanel({ sample, state }: PlanView): Html | null {
  return sample.length === 0
    ? null
    : panel('Samples', html`<ul class="plain lines">${sample.map((one) => sampleLine(one, state))}</ul>`, {
        id: 'samples',
      });
}

/** What stays, and why. */
function heldPanel({ keepers, plan }: PlanPage): Html | null {
  if (plan.held === 0) return null;
  const rows = keepers.map(
    ({ id, items, reason, released }) => html`<li>
      <a class="strong" href="/governance/holds${released ? '?released=true' : ''}#hold-${id}">${reason ?? 'A hold'}</a><br />
      <span class="small">keeps ${plural(items, 'thing')}${released && ' (released since)'}</span>
    </li>`,
  );
  return panel(
    'Held',
    rows.length === 0
      ? html`<p>${plural(plan.held, 'thing')} that would go: <a class="link" href="/governance/holds">holds</a> keep them.</p>`
      : html`<ul class="plain lines">${rows}</ul>`,
    { id: 'held', aside: html`<span class="muted small">${plural(plan.held, 'thing')} that would go</span>` },
  );
}

function binPanel(view: View, { bin, plan }: PlanPage): Html | null {
  if (plan.state !== 'applied' || plan.record === null || isNothing(plan.record.binned)) return null;
  return panel(
    'Still in the bin',
    bin === null ? html`<p>Nothing any more: it was purged, or deleted otherwise.</p>` : binLines(view, bin),
    { id: 'bin' },
  );
}

function applyPanel(view: View, plan: PlanView): Html {
  const { id, digest, bin, purge, bytes, held } = plan;
  const body = html`<div class="stack">
    <dl class="facts wide">
      ${fact('Into the bin', html`<b>${countsText(bin)}</b>`)} ${fact('Purged', html`<b>${countsText(purge)}</b>`)}
      ${fact('Size', size(bytes))} ${fact('Held', held === 0 ? 'nothing that would go' : `${plural(held, 'thing')}, which stay`)}
      ${fact('Digest', html`<code class="breakable">${digest}</code>`)}
    </dl>
    <p>
      ${isNothing(bin) ? '' : 'What goes to the bin is not seen by anybody from then on, and can be taken back until a plan purges it. '}${isNothing(purge) ? '' : 'What is purged is gone for ever, at once, and its keys with it; no undo brings it back. That is what lay in the bin for its days, and what its policy gives no bin (0 days).'}
    </p>
    <form method="post" action="${URL}/${id}/apply" class="row">
      ${csrfField(view)}${hiddenFields({ digest })}<button class="btn ${isNothing(purge) ? 'main' : 'danger'}" name="step" value="apply" ${flag('autofocus', true)}>Apply plan</button
      ><a class="btn" href="${URL}/${id}">Cancel</a>
    </form>
  </div>`;
  return panel('Plan: Apply plan', body, { id: 'confirm' });
}

function undoPanel(view: View, { plan, bin }: PlanPage): Html {
  const body = html`<div class="stack">
    <p>
      ${bin === null ? 'Nothing of this run lies in the bin any more.' : html`<b>${countsText(countsOfBin(bin.entries))}</b> come out of the bin, and whoever could read them reads them again. What was purged stays gone.`}
    </p>
    <form method="post" action="${URL}/${plan.id}/undo" class="row">
      ${csrfField(view)}<button class="btn main" name="step" value="apply" ${flag('autofocus', true)}>Take back</button
      ><a class="btn" href="${URL}/${plan.id}">Cancel</a>
    </form>
  </div>`;
  return panel('Plan: Take back', body, { id: 'confirm' });
}

import type {
  CriterionDocument,
  EvidenceDocument,
  HandoffDocument,
  ItemDocument,
  OverrideDocument,
} from '../../../work-items/documents.ts';
import { absolute, isWebUrl, short, shortId } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import type { Viewer } from './item-page.ts';
import { chip, icon, panel, time, type IconName, type Tone, type View } from './parts.ts';

/** What shows that work is done: criteria with evidence, handoffs, approvals, overrides. */

const STATUS: Record<CriterionDocument['status'], { icon: IconName; tone: Tone; word: string }> = {
  // Whether it counts is for the gate `criteria-met` to say: a pack may trust few.
  met: { icon: 'tick', tone: 'ok', word: 'passed' },
  failed: { icon: 'cross', tone: 'bad', word: 'failed' },
  waived: { icon: 'shield', tone: 'warn', word: 'waived' },
  'not-recorded': { icon: 'dash', tone: 'plain', word: 'evidence not recorded' },
};

export function criteriaPanel(view: View, item: ItemDocument, viewer: Viewer): Html | null {
  const { criteria } = item;
  if (criteria.length === 0) return null;
  const shown = criteria.filter(({ status }) => status === 'met' || status === 'waived').length;
  const open = item.lane === 'executing' || item.lane === 'review';
  return panel(
    'Criteria and evidence',
    html`<ol class="criteria">
      ${criteria.map((criterion) => criterionRow(view, item.id, criterion, open ? viewer : null))}
    </ol>`,
    {
      id: 'criteria',
      bare: true,
      aside: html`<span class="muted small">${shown} of ${criteria.length} shown</span>
        <progress
          max="${criteria.length}"
          value="${shown}"
          aria-label="${shown} of ${criteria.length} criteria have evidence or a waiver"
        ></progress>`,
    },
  );
}

function criterionRow(view: View, itemId: string, criterion: CriterionDocument, viewer: Viewer | null): Html {
  const { number, text, status, evidence, waiver } = criterion;
  const mark = STATUS[status];
  const step = (act: string, label: string) =>
    html`<a
      class="link"
      href="/items/${itemId}?act=${act}&amp;kind=criterion&amp;criterion=${number}#act-${act}"
      aria-label="${label} for criterion ${number}"
      >${label}</a
    >`;
  const steps =
    status === 'met' || !viewer
      ? []
      : [
          viewer.permissions.has('factory.work-item.submit-evidence') &&
            step('submit-evidence', 'Submit evidence'),
          status !== 'waived' &&
            viewer.permissions.has('factory.work-item.review') &&
            step('waive-criterion', 'Waive'),
        ];
  return html`<li id="criterion-${number}">
    <span class="${mark.tone}">${icon(view, mark.icon)}</span>
    <div>
      <p><span class="mono muted">${number}</span> ${text}</p>
      <p class="muted small row"><span class="${mark.tone}">${mark.word}</span>${steps}</p>
      ${
        evidence.length > 0 &&
        html`<ul class="plain small">
          ${evidence.map((one) => evidenceLine(view, one))}
        </ul>`
      }
      ${waiver && html`<p class="small">Waived by ${waiver.by}, ${time(view, waiver.at)}: ${waiver.reason}</p>`}
    </div>
  </li> `;
}

/** Result, commit, producer with trust, time. */
function evidenceLine(view: View, evidence: EvidenceDocument): Html {
  const { result, commit, producer, trust, at, url, note, scriptDigest } = evidence;
  const mark = result === 'passed' ? STATUS.met : STATUS.failed;
  return html`<li>
    <span class="${mark.tone}">${icon(view, mark.icon)} ${result}</span
    >${commit && html` at <code title="${commit}">${short(commit)}</code>`} · ${producer}
    <span class="muted">(trust: ${trust})</span> ·
    ${time(view, at)}${
      scriptDigest && html` · script <code title="${scriptDigest}">${short(scriptDigest)}</code>`
    }${url && (isWebUrl(url) ? html` · <a class="link" href="${url}" rel="noreferrer">source</a>` : html` · ${url}`)}${note && html`<br /><span class="muted">${note}</span>`}
  </li> `;
}

export function evidencePanel(view: View, { evidence }: ItemDocument): Html | null {
  if (evidence.length === 0) return null;
  return panel(
    'Validation and attestations',
    html`<ul class="plain lines">
      ${evidence.map(
        (one) =>
          html`<li>
            <p class="strong">${one.kind}</p>
            <ul class="plain">
              ${evidenceLine(view, one)}
            </ul>
          </li>`,
      )}
    </ul>`,
  );
}

export function handoffsPanel(view: View, item: ItemDocument): Html | null {
  const handoffs = [...(item.handoff ? [item.handoff] : []), ...item.pastHandoffs.toReversed()];
  if (handoffs.length === 0) return null;
  return panel(
    'Handoffs',
    html`<ul class="plain lines">
      ${handoffs.map((handoff) => handoffRow(view, handoff, handoff === item.handoff))}
    </ul>`,
  );
}

function handoffRow(view: View, handoff: HandoffDocument, open: boolean): Html {
  const { id, state, queuedBy, queuedAt, holder, claimedAt, endedAt, adopted } = handoff;
  return html`<li>
    <p>
      ${chip(view, open ? 'info' : 'plain', open ? 'clock' : 'dash', state)}
      ${holder === null ? 'nobody has claimed it yet' : html`held by <b>${holder}</b>`}
    </p>
    <p class="muted small">
      <code title="${id}">${shortId(id)}</code> ·
      ${adopted ? 'adopted from the import' : `queued by ${queuedBy ?? 'nobody on record'}`}
      ${time(view, queuedAt)}${
        claimedAt && html` · claimed ${time(view, claimedAt)}`
      }${endedAt && html` · ended ${time(view, endedAt)}`}
    </p>
  </li> `;
}

export function approvalsPanel(view: View, { approvals, release }: ItemDocument): Html | null {
  if (approvals.length === 0 && release === null) return null;
  return panel(
    'Approvals and release',
    html`<ul class="plain lines">
      ${approvals.map(
        ({ by, commit, note, at }) =>
          html`<li>
            ${icon(view, 'tick', 'ok')} Approved by
            <b>${by}</b>${commit && html` at <code title="${commit}">${short(commit)}</code>`} ·
            ${time(view, at)}${note && html`<br /><span class="muted small">${note}</span>`}
          </li>`,
      )}${release && html`<li>${icon(view, 'tick', 'ok')} Release prepared by <b>${release.by}</b> · ${time(view, release.at)}${release.pr && html` · <span class="breakable">${release.pr}</span>`}</li>`}
    </ul>`,
  );
}

export function overridesPanel(view: View, { overrides }: ItemDocument): Html | null {
  if (overrides.length === 0) return null;
  return panel(
    'Overrides',
    html`<ul class="plain lines">
      ${overrides.map(
        (override) =>
          html`<li>
            <p>
              ${chip(view, override.state === 'in-force' ? 'warn' : 'plain', 'shield', OVERRIDE_WORD[override.state])}
              <code>${override.gate}</code> for <code>${override.action}</code> until ${time(view, override.until)}
            </p>
            <p>${override.reason}</p>
            <p class="muted small">
              ${override.by} · ${time(view, override.at)} · ${secondPart(view, override)}
            </p>
          </li>`,
      )}
    </ul>`,
  );
}

const OVERRIDE_WORD: Record<OverrideDocument['state'], string> = {
  'waiting-for-person': 'not in force yet',
  'waiting-until': 'not in force yet',
  'in-force': 'in force',
  ended: 'ended',
};

/** Who or what stands for the second person, whom an override alone still waits for, or did not get. */
function secondPart(view: View, { state, from, secondedBy }: OverrideDocument): Child {
  if (secondedBy !== null) return `seconded by ${secondedBy}`;
  if (state === 'waiting-for-person') return 'waits for a second person';
  if (from === null) return 'nobody seconded it';
  const verb = { 'waiting-until': 'counts', 'in-force': 'counts', ended: 'counted' }[state];
  return html`${verb} without a second person from <time datetime="${from}">${absolute(from)}</time> on`;
}

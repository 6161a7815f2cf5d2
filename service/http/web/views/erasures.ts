import type { Certificate, Counts } from '../../../chat/erasure/erasure.ts';
import type { ErasureView } from '../../../chat/erasure/erasures.ts';
import { plural, size } from '../format.ts';
import { attribute, html, type Html } from '../html.ts';
import { erasurePlanPanel, type PlanShown } from './erasure-plan.ts';
import type { InputProblem } from './fields.ts';
import { partsNav } from './governance.ts';
import { governanceField } from './holds.ts';
import { chip, csrfField, fact, inlineCommand, panel, time, twin, type View } from './parts.ts';
import { authorName } from './sessions.ts';

/** `/governance/erasures` and the page of one. */

type Input = Record<string, string>;

export interface ErasuresPage {
  erasures: ErasureView[];
  nextCursor: string | null;
  mayManage: boolean;
  names: ReadonlyMap<string, string>;
  /** What was filled in and waits for its confirmation. */
  plan: PlanShown | null;
  form: { input: Input; problems: InputProblem[] } | null;
}

export function erasuresPage(view: View, page: ErasuresPage): Html {
  const { erasures, nextCursor, mayManage, names, plan } = page;
  const list =
    erasures.length === 0
      ? html`<div class="empty">
          <p class="strong">Nobody was erased yet</p>
          <p>
            An erasure takes away all that is about a subject, then its name and its keys, and leaves a signed certificate.
          </p>
        </div>`
      : html`<ul class="plain lines">${erasures.map((one) => row(view, one, names))}</ul>${
          nextCursor !== null &&
          html`<p class="more"><a class="link" href="/governance/erasures?${new URLSearchParams({ cursor: nextCursor }).toString()}">Older erasures</a></p>`
        }`;
  return html`<div class="row head"><h1>Erasures</h1></div>
    <div class="stack">${partsNav('/governance/erasures')} ${plan && erasurePlanPanel(view, plan)}
      <div class="${mayManage ? 'two' : ''}">
      <div class="stack">
        ${panel('Erasures', list, { bare: erasures.length === 0 })}
        ${twin(view, { curl: 'curl "$FACTORY_URL/api/governance/erasures" -H "Authorization: Bearer $FACTORY_TOKEN"', cli: 'npx factory governance erasures' })}
      </div>
      ${mayManage && html`<div class="stack">${panel('Erase a subject', form(view, page.form), { id: 'erase' })} ${panel('Subject access report', reportForm(), { id: 'report' })}</div>`}
    </div>
    </div>`;
}

function statusChip(view: View, status: ErasureView['status']): Html {
  if (status === 'running') return chip(view, 'info', 'clock', 'running');
  return status === 'done'
    ? chip(view, 'ok', 'tick', 'done')
    : chip(view, 'warn', 'triangle', 'waits for a hold');
}

function row(view: View, erasure: ErasureView, names: ErasuresPage['names']): Html {
  const { id, status, reason, requestedAt, requestedBy } = erasure;
  return html`<li>
    ${statusChip(view, status)} <a class="strong" href="/governance/erasures/${id}">${reason}</a><br /><span
      class="small muted"
      >asked for ${time(view, requestedAt)} by ${authorName(names, requestedBy)}</span
    >
  </li>`;
}

function form(view: View, given: ErasuresPage['form']): Html {
  const fields = [
    {
      name: 'subjectId',
      label: 'Subject',
      hint: 'The name that the sessions were written with, letter by letter.',
    },
    { name: 'reason', label: 'Reason', hint: 'Kept for ever; the subject’s name in it is replaced.' },
  ];
  return html`<form method="post" action="/governance/erasures" class="stack">
    ${csrfField(view)}
    ${fields.map((field) => governanceField({ ...field, type: 'text', required: true, idPrefix: 'erase' }, given))}
    <p><button class="btn main" name="step" value="plan">Erase subject</button></p>
  </form>`;
}

/** What the API answers is the file. */
function reportForm(): Html {
  return html`<form action="/api/governance/subjects/report" class="stack">
    <div class="field">
      <label for="report-subject">Subject</label
      ><input type="text" id="report-subject" name="subjectId" required maxlength="1000" autocomplete="off" aria-describedby="report-hint" />
      <p class="muted small" id="report-hint">Everything that is there about it, one JSON document a line.</p>
    </div>
    <p><button class="btn">Open report</button></p>
  </form>`;
}

const POLL = 'every 2s';

/** One erasure; while it runs it looks again by itself, and a reload does the same. */
export function erasurePage(view: View, erasure: ErasureView, names: ErasuresPage['names']): Html {
  const { id, status, reason, subject, requestedAt, requestedBy, finishedAt, certificate } = erasure;
  const running = status === 'running';
  const facts = html`<dl class="facts">
    ${fact('Status', statusChip(view, status))} ${fact('Reason', reason)} ${fact('Subject', html`<code class="breakable">${subject}</code>`)}
    ${fact('Asked for', html`${time(view, requestedAt)} by ${authorName(names, requestedBy)}`)}
    ${finishedAt !== null && fact('Ended', time(view, finishedAt))}
  </dl>`;
  return html`<div class="row head"><h1>Erasure</h1></div>
    <div class="stack">
      ${partsNav('/governance/erasures')}
      <div
        class="stack"
        id="erasure"
        ${running && attribute('hx-get', `/governance/erasures/${id}`)}
        ${running && attribute('hx-trigger', POLL)}
        ${running && attribute('hx-select', '#erasure')}
      >
        ${panel('What was asked for', facts)}
        ${
          running
            ? panel(
                'Under way',
                html`<p>It goes on in the background, also after a restart. You can leave this page and come back.</p>`,
              )
            : certificate && certificatePanel(view, id, certificate)
        }
      </div>
      ${twin(view, { curl: `curl "$FACTORY_URL/api/governance/erasures/${id}" -H "Authorization: Bearer $FACTORY_TOKEN"`, cli: `npx factory governance erasures ${id}` })}
    </div>`;
}

const COUNTED: [keyof Omit<Counts, 'bytes'>, string][] = [
  ['sessions', 'session'],
  ['messages', 'message'],
  ['attachments', 'attachment'],
  ['titles', 'title'],
];

function certificatePanel(view: View, id: string, { erased, kept, backups }: Certificate): Html {
  const { total } = erased;
  const body = html`<p>
      Erased: ${COUNTED.map(([name, word], n) => html`${n > 0 && ', '}${plural(total[name], word)}`)}, ${size(total.bytes)}, and
      ${plural(total.quarantined, 'original')} in quarantine.
    </p>
    <h3>Kept</h3>
    <ul class="plain">
      ${kept.map(({ what, count, why }) => html`<li>${count === undefined ? what : plural(count, what.replace(/s$/, ''), what)}: ${why}</li>`)}
    </ul>
    <h3>Backups</h3>
    <p>${backups.unreadableFrom !== null && html`Unreadable in older backups: ${time(view, backups.unreadableFrom)}. `}${backups.why}</p>
    <p><a class="btn main" href="/governance/erasures/${id}/certificate">Download certificate</a></p>
    <p class="small">
      Check it anywhere, without this installation:
      ${inlineCommand(`node scripts/verify-certificate.mjs erasure-certificate-${id}.json --key audit-log.vkey`)}
    </p>`;
  return panel('Certificate', body, { id: 'certificate' });
}

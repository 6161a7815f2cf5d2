import type { Covered, HoldView } from '../../../chat/holds/holding.ts';
import { plural, size } from '../format.ts';
import { attribute, flag, html, type Child, type Html } from '../html.ts';
import type { InputProblem } from './fields.ts';
import { partsNav } from './governance.ts';
import { chip, csrfField, fact, hiddenFields, notice, panel, time, twin, type View } from './parts.ts';
import { authorName } from './sessions.ts';

/** `/governance/holds`. */

type Input = Record<string, string>;

export interface HoldsPage {
  holds: HoldView[];
  nextCursor: string | null;
  /** Released ones are listed, too. */
  released: boolean;
  mayManage: boolean;
  names: ReadonlyMap<string, string>;
  /** What was filled in and waits for its confirmation. */
  plan: { input: Input; covered: Covered } | null;
  releasing: HoldView | null;
  form: { input: Input; problems: InputProblem[] } | null;
}

export function holdsPage(view: View, page: HoldsPage): Html {
  const { holds, released, nextCursor, mayManage, plan, releasing } = page;
  const other = released
    ? html`<a class="link" href="/governance/holds">Only those in force</a>`
    : html`<a class="link" href="/governance/holds?released=true">Released ones, too</a>`;
  return html`<div class="row head">
      <h1>Holds</h1>
      <span class="muted small">what is kept from every deletion: by people, by retention and by erasure</span>
    </div>
    <div class="stack">
      ${partsNav('/governance/holds')} ${plan && planPanel(view, plan)} ${releasing && releasePanel(view, releasing)}
      <div class="${mayManage ? 'two' : ''}">
      <div class="stack">
        ${
          holds.length === 0
            ? panel('Holds', empty(mayManage), { bare: true, aside: other })
            : panel(
                'Holds',
                html`<ul class="plain lines">${holds.map((hold) => row(view, hold, page))}</ul>${
                  nextCursor !== null &&
                  html`<p class="more"><a class="link" href="/governance/holds?${new URLSearchParams({ cursor: nextCursor, ...(released ? { released: 'true' } : {}) }).toString()}">Older holds</a></p>`
                }`,
                { aside: other },
              )
        }
        ${twin(view, { curl: 'curl "$FACTORY_URL/api/governance/holds" -H "Authorization: Bearer $FACTORY_TOKEN"', cli: 'npx factory governance holds' })}
      </div>
      ${mayManage && html`<div class="stack">${panel('Place a hold', form(view, page.form), { id: 'place' })}</div>`}
    </div>
    </div>`;
}

function empty(mayManage: boolean): Html {
  return html`<div class="empty">
    <p class="strong">Nothing is held</p>
    <p>
      A hold keeps content, for a dispute or an inquiry, however old it gets and whoever asks for its deletion.
      ${mayManage && html`<a class="link" href="#place">Place one here.</a>`}
    </p>
  </div>`;
}

/** What it covers, in words. */
function coverage({ subject, subjectId, sessionId, class: kind, from, to }: HoldView): Child {
  const parts: Child[] = [];
  if (subject !== null) parts.push(html`about ${subjectId ?? html`subject <code>${subject}</code>`}`);
  if (sessionId !== null) parts.push(html`of <a class="link" href="/sessions/${sessionId}">one session</a>`);
  if (kind !== null) parts.push(html`in class <code>${kind}</code>`);
  if (from !== null) parts.push(html`from ${from.slice(0, 10)}`);
  if (to !== null) parts.push(html`to ${to.slice(0, 10)}`);
  return parts.length === 0 ? 'everything' : parts.map((part, n) => (n === 0 ? part : html`, ${part}`));
}

function row(view: View, hold: HoldView, { mayManage, names }: HoldsPage): Html {
  const { id, reason, placedBy, placedAt, releasedAt, releasedBy } = hold;
  return html`<li class="row" id="hold-${id}">
    <span
      >${releasedAt === null ? chip(view, 'info', 'shield', 'in force') : chip(view, 'plain', 'dash', 'released')}
      <span class="strong">${reason}</span><br /><span class="small">Keeps ${coverage(hold)}</span><br /><span class="small muted"
        >placed ${time(view, placedAt)} by ${authorName(names, placedBy)}${
          releasedAt !== null &&
          html`, released ${time(view, releasedAt)} by ${authorName(names, releasedBy ?? '')}`
        }</span
      ></span
    >
    ${
      mayManage &&
      releasedAt === null &&
      html`<form class="push" method="post" action="/governance/holds/${id}/release">
        ${csrfField(view)}<button class="btn small" aria-label="Release hold: ${reason}">Release</button>
      </form>`
    }
  </li>`;
}

function planPanel(view: View, { input, covered }: NonNullable<HoldsPage['plan']>): Html {
  const { sessions, messages, bytes } = covered;
  const fields = Object.fromEntries(FIELDS.map(({ name }) => [name, input[name] ?? '']));
  const said = FIELDS.filter(({ name }) => fields[name] !== '');
  const body = html`<div class="stack">
    <dl class="facts">${said.map(({ name, label }) => fact(label, fields[name]))}</dl>
    ${
      messages === 0
        ? notice(
            ...([
              view,
              'warn',
              `Nothing that is here now is covered.${fields['subjectId'] === '' ? '' : ' Is the name right?'}`,
            ] as const),
            html`<p>What is written later and fits will be.${fields['subjectId'] !== '' && ' Names are compared letter by letter.'}</p>`,
          )
        : html`<p>
            It covers <b>${plural(messages, 'message')}</b> of ${plural(sessions, 'session')} (${size(bytes)}) that are here now, and what is
            written later and fits.
          </p>`
    }
    <p>Nobody can delete what is held until the hold is released; the reason is kept for ever.</p>
    <form method="post" action="/governance/holds" class="row">
      ${csrfField(view)}${hiddenFields(fields)}<button class="btn main" name="step" value="apply" autofocus>Place hold</button
      ><a class="btn" href="/governance/holds">Cancel</a>
    </form></div>`;
  return panel('Plan: Place hold', body, { id: 'plan' });
}

function releasePanel(view: View, hold: HoldView): Html {
  const body = html`<p>
      “${hold.reason}” keeps ${coverage(hold)}. Its release deletes nothing by itself, but what it alone kept can be deleted again, and
      an erasure that waited for it goes on at once.
    </p>
    <form method="post" action="/governance/holds/${hold.id}/release" class="row">
      ${csrfField(view)}<button class="btn main" name="step" value="apply" autofocus>Release</button
      ><a class="btn" href="/governance/holds">Cancel</a>
    </form>`;
  return panel('Release this hold?', body, { id: 'plan' });
}

const FIELDS = [
  {
    name: 'reason',
    label: 'Reason',
    type: 'text',
    hint: 'Kept for ever; a name of the subject in it is replaced.',
  },
  { name: 'subjectId', label: 'About whom', type: 'text', hint: 'Empty: about anybody.' },
  { name: 'sessionId', label: 'Session', type: 'text', hint: 'Its id. Empty: any session.' },
  { name: 'class', label: 'Class', type: 'text', hint: 'Empty: any class.' },
  { name: 'from', label: 'Written from', type: 'date', hint: 'The whole day, UTC.' },
  { name: 'to', label: 'Written until', type: 'date', hint: 'The whole day, UTC.' },
] as const;

function form(view: View, given: HoldsPage['form']): Html {
  return html`<form method="post" action="/governance/holds" class="stack">
    ${csrfField(view)}
    ${FIELDS.map(({ name, label, type, hint }) =>
      governanceField({ name, label, type, hint, required: name === 'reason', idPrefix: 'hold' }, given),
    )}
    <p><button class="btn main" name="step" value="plan">Place hold</button></p>
  </form>`;
}

/** A field with its hint, and its problems beside it. */
export function governanceField(
  field: { name: string; label: string; type: string; hint: string; required: boolean; idPrefix: string },
  given: { input: Input; problems: InputProblem[] } | null,
): Html {
  const { name, label, type, hint, required } = field;
  const id = `${field.idPrefix}-${name}`;
  const problems = (given?.problems ?? []).filter(({ path }) => path === name);
  const wrong = problems.length > 0;
  return html`<div class="field">
    <label for="${id}">${label}</label
    ><input
      type="${type}"
      id="${id}"
      name="${name}"
      maxlength="1000"
      value="${given?.input[name]}"
      autocomplete="off"
      ${flag('required', required)}${wrong && html` aria-invalid="true"`}${attribute('aria-describedby', wrong ? `${id}-problem` : `${id}-hint`)}
    />
    <p class="muted small" id="${id}-hint">${hint}</p>
    ${wrong && html`<p class="bad small" id="${id}-problem">${problems.map(({ message }) => message).join(' ')}</p>`}
  </div>`;
}

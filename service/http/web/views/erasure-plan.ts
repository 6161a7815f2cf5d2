import type { ErasurePlan, PlannedSession } from '../../../chat/erasure/plan.ts';
import type { HoldView } from '../../../chat/holds/holding.ts';
import { plural, shortId, size } from '../format.ts';
import { attribute, flag, html, type Child, type Html } from '../html.ts';
import { chip, csrfField, fact, hiddenFields, notice, panel, type View } from './parts.ts';

/** What an erasure would take away, before it is asked for: counted, named, and what holds keep of it. */

export interface PlanShown {
  input: Record<string, string>;
  plan: ErasurePlan;
  /** Those that keep something. */
  holds: HoldView[];
  /** The name was typed otherwise. */
  mistyped: boolean;
}

export function erasurePlanPanel(view: View, shown: PlanShown): Html {
  const { plan } = shown;
  const body = html`<div class="stack">
    <dl class="facts wide">${counted(plan)} ${fact('Held back', heldText(shown))}</dl>
    ${classes(plan)} ${sessions(view, plan)} ${lost(view, plan)}
    <p>
      With them go the subject’s name, its keys, its words in the search index, and every grant to a session that goes. There is
      no bin. The audit log keeps ids and keyed digests; they tell nothing without the keys.
    </p>
    ${plan.erasure === null ? confirmForm(view, shown) : asked(view, plan.erasure)}</div>`;
  return panel('Plan: Erase subject', body, { id: 'plan' });
}

function counted({ erased: { total }, staying }: ErasurePlan): Html {
  return html`${fact(
    'Sessions',
    html`<b>${plural(total.sessions, 'session')}</b> as a whole${staying > 0 && html`; ${plural(staying, 'other')} ${staying === 1 ? 'stays' : 'stay'} without them`}`,
  )}
  ${fact('Messages', html`<b>${plural(total.messages, 'message')}</b> (${size(total.bytes)})`)}
  ${fact('Attachments', html`<b>${plural(total.attachments, 'attachment')}</b>`)}
  ${fact('Titles', html`<b>${plural(total.titles, 'title')}</b>`)}
  ${fact('Quarantine', html`<b>${plural(total.quarantined, 'original')}</b> that ${total.quarantined === 1 ? 'waits' : 'wait'} for a decision`)}`;
}

const HELD = [
  ['messages', 'message'],
  ['attachments', 'attachment'],
  ['quarantined', 'original in quarantine', 'originals in quarantine'],
  ['sessions', 'session or its title', 'sessions or their titles'],
] as const;

function heldText({ plan: { held }, holds }: PlanShown): Child {
  const parts = HELD.filter(([what]) => held[what] > 0).map(([what, one, many]) =>
    plural(held[what], one, many),
  );
  if (parts.length === 0) return 'nothing';
  const more = held.holds.length - holds.length;
  return html`<b>${parts.join(', ')}</b> until the release of ${holds.map(
    ({ id, reason }, n) =>
      html`${n > 0 && ', '}<a class="link" href="/governance/holds#hold-${id}">${reason}</a>`,
  )}${more > 0 && ` and ${plural(more, 'other hold')}`}; then it goes, too.`;
}

function classes({ erased: { byClass } }: ErasurePlan): Child {
  const all = Object.entries(byClass);
  if (all.length < 2) return null;
  return html`<div><h3>By class</h3>
    <ul class="plain">
      ${all.map(
        ([name, { sessions: whole, messages, attachments, titles }]) =>
          html`<li>
            <code>${name}</code>: ${plural(whole, 'session')}, ${plural(messages, 'message')}, ${plural(attachments, 'attachment')},
            ${plural(titles, 'title')}
          </li>`,
      )}
    </ul></div>`;
}

function sessions(view: View, { sample, erased, staying }: ErasurePlan): Child {
  if (sample.length === 0)
    return html`<p>Nothing that is here now is about it; its name and its keys go.</p>`;
  const all = erased.total.sessions + staying;
  return html`<details>
    <summary>${all > sample.length ? `The first ${sample.length} of ${plural(all, 'session')}` : plural(all, 'session')}</summary>
    <ul class="plain lines">${sample.map((one) => sessionLine(view, one))}</ul>
  </details>`;
}

function sessionLine(view: View, one: PlannedSession): Html {
  const { id, class: kind, goes, messages, attachments, quarantined, title, held } = one;
  const parts = [
    messages > 0 && plural(messages, 'message'),
    attachments > 0 && plural(attachments, 'attachment'),
    quarantined > 0 && `${quarantined} in quarantine`,
    title && 'its title',
  ].filter(Boolean);
  return html`<li class="row small">
    <a class="link mono" href="/sessions/${id}">${shortId(id)}</a> ${chip(view, 'plain', null, kind)}
    ${goes ? 'goes as a whole' : 'stays'}<span class="muted">${parts.join(', ') || 'empty'}</span>
    ${held > 0 && chip(view, 'info', 'shield', `${held} held`)}
  </li>`;
}

function confirmForm(view: View, { input, mistyped }: PlanShown): Html {
  const { subjectId = '', reason } = input;
  const described = mistyped ? 'erase-typed-problem' : null;
  return html`<form method="post" action="/governance/erasures" class="stack">
    ${csrfField(view)}${hiddenFields({ subjectId, reason })}
    <div class="field">
      <label for="erase-typed">Type the subject’s name again: <b>${subjectId}</b></label
      ><input type="text" id="erase-typed" name="typed" autocomplete="off" spellcheck="false" ${flag('required', true)}${flag('autofocus', true)}${mistyped && html` aria-invalid="true"`}${attribute('aria-describedby', described)} />
      ${mistyped && html`<p class="bad small" id="erase-typed-problem">This is not the subject’s name, letter by letter. Nothing was erased.</p>`}
    </div>
    <p class="row"><button class="btn main" name="step" value="apply">Erase subject</button><a class="btn" href="/governance/erasures">Cancel</a></p>
  </form>`;
}

function lost(view: View, { lostSubjects: n }: ErasurePlan): Child {
  if (n === 0) return null;
  const text = `The keys of ${plural(n, 'subject')} are lost, and with them the names.`;
  return notice(
    ...([view, 'warn', text] as const),
    html`<p>Whether content of before is about this one cannot be known. Nobody can read it; delete those sessions if they are to go.</p>`,
  );
}

function asked(view: View, id: string): Html {
  const way = html`<p><a class="link" href="/governance/erasures/${id}">Look at it</a></p>`;
  return notice(view, 'info', 'Its erasure was asked for already, and goes on by itself.', way);
}

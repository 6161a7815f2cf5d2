import type { GrantView } from '../../../chat/grants/granting.ts';
import { html, type Html } from '../html.ts';
import type { FrameView } from './frame.ts';
import { partsNav } from './governance.ts';
import { breakGlassForm, grantPlanPanel, shareForm, type GrantForms } from './grant-forms.ts';
import { clock, granteeName, grantRow, type GrantsAround } from './grant-rows.ts';
import { csrfField, notice, panel, twin, type View } from './parts.ts';

/** `/governance/grants`: who may read sessions that are not theirs, and break-glass. */

export type GrantStep = 'approve' | 'refuse' | 'end';

export interface GrantsPage extends GrantForms {
  grants: GrantView[];
  nextCursor: string | null;
  /** Ended ones are listed, too. */
  all: boolean;
  /** Those that open this session; empty: any. */
  session: string;
  mayManage: boolean;
  confirm: { step: GrantStep; grant: GrantView } | null;
  refusal: { title: string; text: string } | null;
  /** What was just done. */
  done: keyof typeof DONE | null;
}

export const GRANTS = '/governance/grants';

export const DONE = {
  made: 'They are let in.',
  asked: 'Break-glass is asked for.',
  approved: 'It is approved, and counts from now on.',
  refused: 'It is refused.',
  ended: 'It is ended.',
} as const;

export function grantsPage(view: FrameView, page: GrantsPage): Html {
  const { grants, mayManage, names } = page;
  const around = { base: GRANTS, names, mayManage, ownsSession: false };
  const waiting = grants.filter(({ state }) => state === 'requested');
  const others = grants.filter(({ state }) => state !== 'requested');
  return html`<div class="row head">
      <h1>Grants</h1>
      <span class="muted small">who reads sessions that are not theirs</span>
    </div>
    <div class="stack">
      ${partsNav(GRANTS)} ${notices(view, page, around)} ${grantPlanPanel(view, page, GRANTS)}
      <div class="${mayManage ? 'two' : ''}">
        <div class="stack">
          ${waiting.length > 0 && panel('Waiting for another owner', list(view, waiting, around), { id: 'waiting' })}
          ${listPanel(view, page, others, around)}
          ${twin(view, { curl: 'curl "$FACTORY_URL/api/governance/grants?open=true" -H "Authorization: Bearer $FACTORY_TOKEN"', cli: 'npx factory governance grants --open' })}
        </div>
        ${
          mayManage &&
          html`<div class="stack">
            ${panel('Break-glass', breakGlassForm(view, page, page.session), { id: 'break-glass' })}
            ${panel('Let somebody in', shareForm(view, page, null, page.session), { id: 'share' })}
          </div>`
        }
      </div>
    </div>`;
}

const list = (view: FrameView, grants: GrantView[], around: GrantsAround): Html =>
  html`<ul class="plain lines">${grants.map((grant) => grantRow(view, grant, around))}</ul>`;

export function notices(
  view: View,
  { done, refusal, confirm }: Pick<GrantsPage, 'done' | 'refusal' | 'confirm'>,
  around: GrantsAround,
): Html {
  return html`${done && notice(view, 'ok', DONE[done], null, 'result')}
  ${refusal && notice(view, 'bad', refusal.title, html`<p>${refusal.text}</p>`, 'result')}
  ${confirm && confirmNotice(view, confirm, around)}`;
}

function listPanel(view: FrameView, page: GrantsPage, grants: GrantView[], around: GrantsAround): Html {
  const { all, session, nextCursor } = page;
  const url = (change: Record<string, string>): string => {
    const query = new URLSearchParams({
      ...(session === '' ? {} : { session }),
      ...(all ? { all: 'true' } : {}),
      ...change,
    });
    for (const [name, value] of [...query]) if (value === '') query.delete(name);
    return query.size === 0 ? GRANTS : `${GRANTS}?${query.toString()}`;
  };
  const aside = html`<span class="row"
    >${session !== '' && html`<a class="link" href="${url({ session: '' })}">Any session</a>`}
    ${all ? html`<a class="link" href="${url({ all: '' })}">Only those in force</a>` : html`<a class="link" href="${url({ all: 'true' })}">Ended ones, too</a>`}</span
  >`;
  const title = session === '' ? 'Grants' : 'Grants of one session';
  if (grants.length === 0) return panel(title, empty(page), { bare: true, aside });
  const more =
    nextCursor !== null &&
    html`<p class="more"><a class="link" href="${url({ cursor: nextCursor })}">Older grants</a></p>`;
  return panel(title, html`${list(view, grants, around)}${more}`, { aside });
}

function empty({ all, session }: GrantsPage): Html {
  return html`<div class="empty">
    <p class="strong">Nobody ${all ? 'was' : 'is'} let into ${session === '' ? 'a session that is not theirs' : 'this session'}</p>
    <p>
      Whose session it is lets a person or the team read it until a time: on the session’s page, by Share. A grant ends by itself,
      and each reading stands in the audit log.
    </p>
  </div>`;
}

const QUESTIONS: Record<GrantStep, { title: string; label: string; tone: 'main' | 'danger' }> = {
  approve: { title: 'Approve break-glass?', label: 'Approve', tone: 'main' },
  refuse: { title: 'Refuse break-glass?', label: 'Refuse', tone: 'danger' },
  end: { title: 'End this grant?', label: 'End', tone: 'danger' },
};

function confirmNotice(
  view: View,
  { step, grant }: NonNullable<GrantsPage['confirm']>,
  { base, names }: GrantsAround,
): Html {
  const { id, grantee, sessionId, expiresAt, reason, state } = grant;
  const { title, label, tone } = QUESTIONS[step];
  const who = granteeName(names, grantee);
  const what =
    sessionId === null
      ? 'every session'
      : html`<a class="link" href="/sessions/${sessionId}">one session</a>`;
  const text = {
    approve: html`${who} then reads ${what}, from now on until ${clock(view, expiresAt)}. Reason: “${reason}”`,
    refuse: html`${who} does not read ${what}, and can ask again. Reason that was given: “${reason}”`,
    end: html`${who} reads ${what} no more, from now on. What was read stays in the audit log.`,
  }[step];
  return notice(
    view,
    'warn',
    step === 'end' && state === 'requested' ? 'Take this request back?' : title,
    html`<p>${text}</p>
      <form method="post" action="${base}/${id}/${step}" class="row">
        ${csrfField(view)}<button class="btn ${tone}" name="step" value="apply" autofocus>${step === 'end' && state === 'requested' ? 'Take back' : label}</button
        ><a class="btn" href="${base}">Not now</a>
      </form>`,
    'confirm',
  );
}

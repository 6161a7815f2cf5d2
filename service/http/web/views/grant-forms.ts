import type { GrantPlan } from '../../../chat/grants/granting.ts';
import type { BreakGlassTerms } from '../../../chat/grants/new-grant.ts';
import { duration } from '../format.ts';
import { attribute, flag, html, type Child, type Html } from '../html.ts';
import { DURATIONS, type GrantKind } from '../grant-times.ts';
import type { InputProblem } from './fields.ts';
import { clock, granteeName, TEAM } from './grant-rows.ts';
import { governanceField } from './holds.ts';
import { csrfField, fact, hiddenFields, panel, type View } from './parts.ts';

/** Letting somebody in, and asking for break-glass: the forms, and what they show before anything is done. */

type Input = Record<string, string>;

export interface GrantForms {
  /** Where they go. */
  action: string;
  names: ReadonlyMap<string, string>;
  /** Whom one can let in. */
  people: { id: string; name: string; roles: readonly string[] }[];
  terms: BreakGlassTerms;
  /** What was filled in and is wrong. */
  form: { kind: GrantKind; input: Input; problems: InputProblem[] } | null;
  plan: { input: Input; plan: GrantPlan } | null;
}

const LABEL: Record<GrantKind, string> = { session: 'Let in', 'break-glass': 'Ask for break-glass' };

/** `session` given: of that one. */
export function shareForm(view: View, forms: GrantForms, session: string | null, given: string): Html {
  const filled = forms.form?.kind === 'session' ? forms.form : null;
  const prefilled = filled ?? { input: { sessionId: given }, problems: [] };
  const people: [string, string][] = forms.people.map(({ id, name, roles }) => [
    id,
    `${name} · ${roles.join(', ')}`,
  ]);
  return html`<form method="post" action="${forms.action}" class="stack">
    ${csrfField(view)}${hiddenFields({ kind: 'session', sessionId: session })}
    ${
      session === null &&
      governanceField(
        {
          name: 'sessionId',
          label: 'Session',
          type: 'text',
          hint: 'Its id.',
          required: true,
          idPrefix: 'share',
        },
        prefilled,
      )
    }
    ${choice('share', 'grantee', 'Whom', [[TEAM, 'The team: owners, planners, reviewers'], ...people], filled)}
    ${lasts('share', 'session', filled)}
    ${governanceField({ name: 'reason', label: 'Reason', type: 'text', hint: 'Seen by whom it concerns.', required: true, idPrefix: 'share' }, filled)}
    <p><button class="btn main" name="step" value="plan">${LABEL.session}</button></p>
  </form>`;
}

export function breakGlassForm(view: View, forms: GrantForms, session: string): Child {
  const { terms } = forms;
  if (!terms.on)
    return html`<p>
        The policy lets owners read every session, so there is no glass to break. Where <code>breakGlass</code> is on, an owner reads
        sessions of others only for a reason, for a day at most, and with another owner’s consent.
      </p>
      <p><a class="link" href="/governance/policies">Policies in force</a></p>`;
  const filled = forms.form?.kind === 'break-glass' ? forms.form : null;
  const prefilled = filled ?? { input: { sessionId: session }, problems: [] };
  return html`<form method="post" action="${forms.action}" class="stack">
    ${csrfField(view)}${hiddenFields({ kind: 'break-glass' })}
    <p>Sessions of others are hidden from owners. ${secondPart(terms)}</p>
    ${governanceField({ name: 'sessionId', label: 'Session', type: 'text', hint: 'Its id. Empty: every session.', required: false, idPrefix: 'glass' }, prefilled)}
    ${lasts('glass', 'break-glass', filled)}
    ${governanceField({ name: 'reason', label: 'Reason', type: 'text', hint: 'Seen by the other owners and by whose session it is.', required: true, idPrefix: 'glass' }, filled)}
    <p><button class="btn main" name="step" value="plan">${LABEL['break-glass']}</button></p>
  </form>`;
}

const secondPart = ({ preset, waitSeconds }: BreakGlassTerms): string =>
  preset === 'solo'
    ? `You are alone in charge, so a waiting time of ${duration(waitSeconds)} stands in for a second owner.`
    : 'Another owner has to approve it.';

function lasts(prefix: string, kind: GrantKind, filled: GrantForms['form']): Html {
  const options = DURATIONS[kind].map(([seconds, text]): [string, string] => [String(seconds), text]);
  return choice(prefix, 'lasts', 'For how long', options, filled);
}

function choice(
  prefix: string,
  name: string,
  label: string,
  options: readonly [value: string, text: string][],
  filled: GrantForms['form'],
): Html {
  const id = `${prefix}-${name}`;
  const problems = (filled?.problems ?? []).filter(({ path }) => path === name);
  const wrong = problems.length > 0;
  return html`<div class="field">
    <label for="${id}">${label}</label
    ><select id="${id}" name="${name}" ${wrong && html` aria-invalid="true"`}${attribute('aria-describedby', wrong && `${id}-problem`)}>
      ${options.map(
        ([value, text]) =>
          html`<option value="${value}" ${flag('selected', value === filled?.input[name])}>${text}</option>`,
      )}
    </select>
    ${wrong && html`<p class="bad small" id="${id}-problem">${problems.map(({ message }) => message).join(' ')}</p>`}
  </div>`;
}

export function grantPlanPanel(view: View, forms: GrantForms, cancel: string): Html | null {
  if (forms.plan === null) return null;
  const { plan, input } = forms.plan;
  const { kind, sessionId, grantee, expiresAt, startsAt, state } = plan;
  const label = LABEL[kind];
  const isGlass = kind === 'break-glass';
  const waits = Date.parse(startsAt) > view.now && state === 'active';
  const session =
    sessionId === null
      ? 'every session'
      : html`<a class="link" href="/sessions/${sessionId}"><code>${sessionId}</code></a>`;
  const body = html`<div class="stack">
    <dl class="facts wide">
      ${fact('Who', isGlass ? 'you' : granteeName(forms.names, grantee))} ${fact('Reads', session)}
      ${fact('From', waits ? clock(view, startsAt) : state === 'requested' ? 'the approval of another owner on' : 'now on')}
      ${fact('Until', clock(view, expiresAt))} ${fact('Reason', input['reason'])}
    </dl>
    <p>
      ${
        isGlass
          ? html`${secondPart(forms.terms)} ${state === 'requested' && 'It ends at its time, however late that comes.'}`
          : 'They read it; they neither write nor delete nor let others in.'
      }
      Each reading stands in the audit log, and it can be ended at any time.
    </p>
    <form method="post" action="${forms.action}" class="row">
      ${csrfField(view)}${hiddenFields({ kind, sessionId, grantee: isGlass ? null : grantee, expiresAt, reason: input['reason'] })}
      <button class="btn main" name="step" value="apply" autofocus>${label}</button><a class="btn" href="${cancel}">Cancel</a>
    </form></div>`;
  return panel(`Plan: ${label}`, body, { id: 'plan' });
}

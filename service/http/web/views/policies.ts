import type { Switch } from '../../../chat/break-glass-off.ts';
import type { PolicyDocument, PolicyVersion } from '../../../chat/policies.ts';
import { KINDS, type ClassPolicy, type GeneralPolicy } from '../../../chat/policy.ts';
import type { Expiring } from '../../../chat/retention/retaining.ts';
import { plural, size } from '../format.ts';
import { attribute, flag, html, type Child, type Html } from '../html.ts';
import { QUOTAS, ROLES, SORTS, type Fields } from '../policy-form.ts';
import { differences, QUOTA_NAMES, SORT_NAMES, VERDICT_NAMES, type Difference } from '../policy-words.ts';
import { countsText, isNothing } from '../retention-words.ts';
import { pendingNotice, switchWords } from './break-glass-off.ts';
import type { FrameView } from './frame.ts';
import { keepingLines, partsNav } from './governance.ts';
import { chip, csrfField, fact, hiddenFields, notice, panel, time, twin, type View } from './parts.ts';
import { classFields, generalFields, type PolicyForm } from './policy-fields.ts';
import { authorName } from './sessions.ts';

/** `/governance/policies`, the page of a class, and the step that confirms a change. */

export const URL = '/governance/policies';
export const classUrl = (name: string): string => `${URL}/classes/${encodeURIComponent(name)}`;

export interface PoliciesPage {
  document: PolicyDocument;
  versions: PolicyVersion[];
  nextCursor: string | null;
  names: ReadonlyMap<string, string>;
  mayManage: boolean;
  form: PolicyForm;
  /** What was wrong with the name of a new class. */
  naming: { name: string; problem: string } | null;
  preset: 'solo' | 'team';
  done: keyof typeof DONE | null;
}

/** What was just done. */
export const DONE = {
  changed: 'The policies are changed.',
  asked: 'Break-glass is asked to go off; what else was changed is in force.',
  kept: 'Break-glass stays on.',
} as const;

export function policiesPage(view: FrameView, page: PoliciesPage): Html {
  const { document, mayManage, done } = page;
  return html`${head('Policies', document)}
    <div class="stack">
      ${partsNav(URL)} ${done && notice(view, 'ok', DONE[done], html`<p>Nothing was deleted by that.</p>`, 'result')}
      ${pendingNotice(view, document.pending, { ...page, me: view.principal?.personId })}
      <div class="two">
        ${panel('For all sessions', mayManage ? generalForm(view, page) : generalWords(view, document.general), { id: 'general' })}
        <div class="stack">
          ${Object.entries(document.classes).map(([name, one]) => classPanel(name, one, page))}
          ${mayManage && panel('Another class', namingForm(view, page.naming), { id: 'another' })}
        </div>
      </div>
      ${historyPanel(view, page)}
      ${twin(view, { curl: 'curl "$FACTORY_URL/api/governance/policies" -H "Authorization: Bearer $FACTORY_TOKEN"', cli: 'npx factory governance policies' })}
    </div>`;
}

function head(title: string, { version }: Pick<PolicyDocument, 'version'>): Html {
  return html`<div class="row head">
    <h1>${title}</h1>
    <span class="muted small">${version === 0 ? 'as installed' : `version ${version}`}</span>
  </div>`;
}

/** What is in force, for those who may not change it. */
function generalWords(view: View, { breakGlass, quotas, retention }: GeneralPolicy): Html {
  const limits = KINDS.filter(
    (kind) => retention[kind].floorDays !== null || retention[kind].ceilingDays !== null,
  );
  return html`<div class="stack"><dl class="facts wide">
      ${fact(
        'Who may read',
        breakGlass
          ? chip(view, 'info', 'shield', 'owners read sessions of others by break-glass only')
          : 'owners read all sessions',
      )}
      ${QUOTAS.map((name) => fact(QUOTA_NAMES[name], quotas[name]?.toLocaleString('en') ?? 'no limit'))}
    </dl>
    <p class="muted small">${limits.length === 0 ? 'Nothing limits what classes say about retention.' : 'The limits for all are counted in with the classes.'}</p></div>`;
}

function generalForm(view: View, { form, document }: PoliciesPage): Html {
  return html`<form method="post" action="${URL}" class="stack">
    ${csrfField(view)}${hiddenFields({ version: String(document.version) })}${problemsNotice(view, form)}
    ${generalFields(form)}
    <p><button class="btn main" name="step" value="plan">Change policies</button></p>
  </form>`;
}

/** What no field stands for is said above all. */
function problemsNotice(view: View, { problems, input }: PolicyForm): Child {
  const others = problems.filter(({ path }) => !Object.hasOwn(input, path));
  return (
    problems.length > 0 &&
    notice(
      view,
      'bad',
      'Nothing was changed.',
      html`<p>${others.length === 0 ? 'What is wrong stands beside the fields.' : others.map(({ path, message }) => `${path}: ${message}`).join(' ')}</p>`,
    )
  );
}

/** A class in sentences; how long it is kept is said within the limits for all. */
export function classWords(policy: ClassPolicy, general: GeneralPolicy): Html {
  const { sensitive } = policy;
  const exceptions = ROLES.flatMap((role) =>
    SORTS.flatMap((sort) => {
      const verdict = sensitive.roles[role]?.[sort];
      return verdict === undefined
        ? []
        : [`${SORT_NAMES[sort]} in messages of role ${role}: ${VERDICT_NAMES[verdict]}.`];
    }),
  );
  return html`${keepingLines(policy, general)}<ul class="plain">
    ${SORTS.map((sort) => html`<li>${SORT_NAMES[sort]}: ${VERDICT_NAMES[sensitive[sort]]}.</li>`)}
    ${exceptions.map((text) => html`<li>${text}</li>`)}
  </ul>`;
}

function classPanel(name: string, one: ClassPolicy, { document, mayManage }: PoliciesPage): Html {
  const body = html`${classWords(one, document.general)}
    ${name === 'general' && html`<p class="muted small aside">It stands for every class without a policy of its own.</p>`}`;
  const change = html`<a class="btn small" href="${classUrl(name)}" aria-label="Change class ${name}">Change</a>`;
  return panel(`Class ${name}`, body, { id: `class-${name}`, aside: mayManage && change });
}

function namingForm(view: View, naming: PoliciesPage['naming']): Html {
  const wrong = naming !== null;
  return html`<form method="post" action="${URL}/classes" class="stack">
    ${csrfField(view)}
    <div class="field">
      <label for="policy-name">Class</label
      ><input
        type="text"
        id="policy-name"
        name="name"
        maxlength="64"
        required
        autocomplete="off"
        spellcheck="false"
        value="${naming?.name}"
        ${wrong && html` aria-invalid="true"`}${attribute('aria-describedby', wrong ? 'policy-name-problem' : 'policy-name-hint')}
      />
      <p class="muted small" id="policy-name-hint">As sessions name it. Until it has a policy of its own, that of general holds.</p>
      ${naming && html`<p class="bad small" id="policy-name-problem">${naming.problem}</p>`}
    </div>
    <p><button class="btn">Give it a policy</button></p>
  </form>`;
}

export interface ClassPage {
  name: string;
  document: PolicyDocument;
  mayManage: boolean;
  form: PolicyForm;
}

export function classPage(view: View, { name, document, mayManage, form }: ClassPage): Html {
  const own = Object.hasOwn(document.classes, name);
  const inForce = document.classes[own ? name : 'general'];
  const change = html`<form method="post" action="${classUrl(name)}" class="stack">
    ${csrfField(view)}${hiddenFields({ version: String(document.version) })}${problemsNotice(view, form)}
    ${classFields(form)}
    <p class="row">
      <button class="btn main" name="step" value="plan">Change policies</button><a class="btn" href="${URL}">Cancel</a>
    </p>
  </form>`;
  const remove = html`<form method="post" action="${classUrl(name)}/remove" class="stack">
    ${csrfField(view)}
    <p>Its sessions are then kept and looked through as class general says.</p>
    <p><button class="btn danger" name="step" value="plan">Remove policy</button></p>
  </form>`;
  return html`${head(`Policy of class ${name}`, document)}
    <div class="stack">
      ${partsNav(URL)}
      ${!own && notice(view, 'info', 'This class has no policy of its own.', html`<p>That of class general holds for it; it stands in the fields to begin with.</p>`)}
      <div class="two">
        ${mayManage && panel('Change', change, { id: 'change' })}
        <div class="stack">
          ${inForce && panel('In force', classWords(inForce, document.general))}
          ${mayManage && own && name !== 'general' && panel('Remove', remove, { id: 'remove' })}
        </div>
      </div>
    </div>`;
}

export interface ConfirmPage {
  document: PolicyDocument;
  changes: Difference[];
  /** What the next plan of retention takes, by the policies of now and by the new ones; null: it is not about that. */
  taking: { now: Expiring; then: Expiring } | null;
  /** What comes of break-glass, where it is switched off; null: it is not about that. */
  off: { switched: Switch; preset: 'solo' | 'team'; names: ReadonlyMap<string, string> } | null;
  /** Where the form goes, and with which button. */
  action: { url: string; label: 'Change policies' | 'Remove policy'; back: string };
  input: Fields;
  /** They were changed while somebody looked at the plan. */
  outdated: boolean;
}

export function confirmPage(view: View, page: ConfirmPage): Html {
  const { document, changes, taking, off, action, input, outdated } = page;
  const { label, url, back } = action;
  const carried = { ...input, version: String(document.version) };
  const body =
    changes.length === 0
      ? html`<p>Everything is as it was: nothing would be changed.</p>
          <p><a class="btn" href="${back}">Back</a></p>`
      : html`<div class="stack">
          ${changeTable(changes)} ${off && switchWords(view, off.switched, document.pending, off)}
          ${taking && takingWords(taking)}
          <p>Nothing is deleted by this: content goes by a plan of retention that somebody applies.</p>
          <form method="post" action="${url}" class="row">
            ${csrfField(view)}${hiddenFields(carried)}<button
              class="btn ${label === 'Remove policy' ? 'danger' : 'main'}"
              name="step"
              value="apply"
              ${flag('autofocus', true)}
            >
              ${label}</button
            >${label === 'Change policies' && html`<button class="btn" name="step" value="edit">Edit again</button>`}<a
              class="btn"
              href="${back}"
              >Cancel</a
            >
          </form>
        </div>`;
  return html`${head('Policies', document)}
    <div class="stack">
      ${partsNav(URL)}
      ${outdated && notice(view, 'bad', 'The policies were changed since this plan was made; nothing was done.', html`<p>This is the difference from what is in force now.</p>`, 'result')}
      ${panel(`Plan: ${label}`, body, { id: 'plan' })}
    </div>`;
}

export function changeTable(changes: readonly Difference[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Changes">
    <table class="log">
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">Now</th>
          <th scope="col">Then</th>
        </tr>
      </thead>
      <tbody>
        ${changes.map(({ what, before, after }) => html`<tr><td data-label="What">${what}</td><td data-label="Now">${before}</td><td data-label="Then"><b>${after}</b></td></tr>`)}
      </tbody>
    </table>
  </div>`;
}

function takingWords({ now, then }: NonNullable<ConfirmPage['taking']>): Html {
  return html`<dl class="facts wide" id="taking">
    ${fact('The next plan', html`<b>${expiringText(then)}</b>`)} ${fact('As it is now', expiringText(now))}
  </dl>`;
}

/** `puts 1 session, 3 messages into the bin, purges nothing; 2 things are held`. */
function expiringText({ bin, purge, bytes, held }: Expiring): string {
  const kept = held === 0 ? '' : `; holds keep ${held.toLocaleString('en')} that would go`;
  if (isNothing(bin) && isNothing(purge)) return `would take nothing${kept}`;
  return `would put into the bin: ${countsText(bin)}; purge: ${countsText(purge)} (${size(bytes)})${kept}`;
}

/** Of a version; the rest stands behind one click. */
const SHOWN = 5;

const changesList = (changes: readonly Difference[]): Html =>
  html`<ul class="plain small">
    ${changes.map(({ what, before, after }) => html`<li>${what}: ${before} → ${after}</li>`)}
  </ul>`;

function historyPanel(view: View, { versions, nextCursor, names }: PoliciesPage): Html {
  if (versions.length === 0)
    return panel(
      'History',
      html`<div class="empty">
        <p class="strong">As installed</p>
        <p>Each change stands here with who made it, and what was before.</p>
      </div>`,
      { bare: true, id: 'history' },
    );
  const rows = versions.map((one) => {
    const changes = differences(one.before, one);
    return html`<li id="version-${one.version}">
      <p><span class="strong">Version ${one.version}</span> <span class="small muted">${time(view, one.at)} by ${authorName(names, one.by)}</span></p>
      ${changesList(changes.slice(0, SHOWN))}
      ${changes.length > SHOWN && html`<details><summary class="small muted">${plural(changes.length - SHOWN, 'more change')}</summary>${changesList(changes.slice(SHOWN))}</details>`}
      ${changes.length === 0 && html`<p class="small muted">nothing was different</p>`}
    </li>`;
  });
  const more =
    nextCursor !== null &&
    html`<p class="more"><a class="link" href="${URL}?${new URLSearchParams({ cursor: nextCursor }).toString()}#history">Older versions</a></p>`;
  return panel('History', html`<ul class="plain lines">${rows}</ul>${more}`, { id: 'history' });
}

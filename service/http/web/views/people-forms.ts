import type { PersonDocument } from '../../../access/people.ts';
import { ROLES, type Role } from '../../../access/roles.ts';
import { flag, html, type Html } from '../html.ts';
import type { InputProblem } from './action-inputs.ts';
import { csrfField, type View } from './parts.ts';

/** What the People page asks for. */

export interface FormProblems {
  form: 'invite' | 'token';
  input: Record<string, string>;
  roles: string[];
  list: InputProblem[];
}

export const ROLE_TEXT: Record<Role, string> = {
  owner: 'everything',
  planner: 'creates, marks ready, starts, cancels, reconciles',
  reviewer: 'reviews, approves, waives, completes',
  agent: 'claims and works, submits evidence',
  ci: 'submits evidence as a pipeline',
  operator: 'operations and metrics',
  auditor: 'reads the audit log',
};

/** Another role for somebody; the answer asks before it counts. */
export function roleForm(view: View, { id, name, roles }: PersonDocument): Html {
  return html`<form class="row" method="post" action="/people/${id}/role">
    ${csrfField(view)}<select name="role" aria-label="Role of ${name}">
      ${ROLES.map((role) => html`<option value="${role}" ${flag('selected', roles.includes(role))}>${role}</option>`)}</select
    ><button class="btn small" aria-label="Change role of ${name}">Change role</button>
  </form>`;
}

function problemsOf(problems: FormProblems | null, form: 'invite' | 'token') {
  return problems?.form === form
    ? problems
    : { input: {} as Record<string, string>, roles: [] as string[], list: [] };
}

function problemText(list: InputProblem[]): Html | null {
  return list.length === 0
    ? null
    : html`<ul class="plain bad" role="alert">
        ${list.map(({ message }) => html`<li>${message}</li>`)}
      </ul>`;
}

export function inviteForm(view: View, given: FormProblems | null): Html {
  const { input, list } = problemsOf(given, 'invite');
  return html`<form method="post" action="/people/invite" class="fields">
    ${csrfField(view)}${problemText(list)}
    <div class="field">
      <label for="invite-name">Name</label
      ><input
        type="text"
        id="invite-name"
        name="name"
        value="${input.name}"
        required
        maxlength="100"
        autocomplete="off"
      />
    </div>
    <div class="field">
      <label for="invite-role">Role</label
      ><select id="invite-role" name="role">
        ${ROLES.map((role) => html`<option value="${role}" ${flag('selected', role === (input.role ?? 'planner'))}>${role}</option>`)}
      </select>
    </div>
    <div><button class="btn main">Invite</button></div>
  </form>`;
}

export function tokenForm(view: View, people: PersonDocument[], given: FormProblems | null): Html {
  const { input, roles, list } = problemsOf(given, 'token');
  const lifetimes = [
    ['30d', '30 days'],
    ['90d', '90 days'],
    ['365d', 'a year'],
    ['', 'no expiry'],
  ] as const;
  return html`<form method="post" action="/tokens" class="fields">
    ${csrfField(view)}${problemText(list)}
    <div class="field">
      <label for="token-name">Name</label
      ><input
        type="text"
        id="token-name"
        name="name"
        value="${input.name}"
        required
        maxlength="100"
        autocomplete="off"
      />
    </div>
    <div class="field">
      <label for="token-person">Belongs to</label
      ><select id="token-person" name="personId">
        ${people.map(({ id, name }) => html`<option value="${id}" ${flag('selected', id === input.personId)}>${name}</option>`)}
      </select>
    </div>
    <fieldset class="field">
      <legend>Roles</legend>
      <div class="row">
        ${ROLES.map((role) => html`<label class="check"><input type="checkbox" name="roles" value="${role}" ${flag('checked', roles.length === 0 ? role === 'agent' : roles.includes(role))} /> ${role}</label>`)}
      </div>
    </fieldset>
    <div class="field">
      <label for="token-expires">Expires after</label
      ><select id="token-expires" name="expires">
        ${lifetimes.map(([value, text]) => html`<option value="${value}" ${flag('selected', value === (input.expires ?? '30d'))}>${text}</option>`)}
      </select>
    </div>
    <div><button class="btn main">Create token</button></div>
  </form>`;
}

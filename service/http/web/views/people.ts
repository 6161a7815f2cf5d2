import type { NewToken } from '../../../access/tokens.ts';
import type { OneTimeLink, PersonDocument, TokenDocument } from '../../../access/people.ts';
import { ROLES, type Role } from '../../../access/roles.ts';
import { plural } from '../format.ts';
import { flag, html, type Child, type Html } from '../html.ts';
import type { InputProblem } from './action-inputs.ts';
import { chip, copyButton, csrfField, fact, hiddenFields, notice, panel, time, type View } from './parts.ts';

export interface PeoplePage {
  people: PersonDocument[];
  may: { managePeople: boolean; manageTokens: boolean };
  /** Shown once, on the page that made it. */
  invitation: OneTimeLink | null;
  token: NewToken | null;
  /** What the viewer is about to take away. */
  confirm: { person: PersonDocument } | { token: TokenDocument; of: PersonDocument } | null;
  /** Whether the only active owner was asked to go. */
  refused: boolean;
  problems: {
    form: 'invite' | 'token';
    input: Record<string, string>;
    roles: string[];
    list: InputProblem[];
  } | null;
}

const ROLE_TEXT: Record<Role, string> = {
  owner: 'everything',
  planner: 'creates, marks ready, starts, cancels, reconciles',
  reviewer: 'reviews, approves, waives, completes',
  agent: 'claims and works, submits evidence',
  ci: 'submits evidence as a pipeline',
  operator: 'operations and metrics',
  auditor: 'reads the audit log',
};

/** The only active owner: without one nobody could manage people, so it stays. */
export function onlyOwner(people: PersonDocument[]): PersonDocument | null {
  const owners = people.filter(({ status, roles }) => status === 'active' && roles.includes('owner'));
  return owners.length === 1 ? (owners[0] ?? null) : null;
}

export function peoplePage(view: View, page: PeoplePage): Html {
  const { people, may } = page;
  const last = onlyOwner(people);
  const present = people.filter(({ status }) => status !== 'removed');
  return html`<div class="row head">
      <h1>People</h1>
      <span class="muted small">${plural(present.length, 'person', 'people')}</span>
    </div>
    ${page.invitation && invitationNotice(view, page.invitation)}${page.token && tokenNotice(view, page.token)}${page.confirm && confirmRemoval(view, page.confirm)}${page.refused && refusedNotice(view)}
    <div class="two">
      <div class="stack">${people.map((person) => personPanel(view, person, may, person === last))}</div>
      <div class="stack">
        ${may.managePeople && panel('Invite somebody', inviteForm(view, page.problems), { id: 'invite' })}
        ${may.manageTokens && panel('Create a token', tokenForm(view, present, page.problems), { id: 'token' })}
        ${panel('Roles', html`<dl class="facts">${ROLES.map((role) => fact(role, ROLE_TEXT[role]))}</dl>`)}
      </div>
    </div>`;
}

function invitationNotice(view: View, { url, expiresAt }: OneTimeLink): Html {
  return notice(
    view,
    'ok',
    'The invitation is ready.',
    html`<p>
        Send this link to the person. It works once, expires ${time(view, expiresAt)}, and is shown only now.
      </p>
      <p class="secret"><code id="invitation-link">${url}</code>${copyButton(view, url, 'link')}</p>`,
    'result',
  );
}

function tokenNotice(view: View, { name, token, roles }: NewToken): Html {
  return notice(
    view,
    'ok',
    html`The token ${name} is ready.`,
    html`<p>
        Roles: ${roles.join(', ')}. It is shown only now; keep it where its user reads it, as
        <code>FACTORY_TOKEN</code>.
      </p>
      <p class="secret"><code id="new-token">${token}</code>${copyButton(view, token, 'token')}</p>`,
    'result',
  );
}

function refusedNotice(view: View): Html {
  return notice(
    view,
    'bad',
    'The only active owner cannot be removed: nobody could manage people any more.',
    html`<p>
      <a class="link" href="#invite">Invite another owner</a> here first; once that person has signed in, this one can
      go.
    </p>`,
    'result',
  );
}

function confirmRemoval(view: View, confirm: NonNullable<PeoplePage['confirm']>): Html {
  const [title, text, url, label] =
    'person' in confirm
      ? [
          `Remove ${confirm.person.name}?`,
          `Their sign-ins and ${plural(confirm.person.tokens.filter(({ revokedAt }) => !revokedAt).length, 'token')} end at once. What they did stays in the record under their name.`,
          `/people/${confirm.person.id}/remove`,
          'Remove',
        ]
      : [
          `Revoke the token ${confirm.token.name} of ${confirm.of.name}?`,
          'Whoever uses it is refused from the next request on.',
          `/tokens/${confirm.token.id}/revoke`,
          'Revoke',
        ];
  return notice(
    view,
    'warn',
    title,
    html`<p>${text}</p>
      <form class="row" method="post" action="${url}">
        ${csrfField(view)}${hiddenFields({ step: 'apply' })}<button class="btn danger" autofocus>
          ${label}</button
        ><a class="btn quiet" href="/people">Not now</a>
      </form>`,
    'confirm',
  );
}

const STATUS = {
  active: { tone: 'ok', icon: 'tick' },
  invited: { tone: 'info', icon: 'clock' },
  removed: { tone: 'plain', icon: 'dash' },
} as const;

function personPanel(view: View, person: PersonDocument, may: PeoplePage['may'], stays: boolean): Html {
  const { id, name, roles, status, tokens } = person;
  const mark = STATUS[status];
  return html`<section class="panel person" id="person-${id}">
    <header>
      <h2>${name}</h2>
      ${chip(view, mark.tone, mark.icon, status)}<span class="push"
        >${
          may.managePeople &&
          status !== 'removed' &&
          (stays
            ? html`<span class="muted small">the only owner: nobody else could manage people</span>`
            : takeAway(view, `/people/${id}/remove`, 'Remove', name))
        }</span
      >
    </header>
    <div class="body">
      <p>${roles.join(', ')}</p>
      <p class="muted small">
        ${presence(view, person)}
      </p>
      ${
        tokens.length > 0 &&
        html`<ul class="plain lines tokens">
          ${tokens.map((token) => tokenRow(view, token, may.manageTokens))}
        </ul>`
      }
    </div>
  </section> `;
}

/** Sign-ins end with sign-out and removal, so only an invitation shows that somebody never signed in. */
function presence(view: View, { status, createdAt, lastSeenAt }: PersonDocument): Child {
  const seen = lastSeenAt !== null && html` · last seen ${time(view, lastSeenAt)}`;
  if (status === 'removed') return html`added ${time(view, createdAt)} · removed${seen}`;
  if (status === 'invited') return html`invited ${time(view, createdAt)} · never signed in`;
  return html`here since ${time(view, createdAt)}${seen || ' · not signed in now'}`;
}

function tokenRow(view: View, token: TokenDocument, mayRevoke: boolean): Html {
  const { id, name, roles, createdAt, lastUsedAt, expiresAt, revokedAt } = token;
  const over = revokedAt !== null || (expiresAt !== null && Date.parse(expiresAt) <= view.now);
  const state: Child = revokedAt
    ? html`revoked ${time(view, revokedAt)}`
    : expiresAt === null
      ? 'does not expire'
      : html`${over ? 'expired' : 'expires'} ${time(view, expiresAt)}`;
  const used: Child = lastUsedAt === null ? 'never used' : html`last used ${time(view, lastUsedAt)}`;
  return html`<li class="row">
    <span class="${over ? 'muted' : ''}"
      ><span class="strong">${name}</span> <span class="small">${roles.join(', ')}</span><br /><span
        class="muted small"
        >made ${time(view, createdAt)} · ${used} · ${state}</span
      ></span
    >${
      mayRevoke &&
      !over &&
      html`<span class="push">${takeAway(view, `/tokens/${id}/revoke`, 'Revoke', name)}</span>`
    }
  </li>`;
}

function takeAway(view: View, url: string, label: string, what: string): Html {
  return html`<form method="post" action="${url}">
    ${csrfField(view)}<button class="btn small" aria-label="${label} ${what}">${label}</button>
  </form>`;
}

function problemsOf(problems: PeoplePage['problems'], form: 'invite' | 'token') {
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

function inviteForm(view: View, given: PeoplePage['problems']): Html {
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
        ${ROLES.map((role) => html`<option value="${role}" ${flag('selected', role === (input.role ?? 'planner'))}>${role}: ${ROLE_TEXT[role]}</option>`)}
      </select>
    </div>
    <div><button class="btn main">Invite</button></div>
  </form>`;
}

function tokenForm(view: View, people: PersonDocument[], given: PeoplePage['problems']): Html {
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

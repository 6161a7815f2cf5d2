import type { NewToken } from '../../../access/tokens.ts';
import type { OneTimeLink, PersonDocument, TokenDocument } from '../../../access/people.ts';
import { effectiveRoles, ROLES } from '../../../access/roles.ts';
import { plural } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import { chip, csrfField, fact, panel, time, type View } from './parts.ts';
import { inviteForm, ROLE_TEXT, roleForm, tokenForm, type FormProblems } from './people-forms.ts';
import {
  confirmNotice,
  linkNotice,
  refusedNotice,
  tokenNotice,
  type PeopleConfirm,
} from './people-notices.ts';

export interface PeoplePage {
  people: PersonDocument[];
  /** Who looks at the page; null: a token. */
  self: string | null;
  may: { managePeople: boolean; manageTokens: boolean };
  /** Shown once, on the page that made it. */
  link: { made: OneTimeLink; to: string | null } | null;
  token: NewToken | null;
  /** What the viewer is about to do. */
  confirm: PeopleConfirm | null;
  /** Whether the only active owner was asked to go, or to get another role. */
  refused: boolean;
  problems: FormProblems | null;
}

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
    ${page.link && linkNotice(view, page.link.made, page.link.to)}${page.token && tokenNotice(view, page.token)}${page.confirm && confirmNotice(view, page.confirm)}${page.refused && refusedNotice(view)}
    <div class="two">
      <div class="stack">${people.map((person) => personPanel(view, person, page, person === last))}</div>
      <div class="stack">
        ${may.managePeople && panel('Invite somebody', inviteForm(view, page.problems), { id: 'invite' })}
        ${may.manageTokens && panel('Create a token', tokenForm(view, present, page.problems), { id: 'token' })}
        ${panel('Roles', html`<dl class="facts">${ROLES.map((role) => fact(role, ROLE_TEXT[role]))}</dl>`)}
      </div>
    </div>`;
}

const STATUS = {
  active: { tone: 'ok', icon: 'tick' },
  invited: { tone: 'info', icon: 'clock' },
  removed: { tone: 'plain', icon: 'dash' },
} as const;

function personPanel(
  view: View,
  person: PersonDocument,
  { may, self }: Pick<PeoplePage, 'may' | 'self'>,
  stays: boolean,
): Html {
  const { id, name, roles, status, tokens } = person;
  const mark = STATUS[status];
  const mayChange = may.managePeople && status !== 'removed';
  return html`<section class="panel person" id="person-${id}">
    <header>
      <h2>${name}</h2>
      ${chip(view, mark.tone, mark.icon, status)}<span class="push"
        >${
          mayChange &&
          html`<span class="row"
            >${button(view, `/people/${id}/link`, 'New link', `for ${name}`)}${
              stays
                ? html`<span class="muted small">the only owner: nobody else could manage people</span>`
                : button(view, `/people/${id}/remove`, 'Remove', name)
            }</span
          >`
        }</span
      >
    </header>
    <div class="body">
      ${mayChange && !stays ? roleForm(view, person) : html`<p>${roles.join(', ')}</p>`}
      <p class="muted small">
        ${presence(view, person, id === self)}
      </p>
      ${
        tokens.length > 0 &&
        html`<ul class="plain lines tokens">
          ${tokens.map((token) => tokenRow(view, token, roles, may.manageTokens))}
        </ul>`
      }
    </div>
  </section> `;
}

/** Sign-ins end with sign-out and removal, so only an invitation shows that somebody never signed in. */
function presence(view: View, { status, createdAt, lastSeenAt }: PersonDocument, isViewer: boolean): Child {
  if (isViewer) return html`here since ${time(view, createdAt)} · here now`;
  const seen = lastSeenAt !== null && html` · last seen ${time(view, lastSeenAt)}`;
  if (status === 'removed') return html`added ${time(view, createdAt)} · removed${seen}`;
  if (status === 'invited') return html`invited ${time(view, createdAt)} · never signed in`;
  return html`here since ${time(view, createdAt)}${seen || ' · not signed in now'}`;
}

function tokenRow(view: View, token: TokenDocument, personRoles: string[], mayRevoke: boolean): Html {
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
      ><span class="strong">${name}</span> <span class="small">${rolesText(personRoles, roles)}</span><br /><span
        class="muted small"
        >made ${time(view, createdAt)} · ${used} · ${state}</span
      ></span
    >${
      mayRevoke &&
      !over &&
      html`<span class="push">${button(view, `/tokens/${id}/revoke`, 'Revoke', name)}</span>`
    }
  </li>`;
}

/** A token can do no more than its person: what the person has not is held back. */
function rolesText(personRoles: string[], tokenRoles: string[]): string {
  const counting = effectiveRoles(personRoles, tokenRoles);
  const held = tokenRoles.filter((role) => !counting.includes(role));
  return [counting.join(', '), ...(held.length > 0 ? [`held back: ${held.join(', ')}`] : [])]
    .filter((part) => part !== '')
    .join(' · ');
}

function button(view: View, url: string, label: string, what: string): Html {
  return html`<form method="post" action="${url}">
    ${csrfField(view)}<button class="btn small" aria-label="${label} ${what}">${label}</button>
  </form>`;
}

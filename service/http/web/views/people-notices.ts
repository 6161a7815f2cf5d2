import type { OneTimeLink, PersonDocument, TokenDocument } from '../../../access/people.ts';
import { effectiveRoles } from '../../../access/roles.ts';
import type { NewToken } from '../../../access/tokens.ts';
import { plural } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import { copyButton, csrfField, hiddenFields, notice, time, type View } from './parts.ts';

/** What the People page says at its top: what was made, and what it asks before it does it. */

export type PeopleConfirm =
  | { what: 'remove' | 'link'; person: PersonDocument }
  | { what: 'role'; person: PersonDocument; role: string }
  | { what: 'revoke'; token: TokenDocument; of: PersonDocument }
  | { what: 'invite'; namesake: PersonDocument; role: string };

/** `to`: who got a new one; null: an invitation. */
export function linkNotice(view: View, { url, expiresAt }: OneTimeLink, to: string | null): Html {
  return notice(
    view,
    'ok',
    to === null ? 'The invitation is ready.' : `The link for ${to} is ready.`,
    html`<p>
        Send this link to the person. It works once, expires ${time(view, expiresAt)}, and is shown only now.
      </p>
      <p class="secret"><code id="invitation-link">${url}</code>${copyButton(view, url, 'link')}</p>`,
    'result',
  );
}

export function tokenNotice(view: View, { name, token, roles }: NewToken): Html {
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

export function refusedNotice(view: View): Html {
  return notice(
    view,
    'bad',
    'The only active owner cannot be removed or get another role: nobody could manage people any more.',
    html`<p>
      <a class="link" href="#invite">Invite another owner</a> here first, or give somebody the role; once that person has
      signed in, this one can change.
    </p>`,
    'result',
  );
}

export function confirmNotice(view: View, confirm: PeopleConfirm): Html {
  switch (confirm.what) {
    case 'remove':
      return ask(view, {
        title: `Remove ${confirm.person.name}?`,
        text: `Their sign-ins and ${plural(liveTokens(confirm.person).length, 'token')} end at once. What they did stays in the record under their name.`,
        ...{ url: `/people/${confirm.person.id}/remove`, label: 'Remove', danger: true },
      });
    case 'revoke':
      return ask(view, {
        title: `Revoke the token ${confirm.token.name} of ${confirm.of.name}?`,
        text: 'Whoever uses it is refused from the next request on.',
        ...{ url: `/tokens/${confirm.token.id}/revoke`, label: 'Revoke', danger: true },
      });
    case 'link':
      return ask(view, {
        title: `Make a new link for ${confirm.person.name}?`,
        text: 'It signs them in, once. Older links of theirs that nobody used end.',
        ...{ url: `/people/${confirm.person.id}/link`, label: 'New link' },
        further: html`<label class="check"
          ><input type="checkbox" name="signOut" value="yes" /> End their sign-ins, too: somebody else may have
          one</label
        >`,
      });
    case 'role':
      return ask(view, {
        title: `Make ${confirm.person.name} ${confirm.role} instead of ${confirm.person.roles.join(', ')}?`,
        text: `It counts from their next request on. ${heldBack(confirm.person, confirm.role)}`,
        ...{ url: `/people/${confirm.person.id}/role`, label: 'Change role', fields: { role: confirm.role } },
      });
    case 'invite':
      return namesakeNotice(view, confirm.namesake, confirm.role);
  }
}

/** Two people may have one name; most often it is somebody who has lost their link. */
function namesakeNotice(view: View, { id, name, status }: PersonDocument, role: string): Html {
  return notice(
    view,
    'warn',
    `There is a person ${name} already (${status}).`,
    html`<p>Whoever lost their link, or has signed out, comes back by a new link.</p>
      <div class="row">
        <form method="post" action="/people/${id}/link">
          ${csrfField(view)}<button class="btn main" autofocus>New link for ${name}</button>
        </form>
        <form method="post" action="/people/invite">
          ${csrfField(view)}${hiddenFields({ step: 'apply', name, role })}<button class="btn">
            Invite another ${name}
          </button>
        </form>
        <a class="btn quiet" href="/people">Not now</a>
      </div>`,
    'confirm',
  );
}

function liveTokens({ tokens }: PersonDocument): TokenDocument[] {
  return tokens.filter(({ revokedAt }) => revokedAt === null);
}

/** A token can do no more than its person. */
function heldBack(person: PersonDocument, role: string): string {
  const less = liveTokens(person).filter(({ roles }) => effectiveRoles([role], roles).length < roles.length);
  return less.length === 0
    ? 'Their tokens stay as they are.'
    : `${plural(less.length, 'token')} of theirs can do less then: ${less.map(({ name }) => name).join(', ')}.`;
}

interface Question {
  title: string;
  text: string;
  url: string;
  label: string;
  danger?: boolean;
  fields?: Record<string, string>;
  further?: Child;
}

function ask(view: View, { title, text, url, label, danger = false, fields = {}, further }: Question): Html {
  return notice(
    view,
    'warn',
    title,
    html`<p>${text}</p>
      <form class="row" method="post" action="${url}">
        ${csrfField(view)}${hiddenFields({ step: 'apply', ...fields })}${further}<button
          class="btn ${danger ? 'danger' : 'main'}"
          autofocus
        >
          ${label}</button
        ><a class="btn quiet" href="/people">Not now</a>
      </form>`,
    'confirm',
  );
}

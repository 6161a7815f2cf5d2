import type { LinkRefusal } from '../../../access/sessions.ts';
import { html, type Html } from '../html.ts';
import { notice, type View } from './parts.ts';

/** What the sign-in page says. `ask`: nobody is signed in and no link was given. */
export type LoginState = 'ask' | 'signed-out' | LinkRefusal;

const NEW_LINK = html`<p>
    A new link comes from whoever invited you, from an owner on the People page, or, on the machine that runs
    Build Factory, from:
  </p>
  <pre tabindex="0"><code>npx factory login-link</code></pre>
  <p class="muted small">
    in the folder that the service was started in. Outside of the clone, <code>npx factory</code> is
    <code>node CLONE/scripts/launch.mjs</code>.
  </p>`;

const REFUSED: Record<LinkRefusal, { title: string; why: string; next: Html }> = {
  'link-used': {
    title: 'This link was used already.',
    why: 'A link signs in once. If it was not you who used it, tell an owner: they can sign you out everywhere.',
    next: NEW_LINK,
  },
  'link-expired': {
    title: 'This link has expired.',
    why: 'Links are short-lived, so that a lost one is worth little.',
    next: NEW_LINK,
  },
  'link-unknown': {
    title: 'This link is not one of ours.',
    why: 'It may be cut off at the end, or belong to another installation.',
    next: NEW_LINK,
  },
  'person-removed': {
    title: 'This invitation no longer holds.',
    why: 'The person it was made for has been removed.',
    next: html`<p>Ask an owner for a new invitation.</p>`,
  },
};

/** The sign-in page's content: how to get a link, or why the given one did not work. */
export function loginPage(view: View, state: LoginState): Html {
  if (state === 'ask')
    return html`<h1>Sign in</h1>
      <p>Sign-in is by a one-time link; there are no passwords.</p>
      ${NEW_LINK}`;
  if (state === 'signed-out') {
    return html`<h1>Signed out</h1>
      ${notice(view, 'ok', 'You are signed out.')}${NEW_LINK}`;
  }
  const { title, why, next } = REFUSED[state];
  return html`<h1>Sign in</h1>
    ${notice(view, 'bad', title, html`<p>${why}</p>`)}${next}`;
}

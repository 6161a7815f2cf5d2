import type { Pending, Switch } from '../../../chat/break-glass-off.ts';
import { html, type Child, type Html } from '../html.ts';
import { clock } from './grant-rows.ts';
import { csrfField, notice, time, type View } from './parts.ts';
import { authorName } from './sessions.ts';

/** That break-glass goes off, on every page of governance that it concerns, and what can be done about it. */

export const OFF = '/governance/policies/break-glass';

interface Around {
  names: ReadonlyMap<string, string>;
  mayManage: boolean;
  /** Id of the person who looks. */
  me: string | undefined;
  preset: 'solo' | 'team';
}

export function pendingNotice(view: View, pending: Pending | null, around: Around): Child {
  if (pending === null) return null;
  const { names, mayManage, me, preset } = around;
  const confirms = mayManage && preset === 'team' && pending.askedBy !== me;
  const button = (to: string, label: string): Html =>
    html`<form method="post" action="${OFF}/${to}">
      ${csrfField(view)}<button class="btn small" name="step" value="plan">${label}</button>
    </form>`;
  return notice(
    view,
    'warn',
    html`Break-glass goes off: ${clock(view, pending.effectiveAt)}.`,
    html`<p>
        ${authorName(names, pending.askedBy)} asked for it ${time(view, pending.askedAt)}. Then owners read every session. Until then it
        stays in force. ${preset === 'team' && 'Another owner who asks for the same switches it off at once.'} Any owner can take it back.
      </p>
      ${mayManage && html`<div class="row">${button('take-back', 'Take back')}${confirms && button('confirm', 'Switch it off now')}</div>`}`,
    'break-glass-off',
  );
}

/** What comes of a change that switches it off, before it is made. */
export function switchWords(
  view: View,
  { breakGlass, pending }: Switch,
  was: Pending | null,
  { names, preset }: Pick<Around, 'names' | 'preset'>,
): Html {
  if (!breakGlass && was !== null)
    return notice(
      ...([view, 'warn', 'Break-glass is then off at once: owners read every session.'] as const),
      html`<p>${authorName(names, was.askedBy)} asked for it ${time(view, was.askedAt)}, and this confirms it.</p>`,
    );
  if (pending === null) return html``;
  const isNew = was === null;
  return notice(
    ...([view, 'info'] as const),
    html`Break-glass stays in force until ${clock(view, pending.effectiveAt)}.`,
    html`<p>
      ${isNew ? 'Everybody who sees governance sees that it goes off then, and any owner can take it back.' : 'It was asked for already; asking again changes nothing of that.'}
      ${preset === 'team' && 'Another owner who asks for the same switches it off at once.'}
    </p>`,
  );
}

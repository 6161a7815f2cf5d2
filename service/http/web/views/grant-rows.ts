import type { GrantView } from '../../../chat/grants/granting.ts';
import { clockTime, relative, shortId } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import type { FrameView } from './frame.ts';
import { chip, csrfField, time, type View } from './parts.ts';
import { authorName } from './sessions.ts';

/** A grant in a list: who reads what, until when, by whom, and what can be done about it. */

export interface GrantsAround {
  /** Where forms go: `{base}/{id}/end`, `/approve`, `/refuse`. */
  base: string;
  names: ReadonlyMap<string, string>;
  mayManage: boolean;
  /** Whether the viewer's are the sessions that the grants are of. */
  ownsSession: boolean;
}

export const TEAM = 'team';

export const granteeName = (names: ReadonlyMap<string, string>, id: string): string =>
  id === TEAM ? 'The team' : authorName(names, id);

/** `14:05 UTC (in 5 min)`, as a waiting time is read. */
export function clock(view: View, iso: string): Html {
  return html`<time datetime="${iso}">${clockTime(iso, view.now)} (${relative(iso, view.now)})</time>`;
}

/** It was given, but a waiting time still runs. */
export const isWaiting = ({ state, startsAt }: Pick<GrantView, 'state' | 'startsAt'>, now: number): boolean =>
  state === 'active' && Date.parse(startsAt) > now;

export function grantRow(view: FrameView, grant: GrantView, around: GrantsAround): Html {
  const { id, kind, grantee, reason, sessionId } = grant;
  return html`<li id="grant-${id}">
    <p class="row">
      ${stateChip(view, grant)} <span class="strong">${granteeName(around.names, grantee)}</span>
      ${sessionId === null ? 'every session' : html`<a class="link" href="/sessions/${sessionId}">session <span class="mono">${shortId(sessionId)}</span></a>`}
      ${kind === 'break-glass' && chip(view, 'plain', 'shield', 'break-glass')}
    </p>
    <p class="breakable">${reason}</p>
    <p class="small muted">${history(view, grant, around)}</p>
    ${buttons(view, grant, around)}
  </li>`;
}

export function stateChip(view: View, grant: GrantView): Html {
  if (isWaiting(grant, view.now)) return chip(view, 'info', 'clock', 'waiting time');
  switch (grant.state) {
    case 'requested':
      return chip(view, 'warn', 'clock', 'waits for another owner');
    case 'active':
      return chip(view, 'ok', 'tick', 'in force');
    case 'refused':
      return chip(view, 'plain', 'cross', 'refused');
    case 'revoked':
      return chip(view, 'plain', 'dash', 'ended');
    case 'expired':
      return chip(view, 'plain', 'dash', 'expired');
  }
}

function history(view: View, grant: GrantView, { names }: GrantsAround): Child {
  const { kind, state, requestedBy, decidedBy, createdAt, startsAt, expiresAt, endedAt } = grant;
  const asked = html`${kind === 'session' ? 'given' : 'asked for'} by ${authorName(names, requestedBy)} ${time(view, createdAt)}`;
  const words = {
    active: 'approved',
    refused: 'refused',
    revoked: 'ended',
    expired: 'approved',
    requested: '',
  };
  const when = state === 'revoked' && endedAt !== null && html` ${time(view, endedAt)}`;
  const decided = decidedBy !== null && html`, ${words[state]} by ${authorName(names, decidedBy)}${when}`;
  const from = isWaiting(grant, view.now) && html`; counts from ${clock(view, startsAt)} on`;
  const until =
    state === 'active' || state === 'requested'
      ? html`; ends ${clock(view, expiresAt)}`
      : state === 'expired' && html`; ended ${time(view, expiresAt)}`;
  return [asked, decided, from, until];
}

function buttons(view: FrameView, grant: GrantView, around: GrantsAround): Child {
  const { id, state, requestedBy, grantee, sessionId } = grant;
  const { base, names, mayManage, ownsSession } = around;
  const me = view.principal?.personId;
  const whose = `${granteeName(names, grantee)}, ${sessionId === null ? 'every session' : `session ${shortId(sessionId)}`}`;
  const button = (step: string, label: string): Html =>
    html`<form method="post" action="${base}/${id}/${step}">
      ${csrfField(view)}<button class="btn small" aria-label="${label}: ${whose}">${label}</button>
    </form>`;
  const isOpen = state === 'active' || state === 'requested';
  const concerns =
    mayManage || (ownsSession && sessionId !== null) || [requestedBy, grantee].includes(me ?? '');
  const decides = state === 'requested' && mayManage && requestedBy !== me;
  const all = [
    decides && button('approve', 'Approve'),
    decides && button('refuse', 'Refuse'),
    isOpen && !decides && concerns && button('end', state === 'requested' ? 'Take back' : 'End'),
    readLink(view, grant),
  ].filter(Boolean);
  return all.length > 0 && html`<div class="row more">${all}</div>`;
}

/** What was read by somebody while a grant let them, as the audit log has it. */
function readLink(view: FrameView, grant: GrantView): Child {
  const { grantee, sessionId, state, startsAt, expiresAt, endedAt } = grant;
  const waited = isWaiting(grant, view.now) || (endedAt !== null && endedAt <= startsAt);
  const began = state !== 'requested' && state !== 'refused' && !waited;
  if (!began || view.principal?.permissions.has('factory.audit.read') !== true) return null;
  const query = new URLSearchParams({
    ...(grantee === TEAM ? {} : { actor: grantee }),
    ...{ action: 'session.read', ...(sessionId === null ? {} : { object: sessionId }) },
    ...{ from: startsAt, to: endedAt ?? expiresAt },
  });
  return html`<a class="link small" href="/audit?${query.toString()}">What was read meanwhile</a>`;
}

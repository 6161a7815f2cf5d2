import type { ItemDocument } from '../../../work-items/documents.ts';
import type { ActionIdentity, ActionReport, GateResult, Lane } from '../../../work-items/types.ts';
import { clockTime } from '../format.ts';
import { html, type Child, type Html } from '../html.ts';
import { isMine } from './actions.ts';
import { blocking } from './gates.ts';
import type { ItemPage } from './item-page.ts';
import { csrfField, hiddenFields, time, withCode, type View } from './parts.ts';
import { mayTake, rolesWith, wayOut } from './ways.ts';

/** The strip that says what moves the item on: the viewer's step, somebody else's, the one that unblocks it, or a time. */
export function nextStrip(view: View, page: ItemPage): Html | null {
  const forward = forwardOf(page.item).flatMap(
    (identity) => page.actions.actions.find((action) => action.identity === identity) ?? [],
  );
  const step =
    forward.find(isMine) ?? forward.find(({ enabled }) => enabled) ?? forward.find((one) => !one.enabled);
  if (!step) return null;
  return html`<section class="next" aria-label="Next step">
    <h2>Next</h2>
    ${isMine(step) ? own(view, page, step) : step.enabled ? others(step) : blocked(view, page, step)}
  </section>`;
}

/** What leads from each lane towards done. */
const FORWARD: Record<Lane, ActionIdentity[]> = {
  backlog: ['mark-ready'],
  ready: ['start-execution'],
  executing: ['request-review'],
  review: ['complete'],
  done: [],
  cancelled: [],
};

/** The same with a handoff that waits: it is claimed before anything else. */
function forwardOf({ lane, handoff }: ItemDocument): ActionIdentity[] {
  if (handoff?.state !== 'queued') return FORWARD[lane];
  return lane === 'ready' ? ['claim'] : ['claim', ...FORWARD[lane]];
}

function own(view: View, page: ItemPage, { identity, label, description }: ActionReport): Child {
  if (page.panel?.identity === identity)
    return html`<p><a class="link" href="#act-${identity}">${label}</a> is open below.</p>`;
  const url = `/items/${page.item.id}/actions/${identity}`;
  return html`<p>${description}</p>
    <form
      class="do"
      method="post"
      action="${url}#act-${identity}"
      hx-post="${url}"
      hx-target="#act-${identity}"
      hx-select="#act-${identity}"
      hx-disabled-elt="find button"
    >
      ${csrfField(view)}${hiddenFields({ step: 'plan', all: page.all ? 'true' : null })}
      <button class="btn main" id="next-${identity}">${label}</button>
    </form>`;
}

function others({ identity, label, permission }: ActionReport): Child {
  return html`<p>
    <a class="link" href="#act-${identity}">${label}</a> is not yours: it needs ${rolesWith(permission.name)}.
    <a class="link" href="/people">Ask one of the people</a>
  </p>`;
}

/** What can be done comes before what has to be waited for. */
function blocked(view: View, page: ItemPage, { identity, label, gates }: ActionReport): Child {
  const blockers = blocking(gates);
  const first = blockers.find((gate) => opensAfter(gate) === null);
  const where = html`<a class="link" href="/items/${page.item.id}?act=${identity}#act-${identity}">${label}</a>`;
  if (!first) return waiting(view, where, Math.max(...blockers.map((gate) => opensAfter(gate) ?? 0)));
  const step = first.unblock.find((one) => mayTake(page, one)) ?? first.unblock[0];
  const out = step && wayOut(page, first, step, mayTake(page, step) ? 'btn main' : 'link');
  return html`<p>${where} is blocked: ${withCode(first.reason)}</p>
    ${out ?? (first.recovery && html`<p>${withCode(first.recovery.nextStep)}</p>`)}`;
}

/** Seconds after which a gate opens by itself; null where somebody has to do something. */
export function opensAfter({ recovery }: GateResult): number | null {
  const retry = recovery?.safeRetry;
  return retry?.mode === 'after-time' ? (retry.afterSeconds ?? null) : null;
}

/**
 * Whole seconds until time alone changes what the page says: a gate opens, an override begins to count or ends.
 * Null where nothing is known to.
 */
export function changesIn(view: View, { item, actions }: ItemPage): number | null {
  const gates = actions.actions.flatMap(({ gates }) => blocking(gates).map(opensAfter));
  const overrides = item.overrides
    .filter(({ state }) => state !== 'ended')
    .flatMap(({ from, until }) => (from === null ? [until] : [from, until]))
    .map((at) => Math.ceil((Date.parse(at) - view.now) / 1000));
  const ahead = [...gates, ...overrides].filter((seconds) => seconds !== null && seconds > 0);
  return ahead.length > 0 ? Math.min(...(ahead as number[])) : null;
}

function waiting(view: View, where: Html, seconds: number): Html {
  return html`<p>Wait: ${where} opens at ${moment(view, after(view, seconds))}. Nothing else is needed.</p>`;
}

function after(view: View, seconds: number): string {
  return new Date(view.now + seconds * 1000).toISOString();
}

/** `22:46 UTC, in 5 min` */
function moment(view: View, at: string): Html {
  return html`<b>${clockTime(at, view.now)}</b>, ${time(view, at)}`;
}

/** From when on what the viewer just did counts, where that is not at once. */
export function countsLater(view: View, { applied, actions, item }: ItemPage): Html | null {
  if (applied?.identity === 'approve') {
    const complete = actions.actions.find(({ identity }) => identity === 'complete');
    const review = complete?.gates.find(({ gate }) => gate === 'independent-review');
    const seconds = review ? opensAfter(review) : null;
    return seconds === null ? null : html`<p>It counts from ${moment(view, after(view, seconds))}.</p>`;
  }
  const override = applied?.identity === 'override-gate' ? item.overrides.at(-1) : undefined;
  if (override?.state === 'waiting-until' && override.from !== null)
    return html`<p>It counts from ${moment(view, override.from)}.</p>`;
  if (override?.state === 'waiting-for-person')
    return html`<p>It counts once another owner asks for the same.</p>`;
  return null;
}

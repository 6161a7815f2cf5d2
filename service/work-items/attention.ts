import { isTerminal, positionOf } from './lanes.ts';
import { ACTIONS } from './actions.ts';
import { PLAIN, waitingFor, type Conditions } from './conditions.ts';
import type { AttentionDocument } from './documents.ts';
import { promptPath } from './gates/context.ts';
import { overrideState, type OverrideRules, type OverrideState } from './gates/override.ts';
import { remedyOf } from './remedies.ts';
import { isUnreadable } from './truth.ts';
import type { ActionIdentity, Drift, QueueObservation, TruthReport, WorkItem } from './types.ts';
import { isOfPrompts, unreadProblem } from './unread.ts';

export type AttentionKind = AttentionDocument['kind'];

/** Lower ranks come first on the board. */
export const RANKS = { problem: 1, error: 2, blocked: 3, waiting: 4, warn: 5 } as const;

interface Found extends AttentionDocument {
  rank: number;
}

/**
 * Why an item needs somebody, or null. Told from the item, the last look at its files, its drift and what else bears on
 * it, so that it can be kept in a column and lists read no files.
 */
export function attention(
  item: WorkItem,
  queue: QueueObservation | null,
  drift: readonly Drift[],
  conditions: Conditions = PLAIN,
): { kind: AttentionKind; rank: number } | null {
  const found = mostUrgent(item, queue, drift, null, conditions);
  return found && { kind: found.kind, rank: found.rank };
}

/** The same with its one-line cause and the one step that leads out, as the rules of overrides stand now. */
export function attentionLine(
  item: WorkItem,
  queue: QueueObservation | null,
  truth: Pick<TruthReport, 'drift'>,
  rules: OverrideRules,
  conditions: Conditions = PLAIN,
): AttentionDocument | null {
  const found = mostUrgent(item, queue, truth.drift, rules, conditions);
  if (!found) return null;
  const { kind, cause, step } = found;
  return { kind, cause, step };
}

function mostUrgent(
  item: WorkItem,
  queue: QueueObservation | null,
  drift: readonly Drift[],
  rules: OverrideRules | null,
  conditions: Conditions,
): Found | null {
  const all = [
    problem(item, queue),
    drifted(item, drift, conditions),
    withoutHolder(item, conditions),
    blockedByPrompt(item, queue),
    blockedByItems(item, conditions),
    waiting(item, queue, rules),
  ];
  const found = all.filter((one) => one !== null);
  return found.sort((a, b) => a.rank - b.rank)[0] ?? null;
}

function problem(item: WorkItem, queue: QueueObservation | null): Found | null {
  if (!queue || !isUnreadable(queue)) return null;
  const first = queue.problems.find(({ file }) => !isOfPrompts(file) && !queue.duplicates.includes(file));
  const cause = first
    ? `${first.file}:${first.line}: ${first.message}`
    : `The record of ${item.id} cannot be read.`;
  return { kind: 'problem', rank: RANKS.problem, cause, step: openItem(item) };
}

function drifted(item: WorkItem, drift: readonly Drift[], conditions: Conditions): Found | null {
  const worst = drift.find(({ severity }) => severity === 'error') ?? drift[0];
  if (!worst) return null;
  const { code, severity, left, right } = worst;
  const { action } = remedyOf(code, item, conditions);
  return {
    kind: 'drift',
    rank: RANKS[severity],
    cause: `${code}: ${left.source} says ${left.value}, ${right.source} says ${right.value}.`,
    step: action === 'refresh-truth' ? openItem(item) : act(item, action),
  };
}

/** Whoever held the handoff cannot go on with it, and nobody else may. */
function withoutHolder(item: WorkItem, { lostHolder }: Conditions): Found | null {
  if (lostHolder === null) return null;
  const cause = `Handoff ${item.handoff?.id} is held by ${lostHolder}.`;
  return { kind: 'blocked', rank: RANKS.blocked, cause, step: act(item, 'release-handoff') };
}

/** A queued handoff that nobody can claim before other items are done. */
function blockedByItems(item: WorkItem, conditions: Conditions): Found | null {
  const found = waitingFor(conditions);
  if (!found) return null;
  const { cause, finish } = found;
  const open = { label: `Open ${finish}`, action: null, url: `/items/${encodeURIComponent(finish ?? '')}` };
  return finish === null
    ? { kind: 'blocked', rank: RANKS.blocked, cause: found.step, step: openItem(item) }
    : { kind: 'blocked', rank: RANKS.blocked, cause, step: open };
}

/** An executor of a ready or executing item has nothing to work from without the prompt that was pinned. */
function blockedByPrompt(item: WorkItem, queue: QueueObservation | null): Found | null {
  if (!queue || (item.lane !== 'ready' && item.lane !== 'executing')) return null;
  const path = promptPath({ item, queue });
  const pinned = positionOf(item).handoff === 'queued' ? (item.handoff?.promptRevision ?? null) : null;
  const blocked = (cause: string, step: Found['step']): Found => ({
    kind: 'blocked',
    rank: RANKS.blocked,
    cause,
    step,
  });
  const unread = queue.prompt ? null : unreadProblem(queue, 'prompt');
  if (unread) return blocked(`${unread.message} ${unread.hint}`, openItem(item));
  if (!queue.prompt)
    return blocked(`Prompt ${path} is missing: executors get nothing to work from.`, openItem(item));
  if (queue.prompt.empty)
    return blocked(`Prompt ${path} is empty: executors get nothing to work from.`, openItem(item));
  if (pinned === null || pinned === queue.prompt.revision) return null;
  const replan = item.lane === 'ready' ? 'start-execution' : 'release-handoff';
  return blocked(`Prompt ${path} changed after the handoff was queued.`, act(item, replan));
}

/** For the kept kind and rank it is the same which of the two an override waits for. */
const SECONDED_ONLY: OverrideState = { state: 'waiting-for-person', from: null };

/** Overrides that have expired by the newest time known of the item wait for nobody. */
function waiting(item: WorkItem, queue: QueueObservation | null, rules: OverrideRules | null): Found | null {
  const wait = (cause: string, step: Found['step']): Found => ({
    kind: 'waiting',
    rank: RANKS.waiting,
    cause,
    step,
  });
  const seen = Math.max(Date.parse(item.updatedAt), Date.parse(queue?.observedAt ?? item.updatedAt));
  const override = item.overrides.find(
    ({ secondedBy, until }) => secondedBy === null && Date.parse(until) > seen,
  );
  if (override && !isTerminal(item.lane)) {
    const { state, from } = rules ? overrideState(override, rules) : SECONDED_ONLY;
    const what = `The override of ${override.gate}`;
    if (state === 'in-force') return wait(`${what} counts until ${override.until}.`, openItem(item));
    if (state === 'waiting-until') return wait(`${what} counts from ${from}.`, openItem(item));
    return wait(`${what} waits for a second person.`, act(item, 'override-gate'));
  }
  if (item.handoff?.state === 'awaiting-human')
    return wait('The executor waits for a person.', openItem(item));
  return item.lane === 'review' ? wait('The review waits for a person.', openItem(item)) : null;
}

function act(item: WorkItem, action: ActionIdentity): AttentionDocument['step'] {
  return { label: ACTIONS[action].label, action, url: itemUrl(item) };
}

function openItem(item: WorkItem): AttentionDocument['step'] {
  return { label: 'Open the item', action: null, url: itemUrl(item) };
}

const itemUrl = ({ id }: WorkItem) => `/items/${encodeURIComponent(id)}`;

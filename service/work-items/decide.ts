import type { ActionInputs } from './actions-input.ts';
import { labelOf } from './actions.ts';
import { headCommit } from './gates/head.ts';
import { secondable } from './gates/override.ts';
import { trustOf } from './gates/people.ts';
import { shortSha } from './gates/words.ts';
import { isMover, nextLane, positionOf } from './lanes.ts';
import { moveRecord, reconcileEffects, refreshEffects } from './queue-effects.ts';
import type { ActionIdentity, Effect, Facts, HandoffState, ItemEvent, Lane, Principal } from './types.ts';

/** What an allowed action does: the change of lane, the events to record, and the effects in words. */
export interface Decided {
  lane: { from: Lane; to: Lane };
  events: ItemEvent[];
  /** Kind `queue-write`: the outbox moves or rewrites the record so that it agrees with `lane.to`. */
  effects: Effect[];
}

/** What a pure rule cannot make itself: new unique ids. */
export interface Ids {
  id(): string;
}

interface Deciding {
  facts: Facts;
  principal: Principal;
  ids: Ids;
  /** ISO-8601 UTC. */
  now: string;
}

type Noted = ActionInputs['approve'];

type Decider<A extends ActionIdentity> = (
  input: ActionInputs[A],
  deciding: Deciding,
) => Pick<Decided, 'events' | 'effects'>;

/**
 * What `action` with its checked input does to the item. Its gates are assumed to have passed; a move that the lane
 * machine does not allow throws `lane-move-refused` all the same.
 */
export function decide<A extends ActionIdentity>(
  action: A,
  input: ActionInputs[A],
  facts: Facts,
  principal: Principal,
  ids: Ids,
  now: string,
): Decided {
  const { item } = facts;
  const from = item.lane;
  const to = isMover(action) ? nextLane(positionOf(item), action) : from;
  const decider: Decider<A> = DECIDERS[action];
  const { events, effects } = decider(input, { facts, principal, ids, now });
  if (from === to) return { lane: { from, to }, events, effects };
  const note = 'note' in input ? (input.note ?? null) : null;
  return {
    lane: { from, to },
    events: [...events, { type: 'lane-moved', from, to, via: action, note }],
    effects: [{ kind: 'lane', text: `The lane becomes ${to}.` }, ...effects, moveRecord(facts, to)],
  };
}

const DECIDERS: { [A in ActionIdentity]: Decider<A> } = {
  'mark-ready': () => ({ events: [], effects: [] }),
  'start-execution': startExecution,
  claim,
  'release-handoff': releaseHandoff,
  'request-review': requestReview,
  'request-changes': requestChanges,
  complete: (_input, { facts }) => endHandoff(facts, 'accepted'),
  cancel: (_input, { facts }) => endHandoff(facts, 'cancelled'),
  'prepare-release': prepareRelease,
  'record-history': recordHistory,
  reconcile,
  'refresh-truth': ({ note }, { facts }) => ({
    events: [{ type: 'truth-refreshed', note: note ?? null }],
    effects: refreshEffects(facts),
  }),
  'submit-evidence': submitEvidence,
  approve,
  'waive-criterion': ({ criterion, reason }) => ({
    events: [{ type: 'criterion-waived', criterion: criterion.index, criterionText: criterion.text, reason }],
    effects: [{ kind: 'waiver', text: `Criterion ${criterion.index + 1} is waived.` }],
  }),
  'override-gate': overrideGate,
};

function startExecution({ note }: Noted, { facts, ids }: Deciding) {
  const replaced = facts.item.handoff;
  const handoffId = ids.id();
  const promptRevision = facts.queue?.prompt?.revision ?? null;
  const end: ItemEvent[] = replaced
    ? [{ type: 'handoff-ended', handoffId: replaced.id, state: 'cancelled' }]
    : [];
  const text = `Handoff ${handoffId} is queued: claim it here, or let an executor claim it.`;
  const events: ItemEvent[] = [
    ...end,
    { type: 'handoff-queued', handoffId, promptRevision, note: note ?? null },
  ];
  return { events, effects: handoffEffects(text, replaced && `It replaces queued handoff ${replaced.id}.`) };
}

/** Takes the queued handoff; an item that came without one is adopted, in review as already submitted. */
function claim({ note }: Noted, { facts, principal, ids }: Deciding) {
  const { item } = facts;
  const adopted = item.handoff === null;
  const handoffId = item.handoff?.id ?? ids.id();
  const promptRevision = item.handoff?.promptRevision ?? facts.queue?.prompt?.revision ?? null;
  const state = item.lane === 'review' ? 'submitted' : 'claimed';
  const text = adopted
    ? `This item is in ${item.lane} without a handoff; ${principal.name} adopts it as handoff ${handoffId}, ${state}.`
    : `Handoff ${handoffId} is claimed by ${principal.name}.`;
  const event: ItemEvent = {
    type: 'handoff-claimed',
    handoffId,
    adopted,
    promptRevision,
    state,
    note: note ?? null,
  };
  return { events: [event], effects: handoffEffects(text) };
}

/** Releasing is no failure: it does not count as an attempt. */
function releaseHandoff(_input: unknown, { facts }: Deciding) {
  const { item } = facts;
  if (item.handoff) return endHandoff(facts, 'cancelled');
  const text = `This item is in ${item.lane} without a handoff; it goes back to ready, where a new one can be queued.`;
  return { events: [], effects: handoffEffects(text) };
}

/** A queued handoff that nobody claimed has nothing to submit. */
function requestReview(_input: unknown, { facts }: Deciding) {
  const { handoff } = facts.item;
  if (handoff === null || handoff.state === 'queued') return endHandoff(facts, 'cancelled');
  const event: ItemEvent = { type: 'handoff-submitted', handoffId: handoff.id };
  return { events: [event], effects: handoffEffects(`Handoff ${handoff.id} is submitted for review.`) };
}

function requestChanges({ note }: Noted, { facts, ids }: Deciding) {
  const rejected = endHandoff(facts, 'rejected');
  const handoffId = ids.id();
  const promptRevision = facts.queue?.prompt?.revision ?? null;
  const opened = handoffEffects(`Handoff ${handoffId} is queued for the changes: claim it to go on.`);
  const queued: ItemEvent = { type: 'handoff-queued', handoffId, promptRevision, note: note ?? null };
  return { events: [...rejected.events, queued], effects: [...rejected.effects, ...opened] };
}

function endHandoff({ item }: Facts, state: HandoffState): { events: ItemEvent[]; effects: Effect[] } {
  if (!item.handoff) return { events: [], effects: [] };
  const handoffId = item.handoff.id;
  return {
    events: [{ type: 'handoff-ended', handoffId, state }],
    effects: handoffEffects(`Handoff ${handoffId} ends as ${state}.`),
  };
}

function prepareRelease({ note }: Noted, { facts }: Deciding) {
  const { pr } = facts.item.record;
  const event: ItemEvent = { type: 'release-prepared', pr, note: note ?? null };
  return {
    events: [event],
    effects: [{ kind: 'release', text: `The release of ${pr ?? 'this item'} is marked as prepared.` }],
  };
}

/** The caller, who stores the snapshot's content, puts its digest in place of the id. */
function recordHistory({ note }: Noted, { ids }: Deciding) {
  const event: ItemEvent = { type: 'history-recorded', snapshot: ids.id(), note: note ?? null };
  const text = 'A snapshot of the record, its signals and its decisions is kept.';
  return { events: [event], effects: [{ kind: 'history', text }] };
}

function reconcile({ note }: Noted, { facts }: Deciding) {
  const { codes, effects } = reconcileEffects(facts);
  const event: ItemEvent = { type: 'reconciled', codes, note: note ?? null };
  return { events: [event], effects };
}

function submitEvidence(input: ActionInputs['submit-evidence'], { principal, ids }: Deciding) {
  const { kind, criterion, commit = null, result, scriptDigest = null, url = null, note = null } = input;
  const [index, text] = criterion ? [criterion.index, criterion.text] : [null, null];
  const trust = trustOf(principal);
  const bound = { id: ids.id(), kind, criterion: index, criterionText: text, commit, result, scriptDigest };
  const evidence = { ...bound, url, note, trust };
  const subject = criterion ? `criterion ${criterion.index + 1}` : kind;
  const about = commit === null ? ' without a commit' : ` for ${shortSha(commit)}`;
  const event: ItemEvent = { type: 'evidence-submitted', evidence };
  const effect = { kind: 'evidence', text: `Evidence: ${subject} ${result}${about}, trusted as ${trust}.` };
  return { events: [event], effects: [effect] };
}

function approve({ note }: Noted, { facts }: Deciding) {
  const commit = headCommit(facts);
  const text =
    commit === null
      ? 'The work is approved; no commit is named yet.'
      : `Commit ${shortSha(commit)} is approved.`;
  const event: ItemEvent = { type: 'approved', commit, note: note ?? null };
  return { events: [event], effects: [{ kind: 'approval', text }] };
}

/** The same gate and action from another person seconds an override that waits; the earlier end counts. */
function overrideGate(input: ActionInputs['override-gate'], { facts, principal, ids, now }: Deciding) {
  const { gate, action, reason, until } = input;
  const waiting = secondable(facts.item, input, principal.personId, now);
  const passes = `${labelOf(action)} passes gate ${gate}`;
  if (waiting) {
    const event: ItemEvent = { type: 'override-seconded', overrideId: waiting.id, reason, until };
    const end = Date.parse(until) < Date.parse(waiting.until) ? until : waiting.until;
    return { events: [event], effects: [{ kind: 'override', text: `${passes} until ${end}.` }] };
  }
  const then = facts.preset === 'team' ? 'once another owner asks for the same' : 'after the waiting time';
  const event: ItemEvent = {
    type: 'override-requested',
    override: { id: ids.id(), gate, action, reason, until },
  };
  return { events: [event], effects: [{ kind: 'override', text: `${passes} ${then}, until ${until}.` }] };
}

function handoffEffects(...texts: (string | null)[]): Effect[] {
  return texts.filter((text) => text !== null).map((text) => ({ kind: 'handoff', text }));
}

import { ACTIONS, ELIGIBLE_LANES, labelOf } from '../actions.ts';
import {
  allowed,
  isTerminal,
  lanesOf,
  positionOf,
  rulesFrom,
  wayTo,
  wayToAction,
  type Way,
} from '../lanes.ts';
import type { ActionIdentity, Facts, GateResult, Lane, WorkItem } from '../types.ts';
import {
  afterChange,
  awaited,
  blocked,
  byAction,
  byUrl,
  itemFact,
  never,
  notApplicable,
  pass,
  type Gate,
} from './result.ts';
import { either, inTurn, upperFirst, withArticle } from './words.ts';

const CREATE_PERMISSION = 'factory.work-item.create';
const NET_NEW = 'Create a net-new work item if more delivery is needed instead of reopening this one.';

/** Passes where the lane machine allows the mover; the texts of terminal lanes are the reference pages'. */
export const laneTransition: Gate = (facts, action) => {
  const { item } = facts;
  const at = positionOf(item);
  if (allowed(at, action)) {
    if (action === 'start-execution' && hasCurrentHandoff(facts)) return alreadyQueued(facts, action);
    return pass('lane-transition', `${labelOf(action)} is allowed from ${item.lane}.`, {
      facts: laneFacts(facts),
    });
  }
  if (isTerminal(item.lane)) return closed(facts, action);
  if (lanesOf(action).includes(item.lane)) return withoutQueuedHandoff(facts, action);
  const way = wayToAction(at, action);
  return way ? fromElsewhere(facts, action, way) : alreadyPast(facts, action);
};

/** A queued handoff stands until its prompt changes; of many who start at once, one wins. */
function hasCurrentHandoff({ item, queue }: Facts): boolean {
  return item.handoff !== null && item.handoff.promptRevision === (queue?.prompt?.revision ?? null);
}

function alreadyQueued(facts: Facts, action: ActionIdentity): GateResult {
  const { item } = facts;
  const label = labelOf(action);
  const id = item.handoff?.id ?? '';
  return blocked('lane-transition', {
    code: 'handoff-queued',
    cause: `${label} is not allowed from ${item.lane} again: handoff ${id} is queued already.`,
    policyContext: `Lane transition policy allows ${label} only from ready, and queues one handoff at a time.`,
    nextStep: `Take handoff ${id} with ${labelOf('claim')}, or let an executor claim it.`,
    safeRetry: afterChange(
      `Retry ${label} once handoff ${id} has ended, or the prompt has changed.`,
      awaited('item', 'handoff.state', null),
    ),
    params: { label, lane: item.lane, handoff: id },
    facts: laneFacts(facts),
    unblock: [byAction('claim'), byAction('cancel')],
  });
}

function closed(facts: Facts, action: ActionIdentity): GateResult {
  const { item } = facts;
  const [label, lane] = [labelOf(action), upperFirst(item.lane)];
  return blocked('lane-transition', {
    code: 'terminal-lane',
    cause: `${lane} items stay closed; ${label} cannot move them backward.`,
    policyContext: `Lane transition policy blocks ${label} when the item is already ${lane}.`,
    nextStep: NET_NEW,
    safeRetry: never(`Do not retry ${label} on ${withArticle(item.lane)} item.`),
    params: { label, lane: item.lane },
    facts: laneFacts(facts),
    unblock: [netNew(item)],
  });
}

/** Only `claim` depends on the handoff in a lane that its regular rules start from. */
function withoutQueuedHandoff(facts: Facts, action: ActionIdentity): GateResult {
  const { item } = facts;
  const label = labelOf(action);
  const { actions } = wayToAction(positionOf(item), action) ?? { actions: [] };
  const holding = item.handoff ? `: handoff ${item.handoff.id} is ${item.handoff.state}` : '';
  return blocked('lane-transition', {
    code: 'no-queued-handoff',
    cause: `${label} is not allowed from ${item.lane} without a queued handoff${holding}.`,
    policyContext: `Lane transition policy allows ${label} only on a queued handoff.`,
    nextStep: `Queue a handoff with ${labels(actions)}.`,
    safeRetry: afterChange(
      `Retry ${label} once a handoff of this ${item.lane} item is queued.`,
      awaited('item', 'handoff.state', 'queued'),
    ),
    params: { label, lane: item.lane, actions },
    facts: laneFacts(facts),
    unblock: actions.map(byAction),
  });
}

function fromElsewhere(facts: Facts, action: ActionIdentity, way: Way): GateResult {
  const { item } = facts;
  const [label, lanes] = [labelOf(action), lanesOf(action)];
  const queued = action === 'claim' ? [awaited('item', 'handoff.state', 'queued')] : [];
  const ended = action === 'start-execution' && item.handoff ? [awaited('item', 'handoff.state', null)] : [];
  return blocked('lane-transition', {
    code: 'lane-not-allowed',
    cause: `${label} is not allowed from ${item.lane}.`,
    policyContext: `Lane transition policy allows ${label} only from ${either(lanes)}.`,
    nextStep: `Move the item to ${way.lane} with ${labels(way.actions)}.`,
    safeRetry: afterChange(
      `Retry ${label} after the lane is ${either(lanes)}.`,
      awaited('item', 'lane', ...lanes),
      ...queued,
      ...ended,
    ),
    params: { label, lane: item.lane, allowed: lanes, actions: way.actions },
    facts: laneFacts(facts),
    unblock: way.actions.map(byAction),
  });
}

/** Nothing leads back to the lane that the action starts from: what is open from here is the way on. */
function alreadyPast(facts: Facts, action: ActionIdentity): GateResult {
  const { item } = facts;
  const [label, lanes] = [labelOf(action), lanesOf(action)];
  const onward = [...new Set(rulesFrom(positionOf(item)).map((rule) => rule.action))];
  return blocked('lane-transition', {
    code: 'lane-passed',
    cause: `${label} is not allowed from ${item.lane}.`,
    policyContext: `Lane transition policy allows ${label} only from ${either(lanes)}.`,
    nextStep: `No action moves an item back to ${either(lanes)}; go on with ${either(onward.map(labelOf))}.`,
    safeRetry: never(`Do not retry ${label} on ${withArticle(item.lane)} item.`),
    params: { label, lane: item.lane, allowed: lanes, actions: onward },
    facts: laneFacts(facts),
    unblock: onward.map(byAction),
  });
}

/** Cause (after `{Lane} items`), policy context and next step of the actions that move nothing but depend on the lane. */
const ELIGIBILITY: Partial<
  Record<ActionIdentity, { cause: string; policyContext: string; nextStep?: string }>
> = {
  'prepare-release': {
    cause: 'have nothing to release.',
    policyContext: 'Release preparation needs a reviewed or done item.',
    nextStep: 'Finish review first.',
  },
  'submit-evidence': {
    cause: 'take no evidence.',
    policyContext: 'Submit evidence needs an executing or reviewed item.',
    nextStep: 'Begin execution first.',
  },
  approve: {
    cause: 'have nothing to approve.',
    policyContext: 'Approve needs an item in review.',
    nextStep: 'Request a review first.',
  },
  'waive-criterion': {
    cause: 'have no criterion to waive.',
    policyContext: 'Waive criterion needs an executing or reviewed item.',
    nextStep: 'Begin execution first.',
  },
  'override-gate': {
    cause: 'have no gate to override.',
    policyContext: 'Override gate needs an item that is not cancelled.',
  },
};

/** Passes where an action that moves nothing makes sense in the lane. */
export const laneEligibility: Gate = (facts, action) => {
  const { item } = facts;
  const lanes = ELIGIBLE_LANES[action];
  const texts = ELIGIBILITY[action];
  if (!lanes || !texts)
    return notApplicable('lane-eligibility', `${labelOf(action)} does not depend on the lane.`);
  if (lanes.includes(item.lane)) {
    return pass('lane-eligibility', `${labelOf(action)} applies to ${item.lane} items.`, {
      facts: laneFacts(facts),
    });
  }
  const label = ACTIONS[action].label;
  const way = wayTo(positionOf(item), (at) => lanes.includes(at.lane));
  return blocked('lane-eligibility', {
    code: way ? 'lane-not-eligible' : 'terminal-lane',
    cause: `${upperFirst(item.lane)} items ${texts.cause}`,
    policyContext: texts.policyContext,
    nextStep: way
      ? `${texts.nextStep ?? ''} Move the item to ${way.lane} with ${labels(way.actions)}.`.trim()
      : NET_NEW,
    safeRetry: way
      ? afterChange(`Retry ${label} after the lane is ${either(lanes)}.`, awaited('item', 'lane', ...lanes))
      : never(`Do not retry ${label} on ${withArticle(item.lane)} item.`),
    params: { label, lane: item.lane, allowed: lanes, actions: way?.actions ?? [] },
    facts: laneFacts(facts),
    unblock: way ? way.actions.map(byAction) : [netNew(item)],
  });
};

const netNew = (item: WorkItem) =>
  byUrl(`/items/new?supersedes=${encodeURIComponent(item.id)}`, CREATE_PERMISSION);

const labels = (actions: readonly ActionIdentity[]) => inTurn(actions.map(labelOf));

function laneFacts(facts: Facts) {
  const lane: Lane = facts.item.lane;
  return [itemFact(facts, 'lane', lane), itemFact(facts, 'handoff.state', facts.item.handoff?.state ?? null)];
}

import { ACTIONS, labelOf } from '../actions.ts';
import { allowed, isTerminal, positionOf, wayToAction } from '../lanes.ts';
import type { ActionIdentity, Facts, Handoff, Principal, Unblock } from '../types.ts';
import { nameOf, trustOf } from './people.ts';
import { blocked, byAction, itemFact, never, notApplicable, pass, type Gate } from './result.ts';
import { inTurn, upperFirst } from './words.ts';

/** Passes where the agent that asks holds the open handoff; people need no lease. */
export const leaseHeld: Gate = (facts, action, _policy, principal) => {
  const { handoff, lane } = facts.item;
  if (trustOf(principal) !== 'agent') return notApplicable('lease-held', 'Only agents work under a lease.');
  if (isTerminal(lane)) return notApplicable('lease-held', `${upperFirst(lane)} items stay closed.`);
  if (handoff?.holder?.id !== principal.id) return notHeld(facts, action, principal);
  return pass('lease-held', `You hold handoff ${handoff.id} with fence ${handoff.fence}.`, {
    facts: [itemFact(facts, 'handoff.holder', handoff.holder.id)],
  });
};

function notHeld(facts: Facts, action: ActionIdentity, principal: Principal) {
  const { handoff, pastHandoffs, lane } = facts.item;
  const own = pastHandoffs.findLast(({ holder }) => holder?.id === principal.id);
  const holder = handoff?.holder ? `, held by ${holderOf(handoff, facts)}` : '';
  const open = handoff ? `; handoff ${handoff.id} is ${handoff.state}${holder}` : '; no handoff is open';
  const fences = own && handoff && own.fence < handoff.fence ? `fence ${own.fence} < ${handoff.fence}` : null;
  const { nextStep, unblock } = waysToHold(facts);
  return blocked('lease-held', {
    code: own ? 'lease-ended' : 'no-lease',
    cause: own
      ? `Your lease ended at ${own.endedAt}; ${fences ?? `fence ${own.fence} is spent`}${open}.`
      : `You hold no lease of this item${open}.`,
    policyContext: 'Only the current holder writes.',
    nextStep: `Stop; ${nextStep}`,
    safeRetry: never(`Do not retry ${labelOf(action)} on this ${lane} item with this fence.`),
    params: { fence: own?.fence ?? null, current: handoff?.fence ?? null },
    facts: [itemFact(facts, 'handoff.holder', handoff?.holder?.id ?? null)],
    unblock,
  });
}

/** Claiming where the lane machine lets anybody claim; else the way there, whose first step the holder takes. */
function waysToHold(facts: Facts): { nextStep: string; unblock: Unblock[] } {
  const { item } = facts;
  const at = positionOf(item);
  const claim = `${labelOf('claim')} it before you write.`;
  if (allowed(at, 'claim')) return { nextStep: claim, unblock: [byAction('claim')] };
  const actions = wayToAction(at, 'claim')?.actions ?? [];
  const steps = inTurn(actions.map(labelOf));
  const unblock = actions.map(byAction);
  const first = actions[0] && ACTIONS[actions[0]].permission;
  if (!item.handoff?.holder || first !== ACTIONS.claim.permission) {
    return { nextStep: `it can be claimed after ${steps}. Then ${claim}`, unblock };
  }
  const holder = holderOf(item.handoff, facts);
  const nextStep = `ask ${holder}, or an owner, to free it with ${steps}. Then ${claim}`;
  return { nextStep, unblock };
}

const holderOf = ({ holder }: Handoff, facts: Facts) =>
  holder ? nameOf(holder.kind === 'system' ? null : holder.id, facts) : 'nobody';

import { ACTIONS, listedActions } from '../actions.ts';
import { isMover, isTerminal } from '../lanes.ts';
import { gatesOf, isHard, type PackedGate } from '../packs.ts';
import type {
  ActionIdentity,
  ActionReport,
  Facts,
  GateIdentity,
  GateResult,
  Lane,
  Override,
  Policy,
  Principal,
  Verdict,
} from '../types.ts';
import { contextVisibility, promptContext } from './context.ts';
import { criteriaMet } from './criteria.ts';
import { validationEvidence, validationScriptUnchanged } from './evidence.ts';
import { capacity, changeWindow, dependencies, singleHandoff } from './flow.ts';
import { laneEligibility, laneTransition } from './lane.ts';
import { leaseHeld } from './lease.ts';
import { reasonsOf, standingOverride, withWaiting } from './override.ts';
import { nameOf } from './people.ts';
import { pullRequest } from './pull-request.ts';
import { notApplicable, type Gate } from './result.ts';
import { independentReview } from './review.ts';
import { driftFree, truthFresh } from './truth.ts';
import { upperFirst } from './words.ts';

export const GATES: Readonly<Record<GateIdentity, Gate>> = {
  'lane-transition': laneTransition,
  'lane-eligibility': laneEligibility,
  'pull-request': pullRequest,
  'context-visibility': contextVisibility,
  'prompt-context': promptContext,
  dependencies,
  'truth-fresh': truthFresh,
  'drift-free': driftFree,
  capacity,
  'single-handoff': singleHandoff,
  'lease-held': leaseHeld,
  'validation-evidence': validationEvidence,
  'validation-script-unchanged': validationScriptUnchanged,
  'criteria-met': criteriaMet,
  'independent-review': independentReview,
  window: changeWindow,
};

/**
 * All gates of an action in the table's order, none skipped. Permission is reported beside them and does not touch
 * `enabled`. Throws `gate-pack-unknown` where the policy names no existing pack.
 */
export function evaluateAction(
  action: ActionIdentity,
  facts: Facts,
  policy: Policy,
  principal: Principal,
  now: string,
): ActionReport {
  const { identity, label, description, permission } = ACTIONS[action];
  const gates = gatesOf(action, policy).map((packed) =>
    evaluateGate(packed, facts, action, policy, principal, now),
  );
  return {
    identity,
    label,
    description,
    enabled: gates.every(({ verdict }) => !isBlocking(verdict)),
    permission: { name: permission, granted: principal.permissions.has(permission) },
    gates,
  };
}

/** The actions that a list shows: the four always, the others where the lane allows them, or all. */
export function evaluateActions(
  facts: Facts,
  policy: Policy,
  principal: Principal,
  now: string,
  all = false,
): ActionReport[] {
  return listedActions(facts.item, all).map((action) =>
    evaluateAction(action, facts, policy, principal, now),
  );
}

/** The gates that stop the action. Unknown counts as blocked. */
export function blockersOf(report: Pick<ActionReport, 'gates'>): GateResult[] {
  return report.gates.filter(({ verdict }) => isBlocking(verdict));
}

/** What lists show: on a terminal lane the gates of movers that do not apply stay in the record only. */
export function shownGates(report: Pick<ActionReport, 'identity' | 'gates'>, lane: Lane): GateResult[] {
  const hide = isTerminal(lane) && isMover(report.identity);
  return hide ? report.gates.filter(({ verdict }) => verdict !== 'not-applicable') : report.gates;
}

function isBlocking(verdict: Verdict): boolean {
  return verdict === 'blocked' || verdict === 'unknown';
}

function evaluateGate(
  { gate, mode }: PackedGate,
  facts: Facts,
  action: ActionIdentity,
  policy: Policy,
  principal: Principal,
  now: string,
): GateResult {
  const { lane } = facts.item;
  if (isTerminal(lane) && isMover(action) && gate !== 'lane-transition') {
    return notApplicable(gate, `${upperFirst(lane)} items stay closed.`);
  }
  const result = GATES[gate](facts, action, policy, principal, now);
  if (!isBlocking(result.verdict)) return result;
  if (mode === 'warn') return { ...result, verdict: 'warn' };
  const standing = isHard(gate, policy) ? null : standingOverride(gate, action, facts, policy, now);
  if (standing === null) return result;
  if (standing.state === 'in-force') return overridden(result, standing.override, facts);
  return withWaiting(result, standing, facts, action, now);
}

function overridden(result: GateResult, override: Override, facts: Facts): GateResult {
  const { id, until, by, secondedBy } = override;
  const who = nameOf(by.personId, facts);
  const second = secondedBy ? nameOf(secondedBy.personId, facts) : null;
  const people = second === null ? who : `${who} and ${second}`;
  const reason = reasonsOf(override, second);
  return {
    ...result,
    verdict: 'overridden',
    reason: `Overridden by ${people} until ${until}: ${reason}`,
    params: { ...result.params, override: { id, who, second, until, reason, cause: result.reason } },
  };
}

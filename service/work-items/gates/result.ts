import { ACTIONS } from '../actions.ts';
import type {
  ActionIdentity,
  AwaitedFact,
  Facts,
  GateFact,
  GateIdentity,
  GateResult,
  Policy,
  Principal,
  Recovery,
  SafeRetry,
  Unblock,
} from '../types.ts';

/** One pure rule. `now` is ISO-8601 UTC text. It never throws and looks at nothing but its arguments. */
export type Gate = (
  facts: Facts,
  action: ActionIdentity,
  policy: Policy,
  principal: Principal,
  now: string,
) => GateResult;

interface Shown {
  facts?: GateFact[];
  params?: Record<string, unknown>;
}

/** A blocking verdict: what is wrong and the way out. The cause is the reason. */
export interface Obstacle extends Recovery, Shown {
  code: string;
  unblock: Unblock[];
}

export function pass(gate: GateIdentity, reason: string, shown: Shown & { code?: string } = {}): GateResult {
  const { code = 'ok', facts = [], params = {} } = shown;
  return { gate, code, verdict: 'pass', reason, params, facts, recovery: null, unblock: [] };
}

export function notApplicable(gate: GateIdentity, reason: string): GateResult {
  const none = { params: {}, facts: [], recovery: null, unblock: [] };
  return { gate, code: 'not-applicable', verdict: 'not-applicable', reason, ...none };
}

export function blocked(gate: GateIdentity, obstacle: Obstacle): GateResult {
  return refused(gate, 'blocked', obstacle);
}

/** For facts that a connected source should give and does not; counts as blocked. */
export function unknown(gate: GateIdentity, obstacle: Obstacle): GateResult {
  return refused(gate, 'unknown', obstacle);
}

function refused(gate: GateIdentity, verdict: 'blocked' | 'unknown', obstacle: Obstacle): GateResult {
  const { code, cause, policyContext, nextStep, safeRetry, unblock, facts = [], params = {} } = obstacle;
  const recovery = { cause, policyContext, nextStep, safeRetry };
  return { gate, code, verdict, reason: cause, params, facts, recovery, unblock };
}

/** The text of a safe retry, which names the action and where the item stands: `Retry Complete on this review item once …`. */
export function retry({ item }: Pick<Facts, 'item'>, action: ActionIdentity, when: string): string {
  return `Retry ${ACTIONS[action].label} on this ${item.lane} item ${when}.`;
}

/** A retry that makes sense once the awaited facts (at least one) hold; the first is the one that people look at. */
export function afterChange(text: string, ...facts: AwaitedFact[]): SafeRetry {
  const [first, ...also] = facts;
  if (!first) return { text, mode: 'after-change' };
  return { text, mode: 'after-change', whenFact: also.length > 0 ? { ...first, also } : first };
}

export function never(text: string): SafeRetry {
  return { text, mode: 'never' };
}

/** `at` is ISO-8601 text; a time in the past gives 0. */
export function afterTime(text: string, at: string, now: string): SafeRetry {
  const afterSeconds = Math.max(0, Math.ceil((Date.parse(at) - Date.parse(now)) / 1000));
  return { text, mode: 'after-time', afterSeconds };
}

export function awaited(source: string, path: string, ...becomes: unknown[]): AwaitedFact {
  return { source, path, becomes };
}

export function fact(
  source: string,
  path: string,
  value: unknown,
  observedAt: string | null = null,
  revision: string | null = null,
): GateFact {
  return { source, path, value, observedAt, revision };
}

/** A fact of the projection. It has no revision of its own: the decision keeps the item's version. */
export function itemFact(facts: Facts, path: string, value: unknown): GateFact {
  return fact('item', path, value, facts.item.updatedAt);
}

export function byAction(action: ActionIdentity): Unblock {
  return { action, permission: ACTIONS[action].permission };
}

export function byUrl(url: string, permission: string | null = null): Unblock {
  return { url, permission };
}

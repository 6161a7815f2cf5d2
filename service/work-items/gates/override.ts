import { labelOf } from '../actions.ts';
import type {
  ActionIdentity,
  Facts,
  GateIdentity,
  GateResult,
  Override,
  Policy,
  WorkItem,
} from '../types.ts';
import { countsFrom, nameOf, ownersBut } from './people.ts';
import { afterTime, byAction, byUrl, retry } from './result.ts';
import { either } from './words.ts';

/** What decides, beside the override itself, whether it counts. */
export interface OverrideRules extends Pick<Policy, 'soloWaitSeconds'> {
  /** Effective preset. */
  preset: 'solo' | 'team';
  now: string;
}

export const OVERRIDE_STATES = ['waiting-for-person', 'waiting-until', 'in-force', 'ended'] as const;

export interface OverrideState {
  state: (typeof OVERRIDE_STATES)[number];
  /** The time from which it counts or counted; null while that takes a second person, and where there was none. */
  from: string | null;
}

/**
 * Where an override stands: it counts once another person asks for the same, in the solo preset also alone after the
 * waiting time, and until its end. One that ends before its waiting time does can only be seconded.
 */
export function overrideState(
  { by, at, until, secondedAt }: Override,
  { preset, soloWaitSeconds, now }: OverrideRules,
): OverrideState {
  const [time, end] = [Date.parse(now), Date.parse(until)];
  const alone = countsFrom({ by, at }, new Set([by.personId ?? by.id]), preset, soloWaitSeconds);
  const from = earliest([secondedAt, alone && Date.parse(alone) < end ? alone : null]);
  if (end <= time) return { state: 'ended', from };
  // What was seconded counts at once, also where the clock was set back since.
  if (secondedAt !== null) return { state: 'in-force', from };
  if (from === null) return { state: 'waiting-for-person', from };
  return { state: Date.parse(from) <= time ? 'in-force' : 'waiting-until', from };
}

/** An override and where it stands. */
export interface Standing extends OverrideState {
  override: Override;
}

/** Of the overrides of a gate that have not ended the one that counts or will first, the newer of two alike; null: none. */
export function standingOverride(
  gate: GateIdentity,
  action: ActionIdentity,
  { item, preset }: Pick<Facts, 'item' | 'preset'>,
  { soloWaitSeconds }: Pick<Policy, 'soloWaitSeconds'>,
  now: string,
): Standing | null {
  const all = item.overrides
    .filter((one) => one.gate === gate && one.action === action)
    .map((override) => ({ override, ...overrideState(override, { preset, soloWaitSeconds, now }) }));
  const waiting = all.filter(({ state }) => state === 'waiting-until');
  return (
    all.findLast(({ state }) => state === 'in-force') ??
    waiting.sort((a, b) => Date.parse(a.from ?? '') - Date.parse(b.from ?? ''))[0] ??
    all.findLast(({ state }) => state === 'waiting-for-person') ??
    null
  );
}

/** A blocked gate that says which override of it waits, whose it is, and for whom or until when. */
export function withWaiting(
  result: GateResult,
  { override, state, from }: Standing,
  facts: Facts,
  action: ActionIdentity,
  now: string,
): GateResult {
  const { recovery } = result;
  if (!recovery) return result;
  const { id, by, until, reason } = override;
  const who = nameOf(by.personId, facts);
  const counts = state === 'waiting-until' ? `counts from ${from}` : 'waits for a second person';
  const cause = `${recovery.cause} An override by ${who} until ${until} is recorded and ${counts}.`;
  const { nextStep, unblock } = waysToCount({ override, state, from }, facts);
  const soon =
    from === null ? null : afterTime(retry(facts, action, `after ${from}, when it counts`), from, now);
  const sooner = (recovery.safeRetry.afterSeconds ?? Infinity) <= (soon?.afterSeconds ?? Infinity);
  const safeRetry = soon && !sooner ? soon : recovery.safeRetry;
  const others = result.unblock.filter(
    (way) => !unblock.some(({ action }) => action && action === way.action),
  );
  return {
    ...result,
    reason: cause,
    params: { ...result.params, waitingOverride: { id, who, until, reason, state, from } },
    recovery: { ...recovery, cause, nextStep: `${nextStep} Or: ${recovery.nextStep}`, safeRetry },
    unblock: [...unblock, ...others],
  };
}

function waysToCount(
  { override, state, from }: Standing,
  facts: Facts,
): { nextStep: string; unblock: GateResult['unblock'] } {
  const ask = labelOf('override-gate');
  if (state === 'waiting-until')
    return { nextStep: `Wait until ${from}, when the override counts.`, unblock: [] };
  const owners = ownersBut(override.by.personId, facts);
  if (owners.length > 0) {
    return {
      nextStep: `Ask ${either(owners)} for the same with ${ask}.`,
      unblock: [byAction('override-gate')],
    };
  }
  return {
    nextStep: `Invite a second owner, who asks for the same with ${ask}.`,
    unblock: [byUrl('/people', 'factory.people.manage')],
  };
}

/** The override that another request of this person for the same gate and action would second; undefined: none. */
export function secondable(
  { overrides }: Pick<WorkItem, 'overrides'>,
  { gate, action }: { gate: GateIdentity; action: ActionIdentity },
  personId: string,
  now: string,
): Override | undefined {
  return overrides.findLast(
    (one) =>
      one.gate === gate &&
      one.action === action &&
      one.secondedBy === null &&
      one.by.personId !== personId &&
      Date.parse(one.until) > Date.parse(now),
  );
}

/** Why an override was asked for, by both people where the second had another reason; `second` is that one's name. */
export function reasonsOf({ reason, secondReason = reason }: Override, second: string | null): string {
  return second === null || secondReason === reason ? reason : `${reason} ${second} adds: ${secondReason}`;
}

function earliest(times: (string | null)[]): string | null {
  const known = times.filter((time) => time !== null);
  return known.sort((a, b) => Date.parse(a) - Date.parse(b))[0] ?? null;
}

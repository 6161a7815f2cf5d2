import type { ActionIdentity, GateIdentity, Override, Policy, WorkItem } from '../types.ts';
import { countsFrom } from './people.ts';

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

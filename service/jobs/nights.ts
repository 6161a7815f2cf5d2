import type { JobRun } from './types.ts';

/**
 * made     a full backup in every destination
 * partly   some destination failed
 * failed   tried, and nothing was made
 * missing  nothing was tried, though earlier nights were
 * waiting  tonight, still to come
 * before   there was no backup before that night
 */
export const NIGHT_STATES = ['made', 'partly', 'failed', 'missing', 'waiting', 'before'] as const;
export type NightState = (typeof NIGHT_STATES)[number];

export interface Night {
  /** `2026-11-23`, UTC. */
  day: string;
  state: NightState;
  /** The run that decided; null: there was none that ended. */
  runId: string | null;
}

const DAY_MS = 86_400_000;
const BY_OUTCOME: Record<NonNullable<JobRun['outcome']>, NightState> = {
  ok: 'made',
  skipped: 'made',
  degraded: 'partly',
  failed: 'failed',
  lost: 'failed',
  'given-up': 'failed',
};
const RANK: Partial<Record<NightState, number>> = { made: 3, partly: 2, failed: 1 };

/** The last `days` days up to `now` from runs of the nightly backup, oldest first. A day counts as its best run does. */
export function nightsOf(runs: readonly JobRun[], now: number, days = 30): Night[] {
  const best = new Map<string, Night>();
  for (const { id, outcome, dueAt, startedAt } of runs) {
    if (outcome === null) continue;
    const day = (dueAt ?? startedAt).slice(0, 10);
    const state = BY_OUTCOME[outcome];
    const known = best.get(day);
    if (known === undefined || (RANK[state] ?? 0) > (RANK[known.state] ?? 0))
      best.set(day, { day, state, runId: id });
  }
  const first = [...best.keys()].sort()[0];
  return Array.from({ length: days }, (_, index) => {
    const ago = days - 1 - index;
    const day = new Date(now - ago * DAY_MS).toISOString().slice(0, 10);
    const none = ago === 0 ? 'waiting' : first === undefined || day < first ? 'before' : 'missing';
    return best.get(day) ?? { day, state: none, runId: null };
  });
}

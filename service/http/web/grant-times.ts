import type { BreakGlassTerms } from '../../chat/grants/new-grant.ts';

/** For how long people are let in, by the choices of the forms. Pure. */

export type GrantKind = 'session' | 'break-glass';

const HOUR = 3600;
const DAY = 24 * HOUR;

export const DURATIONS: Record<GrantKind, readonly [seconds: number, text: string][]> = {
  session: [
    [HOUR, '1 hour'],
    [DAY, '1 day'],
    [7 * DAY, '1 week'],
    [30 * DAY, '30 days'],
    [90 * DAY, '90 days'],
    [365 * DAY, '1 year'],
  ],
  'break-glass': [
    [HOUR, '1 hour'],
    [4 * HOUR, '4 hours'],
    [8 * HOUR, '8 hours'],
    [DAY, '1 day'],
  ],
};

/** When a choice ends; null: it is none of the form. A waiting time is not taken from it. `now` in milliseconds. */
export function endOf(kind: GrantKind, choice: string, terms: BreakGlassTerms, now: number): string | null {
  const seconds = DURATIONS[kind].find(([one]) => String(one) === choice)?.[0];
  if (seconds === undefined) return null;
  const waits = kind === 'break-glass' && terms.preset === 'solo' ? terms.waitSeconds : 0;
  return new Date(now + (waits + seconds) * 1000).toISOString();
}

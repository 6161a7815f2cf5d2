import type { Kind } from './format.ts';
import type { State } from './state.ts';

/** Which kind of backup is next. Pure. */

/** A differential rests on one full backup of the last day, never on another differential. */
export const FULL_EVERY_MS = 24 * 60 * 60 * 1000;
/** Beyond this share of changed pages a full backup is hardly larger, and restores in one step. */
const WORTH = 0.5;

export interface Choice {
  forced: boolean;
  full: State['full'];
  /** Every destination that answers has the full backup. */
  held: boolean;
  /** Its page list is at hand. */
  listed: boolean;
  pageSize: number;
  now: number;
}

export function chooseKind({ forced, full, held, listed, pageSize, now }: Choice): Kind {
  if (forced || full === null || !held || !listed || full.pageSize !== pageSize) return 'full';
  const age = now - Date.parse(full.startedAt);
  // A clock that went back says nothing about age.
  return age >= 0 && age < FULL_EVERY_MS ? 'differential' : 'full';
}

export function worthIt(changedPages: number, pages: number): boolean {
  return changedPages <= WORTH * pages;
}

import type { BackupStatus, DestinationStatus, DrillStatus } from './types.ts';

/** How old what is known is. Seconds; null: there is nothing. */

export function ageSeconds(iso: string | null | undefined, now: number): number | null {
  if (!iso) return null;
  return Math.max(0, Math.floor((now - Date.parse(iso)) / 1000));
}

/** Of the newest backup of a destination, whoever read it again. */
export function newestAge({ newest, coveredAt }: DestinationStatus, now: number): number | null {
  return newest === null ? null : ageSeconds(later(newest.takenAt, coveredAt), now);
}

/**
 * Of the newest verified backup of a destination. Where it is the newest one, it holds everything up to the last run
 * that found nothing to send, too.
 */
export function verifiedAge({ newest, verified, coveredAt }: DestinationStatus, now: number): number | null {
  if (verified === null) return null;
  const covers = newest === null || newest.backupId === verified.backupId;
  return ageSeconds(covers ? later(verified.takenAt, coveredAt) : verified.takenAt, now);
}

function later(one: string, other: string | null): string {
  return other !== null && Date.parse(other) > Date.parse(one) ? other : one;
}

/** Whether a monitor has to be told: nothing there, older than the budget, or known to fail. */
export function isOverdue({
  status,
  ageSeconds: age,
  budgetSeconds,
}: Pick<BackupStatus | DrillStatus, 'status' | 'ageSeconds' | 'budgetSeconds'>): boolean {
  return status === 'failing' || status === 'not-configured' || age === null || age > budgetSeconds;
}

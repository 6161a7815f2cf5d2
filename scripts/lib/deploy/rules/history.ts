import type { DeployRecord } from '../../../../service/jobs/deploy-history.ts';

/** What follows from what was deployed before. Pure. */

/** Whether the newest run on this release held to its end: then doing it again is nothing. */
export function heldLast(history: readonly DeployRecord[], release: string): boolean {
  const [newest] = history;
  return newest?.release === release && (newest.outcome === 'ok' || newest.outcome === 'unchanged');
}

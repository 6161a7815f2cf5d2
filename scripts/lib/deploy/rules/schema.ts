import type { DatabasePlan } from '../types.ts';

/** Which releases can work on which database. Takes facts; fetches nothing. */

/** Why a release cannot go on with a database; null: it can. */
export function cannotRead(
  { release, schema }: { release: string; schema: number },
  { minReader }: { minReader: number },
): string | null {
  if (schema >= minReader) return null;
  return (
    `${release} knows the database up to schema ${schema}, and the database can only be read from schema ${minReader} on: ` +
    'a migration since then removed what it needs'
  );
}

/** Why a migration would leave no way back to the live release; null: it leaves it. */
export function closesTheWayBack(
  plan: Pick<DatabasePlan, 'from' | 'to' | 'minReaderAfter'>,
  live: { release: string; schema: number } | null,
): string | null {
  if (live === null || plan.from >= plan.to) return null;
  const why = cannotRead(live, { minReader: plan.minReaderAfter });
  return why === null
    ? null
    : `the migration from schema ${plan.from} to ${plan.to} is not backward compatible: ${why}`;
}

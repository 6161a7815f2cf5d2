import type { Destination } from '../destinations/destination.ts';
import { inTurn } from './catalog.ts';
import type { Catalog, Entry } from './catalog.ts';
import { confirmed, inOrder } from './pick.ts';
import type { Searched, Wanted } from './pick.ts';

/**
 * What several destinations together have for a restore. Each may have missed some nights, so that the first one's newest
 * backup is not the newest. Pure.
 */

export interface Holding {
  destination: Destination;
  catalog: Catalog;
}

/** A backup as one destination holds it. */
export type Copy = Holding & { entry: Entry };

/** One backup, wherever it lies; any copy that restores is as good as another. */
export interface Candidate {
  /** The copy that tells when it was stored: one whose destination confirms its time, where there is one. */
  entry: Entry;
  /** In the order of the destinations. */
  copies: readonly [Copy, ...Copy[]];
}

/** All that are an answer to what is wanted, the best first. Errors: as of `inOrder`. */
export function candidatesOf(
  holdings: readonly Holding[],
  wanted: Wanted,
  now: number,
): [Candidate, ...Candidate[]] {
  // The same id is not enough: somebody who writes to one destination could put another backup under it.
  const groups = new Map<string, [Copy, ...Copy[]]>();
  for (const holding of holdings)
    for (const entry of holding.catalog.entries) {
      const { backupId, signature } = entry.manifest;
      const key = `${backupId} ${signature.publicKey} ${signature.value}`;
      const copies = groups.get(key);
      if (copies === undefined) groups.set(key, [{ ...holding, entry }]);
      else copies.push({ ...holding, entry });
    }
  const candidates = [...groups.values()].map((copies) => ({ entry: tellsTime(copies), copies }));
  const byEntry = new Map(candidates.map((one) => [one.entry, one]));
  const entries = [...byEntry.keys()].sort((a, b) => inTurn(a.manifest, b.manifest));
  const ordered = inOrder({ ...together(holdings), entries }, wanted, now);
  return ordered.map((entry) => byEntry.get(entry) as Candidate) as [Candidate, ...Candidate[]];
}

const tellsTime = (copies: readonly [Copy, ...Copy[]]): Entry =>
  (copies.find(({ entry }) => confirmed(entry)) ?? copies[0]).entry;

/** All that tells why there is no answer. */
function together(holdings: readonly Holding[]): Omit<Searched, 'entries'> {
  const catalogs = holdings.map(({ catalog }) => catalog);
  return {
    url: catalogs.map(({ url }) => url).join(', '),
    ...(catalogs[0] ? { name: catalogs[0].name } : {}),
    problems: catalogs.flatMap(({ problems }) => problems),
    otherNames: [...new Set(catalogs.flatMap(({ otherNames }) => otherNames))].sort(),
  };
}

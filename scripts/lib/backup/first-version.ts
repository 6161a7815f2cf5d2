import type { Destination, Limits, Stored, Version } from '../destinations/destination.ts';
import { isShared } from './blob-list.ts';

/**
 * An object is written once and never replaced, so the first version of a key is the object, whatever was put over it
 * later: whoever stole a key that may write can add versions, and nothing reads them. Of an object that is named by its own
 * digest any version may be it: see shared-object.ts.
 */

/** Which versions count; of a key that is in neither there is one. */
export interface Versions {
  /** The first one. */
  versions?: ReadonlyMap<string, string> | undefined;
  /** Of what backups share: those after the first, in their order. */
  later?: ReadonlyMap<string, readonly Pick<Version, 'version' | 'bytes'>[]> | undefined;
}

/**
 * What lies below the prefixes, the versions to read where a key has more than one, and what something hides, where that is
 * told and not asked for.
 */
export async function firstVersions(
  destination: Destination,
  prefixes: readonly string[],
  { signal, hidden = false }: Limits & { hidden?: boolean },
): Promise<Required<Versions> & { stored: Stored[]; versions: Map<string, string>; hidden: Stored[] }> {
  const versions = new Map<string, string>();
  const later = new Map<string, Version[]>();
  const away: Stored[] = [];
  const found = await Promise.all(
    prefixes.map(async (prefix) => {
      const history = await destination.history?.(prefix, { signal });
      if (!history) return destination.list(prefix, { signal });
      return [...byKey(history).values()].flatMap((all) => {
        const first = all.at(-1);
        if (first === undefined) return [];
        const { key, bytes, storedAt } = first;
        if (first.hidden && !hidden) {
          away.push({ key, bytes, storedAt });
          return [];
        }
        if (all.length > 1 || first.hidden) versions.set(key, first.version);
        if (all.length > 1 && isShared(key)) later.set(key, all.slice(0, -1).reverse());
        return [{ key, bytes, storedAt }];
      });
    }),
  );
  return { stored: found.flat(), versions, later, hidden: away };
}

function byKey(history: readonly Version[]): Map<string, Version[]> {
  const keys = new Map<string, Version[]>();
  for (const one of history) keys.set(one.key, [...(keys.get(one.key) ?? []), one]);
  return keys;
}

/** The same destination, read in those versions. */
export function inFirstVersions(
  destination: Destination,
  versions: ReadonlyMap<string, string> = new Map(),
): Destination {
  if (versions.size === 0) return destination;
  return {
    ...destination,
    get: (key, options) => destination.get(key, { version: versions.get(key), ...options }),
  };
}

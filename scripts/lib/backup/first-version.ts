import type { Destination, Limits, Stored, Version } from '../destinations/destination.ts';

/**
 * An object is written once and never replaced, so the first version of a key is the object, whatever was put over it
 * later: whoever stole a key that may write can add versions, and nothing reads them.
 */

/**
 * What lies below the prefixes, the versions to read where a key has more than one, and what something hides, where that is
 * told and not asked for.
 */
export async function firstVersions(
  destination: Destination,
  prefixes: readonly string[],
  { signal, hidden = false }: Limits & { hidden?: boolean },
): Promise<{ stored: Stored[]; versions: Map<string, string>; hidden: Stored[] }> {
  const versions = new Map<string, string>();
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
        return [{ key, bytes, storedAt }];
      });
    }),
  );
  return { stored: found.flat(), versions, hidden: away };
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

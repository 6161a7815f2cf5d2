import type { Destination, Limits, Stored, Version } from '../destinations/destination.ts';

/**
 * An object is written once and never replaced, so the first version of a key is the object, whatever was put over it
 * later: whoever stole a key that may write can add versions, and nothing reads them.
 */

/** What lies below the prefixes, and the versions to read where a key has more than one. */
export async function firstVersions(
  destination: Destination,
  prefixes: readonly string[],
  { signal, hidden = false }: Limits & { hidden?: boolean },
): Promise<{ stored: Stored[]; versions: Map<string, string> }> {
  const versions = new Map<string, string>();
  const found = await Promise.all(
    prefixes.map(async (prefix) => {
      const history = await destination.history?.(prefix, { signal });
      if (!history) return destination.list(prefix, { signal });
      return [...byKey(history).values()].flatMap((all) => {
        const first = all.at(-1);
        if (first === undefined || (first.hidden && !hidden)) return [];
        if (all.length > 1 || first.hidden) versions.set(first.key, first.version);
        const { key, bytes, storedAt } = first;
        return [{ key, bytes, storedAt }];
      });
    }),
  );
  return { stored: found.flat(), versions };
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

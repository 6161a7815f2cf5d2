export interface Cache<K, V> {
  get(key: K): V | undefined;
  put(key: K, value: V): V;
  clear(): void;
}

/** The least lately used go first. */
export function cacheOf<K, V>(size: number): Cache<K, V> {
  const kept = new Map<K, V>();
  return {
    get(key) {
      const value = kept.get(key);
      if (value === undefined) return undefined;
      kept.delete(key);
      kept.set(key, value);
      return value;
    },
    put(key, value) {
      kept.delete(key);
      kept.set(key, value);
      if (kept.size > size) kept.delete(kept.keys().next().value as K);
      return value;
    },
    clear: () => kept.clear(),
  };
}

/** Repeatable randomness: the same seed gives the same draws. mulberry32. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** Whole number from 0 to `below` - 1. */
  below(below: number): number;
  /** Throws on an empty list: a draw from nothing is a bug of the campaign. */
  pick<T>(from: readonly T[]): T;
  chance(probability: number): boolean;
  /** Another stream of the same seed, so that concurrent clients do not share draws. */
  fork(name: string): Random;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    pick(from) {
      if (from.length === 0) throw new RangeError('nothing to pick from');
      return from[below(from.length)] as (typeof from)[number];
    },
    fork(name) {
      let hash = seed;
      for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
      return createRandom(hash);
    },
  };
}

import type { HostFacts } from '../types.ts';

/** Which releases may go. Takes facts; fetches nothing. */

/** Beside those that are needed, so many of the newest stay. */
export const KEEP = 5;

/** The live one, the one before, the one that deploys, what runs, and the newest stay; the oldest first. */
export function prunable(
  { installed, live, previous, deployer, running }: Omit<HostFacts, 'environment' | 'freeBytes'>,
  keep = KEEP,
): string[] {
  const needed = new Set([live, previous, deployer, ...running]);
  const newest = [...installed].sort((a, b) => b.at - a.at || (a.release < b.release ? 1 : -1));
  return newest
    .slice(keep)
    .filter(({ release }) => !needed.has(release))
    .map(({ release }) => release)
    .reverse();
}

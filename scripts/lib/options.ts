import { distance } from '../../service/config-names.ts';
import type { Verb } from './verb.ts';

const OF_EVERY_VERB = ['--json', '--help', '-h'];

/**
 * Of what was typed, the first option that the verb does not have, with the nearest one that it has; null where it has
 * all. What follows `--`, and what belongs to an option as its value, is none.
 */
export function strangeOption(
  argv: readonly string[],
  { options = [] }: Verb,
): { typed: string; nearest: string | null } | null {
  const known = new Map(OF_EVERY_VERB.map((flag) => [flag, false]));
  for (const { flags } of options) known.set(flags.split(' ')[0] ?? '', flags.includes('<'));
  for (let at = 0; at < argv.length && argv[at] !== '--'; at += 1) {
    const [flag = ''] = (argv[at] ?? '').split('=');
    if (known.get(flag) === true && !argv[at]?.includes('=')) at += 1;
    if (flag.startsWith('--') && !known.has(flag))
      return { typed: flag, nearest: nearestOf(flag, [...known.keys()]) };
  }
  return null;
}

/** The one that takes the fewest changes; null where those are more than two letters that changed places, or a third. */
function nearestOf(flag: string, known: readonly string[]): string | null {
  const own = (text: string): string => text.replace(/^-+/, '');
  const changes = (one: string): number => distance(own(flag), own(one));
  const nearest = known.reduce((best, one) => (changes(one) < changes(best) ? one : best));
  return changes(nearest) <= Math.max(own(flag).length / 3, 2) ? nearest : null;
}

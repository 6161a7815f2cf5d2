import { distance } from '../../service/config-names.ts';
import { usage } from './failure.ts';
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

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Seconds of an option such as `--max-age 26h`; null where it was not given. Errors: `usage`. */
export function secondsOf(verb: string, flag: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const seconds = Number(match?.[1] ?? 0) * (UNITS[match?.[2] ?? ''] ?? 0);
  if (seconds > 0) return seconds;
  throw usage(verb, `--${flag}: "${text}" is no duration; write 90s, 15m, 26h or 3d.`);
}

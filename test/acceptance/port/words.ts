import type { Random } from '../random.ts';

/** What is said: words that searches can find, and what is hard to bring over. */

const BASE = (
  'deploy migration queue lane gate token checkpoint restore drill manifest release incident review policy evidence ' +
  'planner agent clock seed digest worker schema index cursor café naïve straße ЖУРНАЛ журнал 東京 部署 배포 नमस्ते 🚀 👩‍💻 ' +
  'NULL \\N \\. {"a":1} <b>bold</b> 100% a_b select "quoted" it\'s'
).split(' ');

export const vocabulary: readonly string[] = [
  ...BASE,
  ...Array.from({ length: 400 }, (_, n) => `word${n.toString(36)}`),
];

/** Whatever a text of JSON can hold: NUL, halves of a pair alone, tabs, the end of a line in three ways. */
const ODD = [
  '\0',
  'a\0b\0',
  '\ud800',
  '\udfff x',
  '\ufffd',
  '\ufeff',
  '\t',
  '\n',
  '\r\n',
  '\u2028',
  '\\',
  '\\\\N',
  "'",
  '\u0001',
];

/** Few words are in most texts, and most in few. */
export const word = (random: Random): string =>
  vocabulary[Math.floor(random.next() ** 2 * vocabulary.length)] ?? '';

export function words(random: Random, most: number): string {
  const all = Array.from({ length: 1 + random.below(most) }, () => word(random));
  if (random.chance(0.3)) all.splice(random.below(all.length + 1), 0, random.pick(ODD));
  return all.join(' ');
}

/** Searches: words, phrases, beginnings, without, absent ones. */
export function searchFor(random: Random): string {
  const one = (): string => word(random).replaceAll('"', '');
  return random.pick([
    () => one(),
    () => `${one()} ${one()}`,
    () => `"${one()} ${one()}"`,
    () => `${one().slice(0, 3)}*`,
    () => `${one()} -${one()}`,
    () => `${one()} NOT ${one()}`,
    () => `nowhere${random.below(100)}`,
  ])();
}

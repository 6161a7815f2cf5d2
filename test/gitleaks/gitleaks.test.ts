import { afterAll, describe, expect, it } from 'vitest';
import { SECRET_KINDS, secretSample, VARIANTS } from '../acceptance/corpus.ts';
import { createRandom, type Random } from '../acceptance/random.ts';
import { BY_SERVICE, FORMS, ONLY_OURS, ONLY_THEIRS, OURS_AT_LEAST } from './opinions.ts';
import { judge, type Judged } from './scan.ts';

/**
 * A second opinion on the whole corpus, from a scanner that others wrote: what it finds, ours finds; where they differ is
 * written down with its reason. Both are deterministic, so each count is the same in every run.
 */

const COUNT = 2000;
const report: string[] = [];
afterAll(() => void process.stdout.write(`\n${report.join('\n')}\n\n`));

const kindAt = (n: number): string => SECRET_KINDS[n % SECRET_KINDS.length] ?? '';
const pickOf =
  (random: Random) =>
  (alphabet: string, count: number): string =>
    Array.from({ length: count }, () => alphabet[random.below(alphabet.length)]).join('');

const rowOf = (variant: string, judged: readonly Judged[]): string => {
  const count = (holds: (one: Judged) => boolean): string => String(judged.filter(holds).length).padStart(5);
  return [
    `${variant.padEnd(13)} ours ${count(({ ours }) => ours)}  gitleaks ${count(({ theirs }) => theirs)}`,
    `  only ours ${count(({ ours, theirs }) => ours && !theirs)}`,
    `  only gitleaks ${count(({ missed }) => missed.length > 0)}  of ${judged.length}`,
  ].join('');
};

describe('in the corpus', () => {
  it.each(VARIANTS)('what gitleaks finds %s, ours finds', (variant) => {
    const random = createRandom(COUNT);
    const samples = Array.from({ length: COUNT }, (_, n) => secretSample(kindAt(n), variant, random));
    const judged = judge(samples.map(({ text }) => text));
    report.push(rowOf(variant, judged));

    const surplus = new Map<string, string[]>();
    judged.forEach(({ missed, text }, n) => {
      if (missed.length === 0) return;
      surplus.set(kindAt(n), [...(surplus.get(kindAt(n)) ?? []), `${missed.join(', ')}: ${text}`]);
    });
    for (const { kind, most } of ONLY_THEIRS.filter((one) => one.variant === variant))
      if ((surplus.get(kind)?.length ?? 0) <= most) surplus.delete(kind);
    expect(Object.fromEntries(surplus)).toEqual({});
    expect(judged.filter(({ ours }) => ours).length).toBeGreaterThanOrEqual(OURS_AT_LEAST[variant] ?? COUNT);
  });

  it('kinds that gitleaks does not know are those that are written down', () => {
    const random = createRandom(COUNT);
    const kinds = Array.from({ length: COUNT }, (_, n) => kindAt(n));
    const judged = judge(kinds.map((kind) => secretSample(kind, 'plain', random).text));
    const known = new Set(kinds.filter((_, n) => judged[n]?.theirs));
    expect(SECRET_KINDS.filter((kind) => !known.has(kind)).sort()).toEqual(Object.keys(ONLY_OURS).sort());
    expect(new Set(kinds.filter((_, n) => judged[n]?.ours)).size).toBe(SECRET_KINDS.length);
    report.push(`kinds: ours ${SECRET_KINDS.length}, gitleaks ${known.size} of ${SECRET_KINDS.length}`);
  });
});

describe('beyond the corpus', () => {
  const EACH = 10;

  it('what has a form of its own is found by both', () => {
    const pick = pickOf(createRandom(7));
    const forms = Object.entries(FORMS).flatMap(([rule, form]) =>
      Array.from({ length: EACH }, () => ({ rule, text: `It is\n${form(pick)}\n` })),
    );
    const judged = judge(forms.map(({ text }) => text));
    // Its measure of randomness leaves out a few of a form; none of them would say that it was not asked.
    const asked = new Set(forms.filter((_, n) => judged[n]?.theirs).map(({ rule }) => rule));
    expect(Object.keys(FORMS).filter((rule) => !asked.has(rule))).toEqual([]);
    expect(forms.filter((_, n) => !judged[n]?.ours)).toEqual([]);
    report.push(`forms of its rules: ${asked.size} more, all found by ours`);
  });

  it('what stands after the name of a service alone is found where the name says what it is', () => {
    const pick = pickOf(createRandom(11));
    const lines = Object.values(BY_SERVICE).flatMap(({ name, value }) =>
      Array.from({ length: EACH }, () => ({ name, value: value(pick) })),
    );
    const bare = judge(lines.map(({ name, value }) => `${name} = "${value}"\n`));
    expect(bare.filter(({ theirs }) => theirs).length).toBeGreaterThan(lines.length / 2);
    const named = judge(lines.map(({ name, value }) => `${name.toUpperCase()}_API_KEY=${value}\n`));
    expect(named.filter(({ missed }) => missed.length > 0)).toEqual([]);
    report.push(rowOf('name only', bare), rowOf('…_API_KEY', named));
  });
});

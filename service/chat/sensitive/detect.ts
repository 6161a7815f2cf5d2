import { FactoryError } from '../../errors.ts';
import { isExample } from './allowed.ts';
import { CONTEXT_RULES, FORM_RULES } from './context-rules.ts';
import { CATEGORIES } from './hit.ts';
import type { Category, Hit, Rule } from './hit.ts';
import { keywordFinder } from './keywords.ts';
import type { KeywordFinder } from './keywords.ts';
import { forgetRuns } from './letters.ts';
import { NATIONAL_RULES } from './national-rules.ts';
import { PERSONAL_RULES } from './personal-rules.ts';
import { TOKEN_RULES } from './token-rules.ts';
import { decoded, joinedView, plainView } from './views.ts';

/**
 * Finds what is sensitive in a text: words that rules begin with are sought in one pass, then each rule looks around its own
 * word. No rule reads more than a bounded piece of the text, so the time grows with its length alone; a budget is kept all
 * the same, and what could not be looked through in time is refused, not let through.
 */

const RULES: readonly Rule[] = [
  ...[...TOKEN_RULES, ...FORM_RULES, ...CONTEXT_RULES],
  ...[...PERSONAL_RULES, ...NATIONAL_RULES],
];
/** What has a form of its own is known when its halves are put together, too. */
const FORMED = new Set<Rule>([...TOKEN_RULES, ...FORM_RULES]);
/** Of these the more telling one names what several found. */
const RANK = new Map(RULES.map((rule, index) => [rule.id, index]));

export const RULE_IDS: readonly string[] = [...new Set(RULES.map(({ id }) => id))];

/** Of one message; 2 MB of text take less than a tenth of it. */
const BUDGET_MS = 2000;
/** The clock is asked once in so many words. */
const STEP = 256;

interface Scanner {
  finder: KeywordFinder;
  /** By the number of the word. */
  rules: Rule[];
}

const scanners = new Map<string, Scanner>();

function scannerFor(key: string, choose: (rule: Rule) => boolean): Scanner {
  let known = scanners.get(key);
  if (!known) {
    const pairs = RULES.filter(choose).flatMap((rule) => rule.keywords.map((word) => ({ word, rule })));
    known = { finder: keywordFinder(pairs.map(({ word }) => word)), rules: pairs.map(({ rule }) => rule) };
    scanners.set(key, known);
  }
  return known;
}

export interface Budget {
  /** By `performance.now()`. */
  until: number;
}

export const newBudget = (ms = BUDGET_MS): Budget => ({ until: performance.now() + ms });

/** In order, none overlapping another. Errors: `sensitive-data-undecided`. */
export function detect(text: string, categories: readonly Category[], budget: Budget = newBudget()): Hit[] {
  if (categories.length === 0 || text.length === 0) return [];
  const chosen = CATEGORIES.filter((one) => categories.includes(one));
  const view = plainView(text);
  try {
    const hits = inPlain(view?.text ?? text, chosen, budget);
    return merged(view ? hits.map((hit) => ({ ...hit, ...view.back(hit) })) : hits);
  } finally {
    forgetRuns();
  }
}

function inPlain(text: string, categories: readonly Category[], budget: Budget): Hit[] {
  const all = scannerFor(categories.join(' '), ({ category }) => categories.includes(category));
  const hits = scan(text, all, budget);
  if (!categories.includes('secrets')) return hits;
  const joined = joinedView(text);
  if (joined) {
    const tokens = scannerFor('formed', (rule) => FORMED.has(rule));
    for (const hit of scan(joined.text, tokens, budget))
      if (joined.spansGap(hit)) hits.push({ ...hit, ...joined.back(hit) });
  }
  const secrets = scannerFor('secrets', ({ category }) => category === 'secrets');
  for (const { text: plain, span } of decoded(text)) {
    const [first] = scan(plain, secrets, budget);
    if (first) hits.push({ ...first, ...span });
  }
  return hits;
}

function scan(text: string, { finder, rules }: Scanner, { until }: Budget): Hit[] {
  const hits: Hit[] = [];
  let words = 0;
  finder.each(text, (number, start, end) => {
    if ((words += 1) % STEP === 0 && performance.now() > until) throw undecided();
    const { id: rule, category, match } = rules[number]!;
    const span = match(text, start, end);
    if (span === null) return;
    if (category === 'secrets' && isExample(text.slice(span.start, span.end))) return;
    hits.push({ rule, category, ...span });
  });
  if (performance.now() > until) throw undecided();
  return hits;
}

/** What overlaps becomes one, under the name of the more telling rule. */
function merged(hits: Hit[]): Hit[] {
  const sorted = hits.sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: Hit[] = [];
  for (const hit of sorted) {
    const last = kept.at(-1);
    if (!last || hit.start >= last.end) {
      kept.push({ ...hit });
      continue;
    }
    last.end = Math.max(last.end, hit.end);
    if ((RANK.get(hit.rule) ?? 0) < (RANK.get(last.rule) ?? 0))
      Object.assign(last, { rule: hit.rule, category: hit.category });
  }
  return kept;
}

function undecided(): FactoryError {
  return new FactoryError({
    ...{ code: 'sensitive-data-undecided', op: 'look for sensitive data', retryable: true },
    message: 'The text could not be looked through for sensitive data in time; nothing of it was kept.',
    hint: 'Send it again, in several messages or as an attachment.',
  });
}

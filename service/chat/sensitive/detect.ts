import { FactoryError } from '../../errors.ts';
import { isExample } from './allowed.ts';
import { CONTEXT_RULES } from './context-rules.ts';
import { CATEGORIES } from './hit.ts';
import type { Category, Hit, Rule, Span } from './hit.ts';
import { keywordFinder } from './keywords.ts';
import type { KeywordFinder } from './keywords.ts';
import { forgetRuns } from './letters.ts';
import { NATIONAL_RULES } from './national-rules.ts';
import { FORM_RULES, PLACE_RULES } from './place-rules.ts';
import { PERSONAL_RULES } from './personal-rules.ts';
import { TOKEN_RULES } from './token-rules.ts';
import { decoded } from './encoded.ts';
import { continuedView, joinedView, plainView, throughView, unescapedView } from './views.ts';
import type { View } from './views.ts';

/**
 * Finds what is sensitive in a text: words that rules begin with are sought in one pass, then each rule looks around its own
 * word. No rule reads more than a bounded piece of the text, so the time grows with its length alone; a budget is kept all
 * the same, and what could not be looked through in time is refused, not let through.
 */

const RULES: readonly Rule[] = [
  ...[...TOKEN_RULES, ...FORM_RULES, ...CONTEXT_RULES, ...PLACE_RULES],
  ...[...PERSONAL_RULES, ...NATIONAL_RULES],
];
/** What has a form of its own is known when its halves are put together, too. */
const FORMED = new Set<Rule>([...TOKEN_RULES, ...FORM_RULES]);
/** Of these the more telling one names what several found. */
const RANK = new Map(RULES.map((rule, index) => [rule.id, index]));
const rankOf = ({ rule }: Hit): number => RANK.get(rule) ?? 0;

export const RULE_IDS: readonly string[] = [...new Set(RULES.map(({ id }) => id))];

/** Of one message; 2 MB of text take less than a tenth of it. */
const BUDGET_MS = 2000;
/** The clock is asked once in so many words, and in so many characters; a text costs as much as some of them. */
const STEP = 256;
const MOST_UNASKED = 64 * 1024;
const LEAST_COST = 64;

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
  /** By `workedMs`. */
  until: number;
  /** Characters since the clock was asked: many texts can be short. */
  unasked: number;
}

/** Milliseconds that this thread has worked: what else the machine does is no fault of a text. */
function workedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

export const newBudget = (ms = BUDGET_MS): Budget => ({ until: workedMs() + ms, unasked: 0 });

/** In order, none overlapping another. Errors: `sensitive-data-undecided`. */
export function detect(text: string, categories: readonly Category[], budget: Budget = newBudget()): Hit[] {
  if (categories.length === 0 || text.length === 0) return [];
  const chosen = CATEGORIES.filter((one) => categories.includes(one));
  try {
    return merged(look(text, scannerOf(chosen), chosen.includes('secrets') ? MOST_CODED : null, budget));
  } finally {
    forgetRuns();
  }
}

/** Only what has a form of its own, for texts that were put together and may be no text at all. */
export function detectForms(text: string, budget: Budget): Hit[] {
  try {
    return merged(look(text, formScanner(), MOST_CODED, budget));
  } finally {
    forgetRuns();
  }
}

const scannerOf = (categories: readonly Category[]): Scanner =>
  scannerFor(categories.join(' '), ({ category }) => categories.includes(category));
const formScanner = (): Scanner => scannerFor('formed', (rule) => FORMED.has(rule));
const secretScanner = (): Scanner => scannerOf(['secrets']);

/** Shorter texts hold no secret in pieces. */
const LEAST_PIECES = 10;

/** Codes within codes: base64 of base64. */
const MOST_CODED = 2;

/** `coded`: how many codes deep secrets are looked for; null: none are looked for. */
function look(text: string, scanner: Scanner, coded: number | null, budget: Budget): Hit[] {
  const view = plainView(text);
  const plain = view?.text ?? text;
  const hits = scan(plain, scanner, budget);
  if (coded === null || text.length < LEAST_PIECES) return view ? throughView(view, hits) : hits;
  const context = scanner === formScanner() ? scanner : secretScanner();
  const unescaped = unescapedView(plain);
  if (unescaped) {
    hits.push(...throughView(unescaped, scan(unescaped.text, context, budget)));
    hits.push(...throughView(unescaped, hidden(unescaped.text, context, coded, budget)));
  } else hits.push(...hidden(plain, context, coded, budget));
  const all = view ? throughView(view, hits) : hits;
  // What is not to be seen can be a code of its own.
  return view ? [...all, ...encoded(text, coded, budget)] : all;
}

/** What stands there in pieces or in another code. */
function hidden(text: string, context: Scanner, coded: number, budget: Budget): Hit[] {
  const hits = encoded(text, coded, budget);
  const continued = continuedView(text);
  if (continued) hits.push(...joined(continued, scan(continued.text, context, budget)));
  const whole = joinedView(text);
  if (whole) {
    hits.push(...joined(whole, scan(whole.text, formScanner(), budget)));
    hits.push(...joined(whole, encoded(whole.text, coded, budget, whole.spansGap)));
  }
  return hits;
}

/** What was found on one side of a seam was found without it. */
const joined = (view: View, hits: readonly Hit[]): Hit[] => throughView(view, hits.filter(view.spansGap));

/** Where a code stands for a text with a secret. */
function encoded(text: string, coded: number, budget: Budget, wanted = (_: Span) => true): Hit[] {
  const hits: Hit[] = [];
  if (coded === 0) return hits;
  let found: Span = { start: 0, end: 0 };
  for (const { text: plain, span } of decoded(text, wanted)) {
    if (span.start < found.end) continue;
    const within = look(plain, secretScanner(), coded - 1, budget);
    if (within.length === 0) continue;
    hits.push({ ...within.reduce((best, hit) => (rankOf(hit) < rankOf(best) ? hit : best)), ...span });
    found = span;
  }
  return hits;
}

function scan(text: string, { finder, rules }: Scanner, budget: Budget): Hit[] {
  const hits: Hit[] = [];
  let words = 0;
  finder.each(text, (number, start, end) => {
    if ((words += 1) % STEP === 0 && workedMs() > budget.until) throw undecided();
    const { id: rule, category, match } = rules[number]!;
    const span = match(text, start, end);
    if (span === null) return;
    if (category === 'secrets' && isExample(text.slice(span.start, span.end))) return;
    hits.push({ rule, category, ...span });
  });
  budget.unasked += text.length + LEAST_COST;
  if (budget.unasked > MOST_UNASKED) {
    if (workedMs() > budget.until) throw undecided();
    budget.unasked = 0;
  }
  return hits;
}

/** What overlaps becomes one, under the name of the more telling rule. */
export function merged<T extends Hit>(hits: T[]): T[] {
  const sorted = hits.sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: T[] = [];
  for (const hit of sorted) {
    const last = kept.at(-1);
    if (!last || hit.start >= last.end) {
      kept.push({ ...hit });
      continue;
    }
    last.end = Math.max(last.end, hit.end);
    if (rankOf(hit) < rankOf(last)) Object.assign(last, { rule: hit.rule, category: hit.category });
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

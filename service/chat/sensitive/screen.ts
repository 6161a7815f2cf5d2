import { createHmac, type KeyObject } from 'node:crypto';
import { FactoryError } from '../../errors.ts';
import type { ClassPolicy, Verdict } from '../policy.ts';
import type { Finding, Json, MessageInput, MessageRole, Part } from '../types.ts';
import { detect, newBudget } from './detect.ts';
import type { Budget } from './detect.ts';
import { CATEGORIES } from './hit.ts';
import type { Category, Hit } from './hit.ts';

/**
 * What the policy of a class makes of what is found in a message, before anything of it is kept. What is taken out is
 * replaced by as many characters, so that places stay the same, also when it is looked through once more.
 */

export type Sensitive = ClassPolicy['sensitive'];
type Verdicts = Record<Category, Verdict>;

export interface Screened {
  /** As it is kept where everybody reads who may. */
  message: MessageInput;
  /** What it stands for, where that waits for a decision; null: nothing waits. */
  original: Part[] | null;
  findings: Finding[];
  /** Keyed digests of what was found, in the order of the findings: the same secret can be known again, and not guessed. */
  digests(key: KeyObject): string[];
}

export function verdictsFor({ roles, ...general }: Sensitive, role: MessageRole | null): Verdicts {
  return { ...general, ...(role === null ? {} : roles[role]) };
}

/** What is let in is not looked for. */
export const categoriesOf = (verdicts: Verdicts): Category[] =>
  CATEGORIES.filter((category) => verdicts[category] !== 'allow');

interface Found {
  finding: Finding;
  text: string;
}

/** Errors: `sensitive-data-blocked`, `sensitive-data-undecided`. */
export function screenMessage(policy: Sensitive, message: MessageInput): Screened {
  const verdicts = verdictsFor(policy, message.role);
  const categories = categoriesOf(verdicts);
  if (categories.length === 0) return { message, original: null, findings: [], digests: () => [] };
  const look: Look = { verdicts, categories, budget: newBudget(), found: [] };
  const parts = message.parts.map((part, index) => screenPart(part, index, look));
  const findings = look.found.map(({ finding }) => finding);
  assertNotBlocked(findings, 'message');
  const original = isWithheld(findings) ? parts : null;
  return {
    findings,
    original,
    message:
      findings.length === 0
        ? message
        : { ...message, parts: original ? original.map((part) => standIn(part, rulesOf(findings))) : parts },
    digests: (key) =>
      look.found.map(({ finding: { rule }, text }) =>
        createHmac('sha256', key).update(`finding\0${rule}\0`).update(text).digest('base64url'),
      ),
  };
}

export interface ScreenedText {
  text: string;
  /** As of messages. */
  original: string | null;
  findings: Finding[];
}

/** A title, or the name of a file. Errors: as of `screenMessage`. */
export function screenText(policy: Sensitive, text: string, what: string): ScreenedText {
  const verdicts = verdictsFor(policy, null);
  const look: Look = { verdicts, categories: categoriesOf(verdicts), budget: newBudget(), found: [] };
  const screened = screenString(text, 0, look);
  const findings = look.found.map(({ finding }) => finding);
  assertNotBlocked(findings, what);
  return isWithheld(findings)
    ? { text: withheldText(rulesOf(findings)), original: screened, findings }
    : { text: screened, original: null, findings };
}

function assertNotBlocked(findings: readonly Finding[], what: string): void {
  const stopping = findings.filter(({ action }) => action === 'block');
  if (stopping.length > 0) throw blocked(stopping, what);
}

/** Whether something in it waits for a decision, and so all of it does. */
export const isWithheld = (findings: readonly Finding[]): boolean =>
  findings.some(({ action }) => action === 'quarantine');

export const rulesOf = (findings: readonly Finding[]): string[] => [
  ...new Set(findings.filter(({ action }) => action === 'quarantine').map(({ rule }) => rule)),
];

/** `[withheld: github-token]`, whatever will be decided. */
export const withheldText = (rules: readonly string[]): string => `[withheld: ${rules.join(', ')}]`;

/** Says as much as other parts need: which tool, which call, which file. */
function standIn(part: Part, rules: readonly string[]): Part {
  switch (part.type) {
    case 'text':
      return { type: 'text', text: withheldText(rules) };
    case 'attachment':
      return { type: 'attachment', attachmentId: part.attachmentId };
    case 'tool-call':
      return { type: 'tool-call', toolCallId: part.toolCallId, name: part.name };
    case 'tool-result': {
      const { type, toolCallId, name } = part;
      return {
        type,
        toolCallId,
        name,
        ...(part.output === undefined ? {} : { output: withheldText(rules) }),
      };
    }
  }
}

interface Look {
  verdicts: Verdicts;
  categories: Category[];
  budget: Budget;
  found: Found[];
}

function screenPart(part: Part, index: number, look: Look): Part {
  switch (part.type) {
    case 'text':
      return { ...part, text: screenString(part.text, index, look) };
    case 'attachment':
      return part.name === undefined ? part : { ...part, name: screenString(part.name, index, look) };
    case 'tool-call':
      return {
        ...part,
        ...(part.arguments === undefined ? {} : { arguments: screenJson(part.arguments, index, look) }),
        ...(part.input === undefined ? {} : { input: screenJson(part.input, index, look) }),
      };
    case 'tool-result':
      return part.output === undefined ? part : { ...part, output: screenJson(part.output, index, look) };
  }
}

/** Longer values are looked at for themselves: who writes a name before them writes a password or a key. */
const MOST_NAMED = 500;

/** Values of objects are looked at with their names, which tell passwords. Depth is bounded by the shape of parts. */
function screenJson(value: Json, part: number, look: Look, name?: string): Json {
  if (typeof value === 'string') return screenNamed(value, part, look, name);
  // Cards and the numbers of people come as numbers, too.
  if (typeof value === 'number' && Math.abs(value) > 1e9) {
    const text = String(value);
    const screened = screenString(text, part, look);
    return screened === text ? value : screened;
  }
  if (Array.isArray(value)) return value.map((one) => screenJson(one, part, look, name));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, one]): [string, Json] => [
    screenString(key, part, look),
    screenJson(one, part, look, key),
  ]);
  return Object.fromEntries(entries);
}

function screenNamed(text: string, part: number, look: Look, name?: string): string {
  if (name === undefined || text.length > MOST_NAMED || name.length > 100 || /["\n\\]/.test(text + name))
    return screenString(text, part, look);
  const before = `${name}="`;
  const hits = detect(`${before}${text}"`, look.categories, look.budget)
    .filter(({ end }) => end > before.length)
    .map((hit) => ({
      ...hit,
      start: Math.max(0, hit.start - before.length),
      end: Math.min(text.length, hit.end - before.length),
    }));
  return applied(text, hits, part, look);
}

function screenString(text: string, part: number, look: Look): string {
  return applied(text, detect(text, look.categories, look.budget), part, look);
}

function applied(text: string, hits: readonly Hit[], part: number, { verdicts, found }: Look): string {
  let [result, from] = ['', 0];
  for (const { rule, category, start, end } of hits) {
    const action = verdicts[category];
    found.push({ finding: { rule, action, part, start, end }, text: text.slice(start, end) });
    result +=
      text.slice(from, start) + (action === 'redact' ? mask(rule, end - start) : text.slice(start, end));
    from = end;
  }
  return hits.length === 0 ? text : result + text.slice(from);
}

const BLOCK = '█';

/** `[github-token█████]`: the rule, in as many characters as there were. */
export function mask(rule: string, length: number): string {
  if (length < rule.length + 3) return BLOCK.repeat(length);
  return `[${rule}${BLOCK.repeat(length - rule.length - 2)}]`;
}

export function blocked(findings: readonly Finding[], what: string): FactoryError {
  const rules = [...new Set(findings.map(({ rule }) => rule))].join(', ');
  return new FactoryError({
    ...{ code: 'sensitive-data-blocked', op: 'look for sensitive data' },
    message: `The ${what} holds sensitive data (${rules}), which the policy of its class does not let in; nothing of it was kept.`,
    hint: 'Take it out and send it again, or ask an owner for another policy of the class (`npx factory governance policies`).',
    details: { findings },
  });
}

import { createHmac, type KeyObject } from 'node:crypto';
import { FactoryError } from '../../errors.ts';
import type { ClassPolicy, Verdict } from '../policy.ts';
import type { Finding, MessageInput, MessageRole, Part } from '../types.ts';
import { detect, detectForms, merged, newBudget } from './detect.ts';
import type { Budget } from './detect.ts';
import { CATEGORIES } from './hit.ts';
import type { Category, Hit } from './hit.ts';
import { overJoints } from './joints.ts';
import { mapPart, TEXTS } from './leaves.ts';
import type { Leaf } from './leaves.ts';

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

/** A leaf with what was found in it. */
interface Looked {
  leaf: Leaf;
  hits: (Hit & { whole?: string })[];
}

/** Errors: `sensitive-data-blocked`, `sensitive-data-undecided`. */
export function screenMessage(policy: Sensitive, message: MessageInput): Screened {
  const [screened] = screenMessages(policy, [message]);
  return screened!;
}

/** Messages that came together are looked through together: what begins in one can end in the next. Errors: as above. */
export function screenMessages(policy: Sensitive, messages: readonly MessageInput[]): Screened[] {
  const looked = messages.map((message) => lookAt(policy, message));
  if (messages.length > 1) {
    const texts = looked.flatMap(({ looked: all, categories }) =>
      categories.includes('secrets') ? all.filter(({ leaf }) => leaf.row === TEXTS) : [],
    );
    joinAll(texts, (text) => detectForms(text, newBudget()));
  }
  return looked.map(screenedOf);
}

/**
 * A subject goes by its name: nothing can be taken out of it, so what would be taken out of a text is refused.
 * Errors: `sensitive-data-blocked`.
 */
export function assertNoSecretIn(
  subjectId: string | undefined,
  { secrets }: Pick<Verdicts, 'secrets'>,
): void {
  if (subjectId === undefined || secrets === 'allow') return;
  const findings = detect(subjectId, ['secrets']).map(({ rule, start, end }): Finding => {
    return { rule, action: 'block', part: 0, start, end };
  });
  if (findings.length > 0) throw blocked(findings, 'name of the subject');
}

interface LookedMessage {
  message: MessageInput;
  verdicts: Verdicts;
  categories: Category[];
  looked: Looked[];
}

function lookAt(policy: Sensitive, message: MessageInput): LookedMessage {
  const verdicts = verdictsFor(policy, message.role);
  const categories = categoriesOf(verdicts);
  const looked: Looked[] = [];
  if (categories.length === 0) return { message, verdicts, categories, looked };
  assertNoSecretIn(message.subjectId, verdicts);
  const budget = newBudget();
  const rows = new Map<string, Looked[]>();
  for (const [index, part] of message.parts.entries())
    mapPart(part, index, (leaf) => {
      const sought = leaf.isId ? categories.filter((one) => one === 'secrets') : categories;
      const one: Looked = { leaf, hits: hitsOf(leaf, sought, budget) };
      looked.push(one);
      if (leaf.row !== undefined) rowOf(rows, leaf.row).push(one);
      return leaf.text;
    });
  for (const [row, ones] of rows) {
    if (row === TEXTS) joinAll(ones, (text) => detect(text, categories, budget));
    else if (categories.includes('secrets')) joinAll(ones, (text) => detectForms(text, budget));
  }
  return { message, verdicts, categories, looked };
}

function rowOf(rows: Map<string, Looked[]>, row: string): Looked[] {
  const known = rows.get(row) ?? [];
  rows.set(row, known);
  return known;
}

function joinAll(pieces: readonly Looked[], find: (text: string) => readonly Hit[]): void {
  if (pieces.length < 2) return;
  const texts = pieces.map(({ leaf }) => leaf.text);
  const more = overJoints(
    texts,
    pieces.map(({ hits }) => hits),
    find,
  );
  for (const [n, one] of pieces.entries())
    if (more[n]!.length > 0) one.hits = merged([...one.hits, ...more[n]!]);
}

function screenedOf({ message, verdicts, looked }: LookedMessage): Screened {
  const found = looked.flatMap(({ leaf, hits }) =>
    hits.map(({ rule, category, start, end, whole = leaf.text.slice(start, end) }) => ({
      finding: { rule, action: verdicts[category], part: leaf.part, start, end },
      whole,
    })),
  );
  const findings = found.map(({ finding }) => finding);
  assertNotBlocked(findings, 'message');
  if (findings.length === 0) return { message, original: null, findings, digests: () => [] };
  const partsWith = (actions: readonly Verdict[]): Part[] => {
    const texts = looked.map(({ leaf, hits }) => masked(leaf.text, hits, verdicts, actions));
    let at = 0;
    return message.parts.map((part, index) => mapPart(part, index, () => texts[at++]!));
  };
  const parts = partsWith(['redact']);
  const original = isWithheld(findings) ? parts : null;
  return {
    findings,
    original,
    message: {
      ...message,
      parts: original
        ? partsWith(['redact', 'quarantine']).map((part) => standIn(part, rulesOf(findings)))
        : parts,
    },
    digests: (key) =>
      found.map(({ finding: { rule }, whole }) =>
        createHmac('sha256', key).update(`finding\0${rule}\0`).update(whole).digest('base64url'),
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
  const hits = detect(text, categoriesOf(verdicts));
  const findings = hits.map(({ rule, category, start, end }): Finding => {
    return { rule, action: verdicts[category], part: 0, start, end };
  });
  assertNotBlocked(findings, what);
  const screened = masked(text, hits, verdicts, ['redact']);
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

/** Longer values are looked at for themselves: who writes a name before them writes a password or a key. */
const MOST_NAMED = 4000;

/** Values of objects are looked at with their names, which tell passwords. */
function hitsOf({ text, name }: Leaf, categories: readonly Category[], budget: Budget): Hit[] {
  const isNamed =
    name !== undefined && text.length <= MOST_NAMED && name.length <= 100 && !/["\n\\]/.test(name);
  if (!isNamed) return detect(text, categories, budget);
  const before = `${name}="`;
  // What would end the value counts as another character.
  const value = text.replace(/["\\]/g, "'").replace(/\n/g, ' ');
  const alone = value === text ? [] : detect(text, categories, budget);
  const named = detect(`${before}${value}"`, categories, budget)
    .filter(({ end }) => end > before.length)
    .map((hit) => ({
      ...hit,
      start: Math.max(0, hit.start - before.length),
      end: Math.min(text.length, hit.end - before.length),
    }));
  return merged([...alone, ...named]);
}

function masked(text: string, hits: readonly Hit[], verdicts: Verdicts, actions: readonly Verdict[]): string {
  let [result, from] = ['', 0];
  for (const { rule, category, start, end } of hits) {
    if (!actions.includes(verdicts[category])) continue;
    result += text.slice(from, start) + mask(rule, end - start);
    from = end;
  }
  return from === 0 ? text : result + text.slice(from);
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

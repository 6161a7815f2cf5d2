import { LineCounter, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, Node, ParsedNode } from 'yaml';
import type { QueueProblem } from './types.ts';

/** Makes the problems of one file. `line` counts from 1 in the file. */
export type Report = (line: number, code: string, message: string, hint: string, severity?: 'warn') => void;

/** A YAML mapping as read: its entries in order, each with the line of its key. */
export type Entries = Map<string, { node: Node | null; line: number }>;

export interface YamlReader {
  document: Document.Parsed | null;
  /** Line of a node in the file. */
  line(node: Node | null): number;
  /** Entries of a mapping; duplicate and unusable keys are reported and left out. */
  entries(node: Node | null): Entries;
}

export function reporter(file: string, itemId: string | null, problems: QueueProblem[]): Report {
  return (line, code, message, hint, severity) => {
    problems.push({ file, line, code, message, itemId, hint, ...(severity ? { severity } : {}) });
  };
}

/**
 * Parses YAML 1.2 (core schema) and reports its syntax errors, one a line.
 * `firstLine` is the line of the file on which `text` starts. Nothing is converted to values: callers look at the
 * nodes, so aliases are never expanded.
 */
export function readYaml(text: string, firstLine: number, report: Report): YamlReader {
  const counter = new LineCounter();
  const lineAt = (offset: number): number => counter.linePos(offset).line - 1 + firstLine;
  const line = (node: Node | null): number => (node?.range ? lineAt(node.range[0]) : firstLine);
  const document = parseSafely(text, counter, firstLine, report);
  const told = new Set<number>();
  for (const error of [...(document?.errors ?? []), ...(document?.warnings ?? [])]) {
    const at = lineAt(error.pos[0]);
    if (!told.has(at)) report(at, 'yaml-malformed', error.message.replace(/\.?$/, '.'), MALFORMED_HINT);
    told.add(at);
  }
  return { document, line, entries: (node) => entriesOf(node, line, report) };
}

const MALFORMED_HINT = 'Correct the YAML here; a text with ": ", "#" or quotes in it needs quotes around it.';

/** The parser descends by recursion, so absurd nesting ends in a RangeError: that is a malformed file too. */
function parseSafely(text: string, lineCounter: LineCounter, firstLine: number, report: Report) {
  try {
    // `uniqueKeys` compares every pair of keys; `entriesOf` does the same in one pass.
    return parseDocument<ParsedNode>(text, { lineCounter, prettyErrors: false, uniqueKeys: false });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    report(
      firstLine,
      'yaml-malformed',
      'The YAML is nested too deeply.',
      'Write it as a flat list of fields.',
    );
    return null;
  }
}

function entriesOf(node: Node | null, line: (node: Node | null) => number, report: Report): Entries {
  const found: Entries = new Map();
  if (!isMap<Node, Node | null>(node)) return found;
  for (const { key, value } of node.items) {
    const at = line(key);
    if (!isScalar(key) || typeof key.value !== 'string') {
      report(at, 'key-invalid', 'The name of a field must be a text.', 'Write it as `name: value`.');
    } else if (found.has(key.value)) {
      const first = found.get(key.value)?.line;
      report(
        at,
        'duplicate-key',
        `\`${key.value}\` stands here a second time.`,
        `Keep this one or line ${first}'s.`,
      );
    } else {
      found.set(key.value, { node: value, line: at });
    }
  }
  return found;
}

/** A scalar's value, `undefined` where the node is not a scalar; an empty or absent value is null. */
export function scalarOf(node: Node | null): unknown {
  if (node === null) return null;
  return isScalar(node) ? node.value : undefined;
}

/** The nodes of a list, `null` where the node is not one. */
export function listOf(node: Node | null): (Node | null)[] | null {
  return isSeq<Node | null>(node) ? node.items : null;
}

/** The known name that takes the fewest edits (at most a third of its length), for "did you mean". */
export function nearest(name: string, known: readonly string[]): string | null {
  let best: { name: string; edits: number } | null = null;
  for (const candidate of known) {
    const edits = editDistance(name.slice(0, 64).toLowerCase(), candidate.toLowerCase());
    if (edits <= Math.max(1, candidate.length / 3) && edits < (best?.edits ?? Infinity))
      best = { name: candidate, edits };
  }
  return best?.name ?? null;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

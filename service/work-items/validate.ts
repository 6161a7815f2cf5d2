import nodeFs from 'node:fs';
import { parsePolicy } from './policy.ts';
import type { Packs } from './policy.ts';
import { fileProblem, POLICY_FILE, PROMPTS, readFile } from './queue-files.ts';
import type { QueueFs, QueueRoot } from './queue-files.ts';
import { listQueue } from './queue-scan.ts';
import { parseRecord } from './record.ts';
import type { Collection, QueueProblem, RecordFields } from './types.ts';

interface Found {
  path: string;
  fields: RecordFields | null;
  claimedId: string | null;
}

/**
 * Checks a whole work-items folder: every record, prompt and the policy, and what they say of each other. All problems
 * at once, warnings included, sorted by file and line; paths are relative to the folder.
 */
export function validateQueue(dir: string, packs: Packs, fs: QueueFs = nodeFs): QueueProblem[] {
  const root = { dir, fs };
  const listing = listQueue(root);
  const problems = [...listing.problems];
  const found = new Map<string, Found[]>();
  for (const [id, collections] of listing.records) {
    found.set(
      id,
      collections.map((collection) => readRecord(root, `${collection}/${id}.md`, collection, problems)),
    );
  }
  problems.push(...duplicates(found), ...references(found));
  for (const id of new Set([...listing.records.keys(), ...listing.prompts])) {
    problems.push(...promptProblems(root, id, listing.records.get(id), listing.prompts.has(id)));
  }
  const policy = readFile(root, POLICY_FILE);
  if (policy.kind === 'problem') problems.push(policy.problem);
  if (policy.kind === 'read') problems.push(...parsePolicy(policy.text, packs).problems);
  return problems.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

function readRecord(root: QueueRoot, path: string, collection: Collection, problems: QueueProblem[]): Found {
  const read = readFile(root, path);
  if (read.kind === 'problem') problems.push(read.problem);
  if (read.kind !== 'read') return { path, fields: null, claimedId: null };
  const parsed = parseRecord(read.text, { path, collection });
  problems.push(...parsed.problems);
  return { path, fields: parsed.fields, claimedId: parsed.claimedId };
}

const LANE_COUNTS = 'the one in the lane of the item counts';

function duplicates(found: Map<string, Found[]>): QueueProblem[] {
  const duplicate = (path: string, id: string, other: string, counts: string): QueueProblem => {
    const message = `\`${path}\` says it is \`${id}\`, as \`${other}\` does; ${counts}.`;
    return fileProblem(
      path,
      'duplicate-id',
      message,
      'Keep one of the two files, or give this one its own id.',
    );
  };
  return [...found].flatMap(([id, [first, ...others]]) => {
    const claimed = first?.claimedId ?? null;
    const owner = claimed === null || claimed === id ? undefined : found.get(claimed)?.[0];
    return [
      ...others.map((other) => duplicate(other.path, id, first?.path ?? '', LANE_COUNTS)),
      ...(first && claimed && owner ? [duplicate(first.path, claimed, owner.path, 'that one counts')] : []),
    ];
  });
}

/** Links to items that do not exist, and items that wait for each other in a ring. */
function references(found: Map<string, Found[]>): QueueProblem[] {
  const waits = new Map([...found].map(([id, [first]]) => [id, first?.fields?.blockedBy ?? []]));
  return [...found].flatMap(([id, [first]]) => {
    if (!first?.fields) return [];
    const { blockedBy, supersedes } = first.fields;
    const unknown = [...blockedBy, ...(supersedes === null ? [] : [supersedes])].filter(
      (other) => !found.has(other),
    );
    const problems = unknown.map((other): QueueProblem => {
      const message = `\`${id}\` names \`${other}\`, which has no record.`;
      const problem = fileProblem(
        first.path,
        'reference-unknown',
        message,
        'Correct the id, or add the record.',
      );
      return { ...problem, severity: 'warn' };
    });
    const ring = ringOf(id, waits);
    if (!ring) return problems;
    const message = `\`${id}\` waits for itself${ring.length > 0 ? ` through ${ring.join(', ')}` : ''}.`;
    return [
      ...problems,
      fileProblem(first.path, 'blocked-by-cycle', message, 'Remove one `blockedBy` of the ring.'),
    ];
  });
}

/** The items between an item and itself along `blockedBy`; null where the way never comes back. */
function ringOf(id: string, waits: Map<string, string[]>): string[] | null {
  const cameFrom = new Map<string, string | null>((waits.get(id) ?? []).map((next) => [next, null]));
  for (const at of cameFrom.keys()) {
    if (at === id) {
      const way: string[] = [];
      for (let back = cameFrom.get(at) ?? null; back !== null; back = cameFrom.get(back) ?? null)
        way.unshift(back);
      return way;
    }
    for (const next of waits.get(at) ?? []) if (!cameFrom.has(next)) cameFrom.set(next, at);
  }
  return null;
}

function promptProblems(
  root: QueueRoot,
  id: string,
  collections: Collection[] | undefined,
  present: boolean,
) {
  const path = `${PROMPTS}/${id}.prompt.md`;
  const warn = (file: string, code: string, message: string, hint: string): QueueProblem[] => [
    { ...fileProblem(file, code, message, hint), severity: 'warn' },
  ];
  if (!present) {
    const file = `${collections?.[0]}/${id}.md`;
    return warn(file, 'prompt-missing', `\`${id}\` has no prompt.`, `Write it to \`${path}\`.`);
  }
  const read = readFile(root, path);
  if (read.kind === 'problem') return [read.problem];
  if (read.kind === 'read' && read.text.includes('\0')) {
    return [
      fileProblem(path, 'nul-byte', 'The prompt holds a NUL byte.', 'Remove it; a prompt is plain text.'),
    ];
  }
  const empty = read.kind === 'read' && read.text.replace(/^\uFEFF/, '').trim() === '';
  return [
    ...(empty ? warn(path, 'prompt-empty', 'The prompt is empty.', 'Say what is to be done.') : []),
    ...(collections
      ? []
      : warn(path, 'prompt-orphan', `\`${id}\` has no record.`, 'Add the record or remove this.')),
  ];
}

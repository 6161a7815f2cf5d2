import type { QueueObservation, QueueProblem } from './types.ts';

/** By these nothing is known of a file: neither what it says nor whether it is there. */
const UNREAD: ReadonlySet<string> = new Set([
  'file-unreadable',
  'folder-unreadable',
  'queue-missing',
  'queue-empty',
  'queue-unreadable',
]);

/** What keeps the item's record or prompt from being looked at; null: it was looked at, and its problems are known. */
export function unreadProblem(
  { problems, duplicates }: Pick<QueueObservation, 'problems' | 'duplicates'>,
  source: 'queue' | 'prompt',
): QueueProblem | null {
  return (
    problems.find(
      ({ file, code }) =>
        UNREAD.has(code) &&
        !duplicates.includes(file) &&
        (file === '.' || isOfPrompts(file) === (source === 'prompt')),
    ) ?? null
  );
}

/** Whether a path, or the folder itself, is the prompts'. */
export function isOfPrompts(file: string): boolean {
  return file === 'prompts' || file.startsWith('prompts/');
}

/** What is still known of an item while the whole folder says nothing. */
export function withoutFolder(last: QueueObservation | null, absence: QueueProblem): QueueObservation {
  return {
    observedAt: last?.observedAt ?? NEVER,
    record: last?.record ?? null,
    prompt: last?.prompt ?? null,
    problems: [absence],
    duplicates: last?.duplicates ?? [],
    readBefore: last?.observedAt ?? NEVER,
  };
}

/** The time of a look that never was. */
export const NEVER = new Date(0).toISOString();

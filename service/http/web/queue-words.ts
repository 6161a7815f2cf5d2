import type { QueueProblem } from '../../work-items/types.ts';
import { plural } from './format.ts';

/** What of the queue says nothing now: `2 queue files cannot be used`; a file counts once, whatever is wrong with it. */
export function unusable(problems: readonly Pick<QueueProblem, 'file'>[]): string {
  const files = new Set(problems.map(({ file }) => file));
  return files.has('.')
    ? 'the queue folder cannot be used'
    : `${plural(files.size, 'queue file')} cannot be used`;
}

/** The same with how much is wrong: `1 queue file cannot be used: 3 problems`. */
export function unusableBecause(problems: readonly Pick<QueueProblem, 'file'>[]): string {
  const text = unusable(problems);
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}: ${plural(problems.length, 'problem')}`;
}

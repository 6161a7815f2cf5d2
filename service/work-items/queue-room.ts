import { FactoryError } from '../errors.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import { initQueue } from './init.ts';

/**
 * Sees to it that a net-new item has a folder for its files. A new installation gets what `init` makes, without the
 * example; a folder that was there before and is gone is not made anew beside it.
 * @throws FactoryError `queue-missing`, `queue-init-failed`
 */
export function makeRoom({ queue, queueDir, queueKnown }: WorkItemDependencies): void {
  const absence = queue.absence();
  if (!absence) return;
  if (!queueKnown() && absence.code !== 'queue-unreadable') {
    initQueue(queueDir, { example: false });
    return;
  }
  throw new FactoryError({
    code: 'queue-missing',
    op: 'create work item',
    message: `${absence.message} A new item would have no record and no prompt.`,
    hint: absence.hint,
    retryable: true,
  });
}

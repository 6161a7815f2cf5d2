import { labelOf } from './actions.ts';
import { PLAIN, type Conditions } from './conditions.ts';
import { inTurn } from './gates/words.ts';
import { positionOf, wayToAction } from './lanes.ts';
import type { ActionIdentity, DriftCode, WorkItem } from './types.ts';

export interface Remedy {
  /** What to do about it, a sentence. */
  text: string;
  /** The action that resolves the disagreement, or reads it again after it was resolved elsewhere. */
  action: ActionIdentity;
}

const remedy = (action: ActionIdentity, text: string): Remedy => ({ action, text });

type Standing = Pick<WorkItem, 'id' | 'lane' | 'handoff'>;

/** The way out of a disagreement, with an action that the lane machine allows where the item stands. */
export function remedyOf(
  code: DriftCode,
  item: Standing,
  { queueWrites }: Pick<Conditions, 'queueWrites'> = PLAIN,
): Remedy {
  const found = (queueWrites ? null : BY_HAND[code]) ?? REMEDIES[code];
  return typeof found === 'function' ? found(item) : found;
}

const REMEDIES: Readonly<Record<DriftCode, Remedy | ((item: Standing) => Remedy)>> = {
  'queue-status-vs-lane': remedy(
    'reconcile',
    "Run Reconcile to move the record to the item's lane and rewrite its status.",
  ),
  'queue-file-missing': remedy('reconcile', 'Run Reconcile to write the record again.'),
  'queue-file-unknown-item': remedy('refresh-truth', 'Give the record the id of its file, or remove it.'),
  'duplicate-id': remedy('refresh-truth', 'Remove or rename the further files that claim this id.'),
  'prompt-missing': remedy('refresh-truth', 'Write the prompt file again; nothing else holds its text.'),
  'prompt-changed-in-flight': changedPrompt,
  'branch-missing': remedy('refresh-truth', 'Push the branch, or correct it in the record.'),
  'branch-mismatch': remedy(
    'refresh-truth',
    'Correct the branch in the record, or link the right pull request.',
  ),
  'pr-merged-lane-open': mergedAhead,
  'pr-closed-unmerged': ({ lane }) =>
    remedy(
      'refresh-truth',
      lane === 'done'
        ? 'Reopen or replace the pull request; the item stays done.'
        : 'Reopen or replace the pull request, or cancel the item.',
    ),
  'lane-done-pr-open': remedy('refresh-truth', 'Merge or close the pull request; the item stays done.'),
  'pr-head-unvalidated': remedy(
    'submit-evidence',
    'Validate the head commit and submit the result as evidence.',
  ),
  'executing-without-lease': remedy('release-handoff', 'Send the item back to ready with Release handoff.'),
  'lease-without-executing': remedy('refresh-truth', 'Let the lease expire, or release it.'),
  'check-never-reported': remedy('refresh-truth', 'Run the check, or no longer require it.'),
  'handoff-dropped': remedy(
    'claim',
    'Take the item with Claim, or send it back to ready with Release handoff.',
  ),
};

/** With queue writes off the record is moved and restored by people. */
const BY_HAND: Partial<Record<DriftCode, (item: Standing) => Remedy>> = {
  'queue-status-vs-lane': ({ id, lane }) =>
    remedy(
      'refresh-truth',
      `Queue writes are off: move the record by git to ${lane}/${id}.md and set its status to ${lane}.`,
    ),
  'queue-file-missing': ({ id, lane }) =>
    remedy('refresh-truth', `Queue writes are off: restore ${lane}/${id}.md from git.`),
};

function changedPrompt({ lane }: Standing): Remedy {
  if (lane === 'ready') {
    return remedy(
      'start-execution',
      'Restore the prompt, or plan with the changed one by Start execution again.',
    );
  }
  if (lane === 'executing') {
    const text = 'Restore the prompt, or plan with the changed one by Release handoff, then Start execution.';
    return remedy('release-handoff', text);
  }
  if (lane !== 'review') return remedy('refresh-truth', 'Restore the prompt.');
  return remedy('request-changes', 'Restore the prompt, or hand the changed one out with Request changes.');
}

/** Whoever merged was ahead of the lanes: what is left of the way to Complete. */
function mergedAhead(item: Standing): Remedy {
  const [first, ...others] = wayToAction(positionOf(item), 'complete')?.actions ?? [];
  if (first === undefined) return remedy('complete', 'Finish the review with Complete, or cancel the item.');
  const way = inTurn([first, ...others].map(labelOf));
  return remedy(
    first,
    `Bring the item to review with ${way}, and finish it with Complete, or cancel the item.`,
  );
}

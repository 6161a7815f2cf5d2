import type { ActionIdentity, DriftCode } from './types.ts';

export interface Remedy {
  /** What to do about it, a sentence. */
  text: string;
  /** The action that resolves the disagreement, or reads it again after it was resolved elsewhere. */
  action: ActionIdentity;
}

const remedy = (action: ActionIdentity, text: string): Remedy => ({ action, text });

/** The way out of each disagreement. */
export const REMEDIES: Readonly<Record<DriftCode, Remedy>> = {
  'queue-status-vs-lane': remedy(
    'reconcile',
    "Run Reconcile to move the record to the item's lane and rewrite its status.",
  ),
  'queue-file-missing': remedy('reconcile', 'Run Reconcile to write the record again.'),
  'queue-file-unknown-item': remedy('refresh-truth', 'Give the record the id of its file, or remove it.'),
  'duplicate-id': remedy('refresh-truth', 'Remove or rename the further files that claim this id.'),
  'prompt-missing': remedy('refresh-truth', 'Write the prompt file again; nothing else holds its text.'),
  'prompt-changed-in-flight': remedy(
    'refresh-truth',
    'Restore the prompt, or plan again with Start execution (from executing after Release handoff).',
  ),
  'branch-missing': remedy('refresh-truth', 'Push the branch, or correct it in the record.'),
  'branch-mismatch': remedy('refresh-truth', 'Correct the branch in the record, or link the right pull request.'),
  'pr-merged-lane-open': remedy('complete', 'Finish the review with Complete, or cancel the item.'),
  'pr-closed-unmerged': remedy('refresh-truth', 'Reopen or replace the pull request, or cancel the item.'),
  'lane-done-pr-open': remedy('refresh-truth', 'Merge or close the pull request; the item stays done.'),
  'pr-head-unvalidated': remedy('submit-evidence', 'Validate the head commit and submit the result as evidence.'),
  'executing-without-lease': remedy('release-handoff', 'Send the item back to ready with Release handoff.'),
  'lease-without-executing': remedy('refresh-truth', 'Let the lease expire, or release it.'),
  'check-never-reported': remedy('refresh-truth', 'Run the check, or no longer require it.'),
  'handoff-dropped': remedy('claim', 'Take the item with Claim, or send it back to ready with Release handoff.'),
};

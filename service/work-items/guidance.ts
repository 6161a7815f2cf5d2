import { authorityFor } from './drift.ts';
import { upperFirst } from './gates/words.ts';
import { isUnreadable } from './truth.ts';
import type { Drift, DriftCode, Policy, QueueObservation, TruthReport, WorkItem } from './types.ts';

const CONSISTENT = 'No reconciliation required; item truth signals are consistent.';

/** What to do about each code, after the sentence that says what disagrees and who has authority. */
const REMEDIES: Record<DriftCode, string> = {
  'queue-status-vs-lane': "Run Reconcile to move the record to the item's lane and rewrite its status.",
  'queue-file-missing': 'Run Reconcile to write the record again.',
  'queue-file-unknown-item': 'Give the record the id of its file, or remove it.',
  'duplicate-id': 'Remove or rename the further files that claim this id.',
  'prompt-missing': 'Write the prompt file again; nothing else holds its text.',
  'prompt-changed-in-flight': 'Restore the prompt, or plan again with Release handoff and Start execution.',
  'branch-missing': 'Push the branch, or correct it in the record.',
  'branch-mismatch': 'Correct the branch in the record, or link the right pull request.',
  'pr-merged-lane-open': 'Finish the review with Complete, or cancel the item.',
  'pr-closed-unmerged': 'Reopen or replace the pull request, or cancel the item.',
  'lane-done-pr-open': 'Merge or close the pull request; the item stays done.',
  'pr-head-unvalidated': 'Validate the head commit and submit the result as evidence.',
  'executing-without-lease': 'Claim the item again, or send it back with Release handoff.',
  'lease-without-executing': 'Let the lease expire, or release it.',
  'check-never-reported': 'Run the check, or no longer require it.',
  'handoff-dropped': 'Take the item with Claim, or send it back to ready with Release handoff.',
};

/** The sentences of the section Reconciliation Guidance, at least one. */
export function guidance(
  item: WorkItem,
  truth: TruthReport,
  queue: QueueObservation | null,
  policy: Pick<Policy, 'authorities'>,
): string[] {
  const open = [...unreadable(item, queue), ...truth.drift.map((drift) => sentence(drift, policy))];
  return [...(open.length > 0 ? open : [CONSISTENT]), ...withoutHandoff(item)];
}

function sentence({ code, field, left, right }: Drift, policy: Pick<Policy, 'authorities'>): string {
  const authority = authorityFor(field, policy);
  const disagreement = `${upperFirst(left.source)} says ${left.value}, ${right.source} says ${right.value}`;
  return `${disagreement}; authority for ${field} is ${authority}. ${REMEDIES[code]}`;
}

function unreadable(item: WorkItem, queue: QueueObservation | null): string[] {
  if (!queue || !isUnreadable(queue)) return [];
  const texts = queue.problems.map(({ file, line, message }) => `${file}:${line}: ${message}`);
  return [`The record of ${item.id} cannot be read; what is shown was read before. Repair ${texts.join('; ')}`];
}

/** Items that came into executing or review without a handoff, before and after somebody adopted them. */
function withoutHandoff({ origin, lane, handoff, pastHandoffs }: WorkItem): string[] {
  if (lane !== 'executing' && lane !== 'review') return [];
  if (handoff?.adopted) return [`Handoff ${handoff.id} adopted this item as it was imported; nothing was queued for it.`];
  if (origin !== 'import' || handoff || pastHandoffs.length > 0) return [];
  return [`Imported in ${lane} without a handoff: Claim adopts it, Release handoff sends it back to ready.`];
}

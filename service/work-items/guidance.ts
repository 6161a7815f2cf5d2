import { PLAIN, waitingFor, type Conditions } from './conditions.ts';
import { authorityFor } from './drift.ts';
import { upperFirst } from './gates/words.ts';
import { remedyOf } from './remedies.ts';
import { isUnreadable } from './truth.ts';
import type { Drift, Policy, QueueObservation, TruthReport, WorkItem } from './types.ts';
import { isOfPrompts, unreadProblem } from './unread.ts';

const CONSISTENT = 'No reconciliation required; item truth signals are consistent.';

/** The sentences of the section Reconciliation Guidance, at least one. */
export function guidance(
  item: WorkItem,
  truth: TruthReport,
  queue: QueueObservation | null,
  policy: Pick<Policy, 'authorities'>,
  conditions: Conditions = PLAIN,
): string[] {
  const open = [
    ...unreadable(item, queue),
    ...truth.drift.map((drift) => sentence(item, drift, policy, conditions)),
    ...withoutHolder(item, conditions),
  ];
  return [...(open.length > 0 ? open : [CONSISTENT]), ...waiting(conditions), ...withoutHandoff(item)];
}

function sentence(
  item: WorkItem,
  { code, field, left, right }: Drift,
  policy: Pick<Policy, 'authorities'>,
  conditions: Conditions,
): string {
  const authority = authorityFor(field, policy);
  const disagreement = `${upperFirst(left.source)} says ${left.value}, ${right.source} says ${right.value}`;
  return `${disagreement}; authority for ${field} is ${authority}. ${remedyOf(code, item, conditions).text}`;
}

function unreadable(item: WorkItem, queue: QueueObservation | null): string[] {
  if (!queue) return [];
  const unread = unreadProblem(queue, 'queue');
  const prompt = unreadProblem(queue, 'prompt');
  const before = 'what is shown was read before.';
  const texts = [];
  if (unread)
    texts.push(`The record of ${item.id} cannot be read; ${before} ${unread.message} ${unread.hint}`);
  else if (isUnreadable(queue)) {
    const broken = queue.problems.filter(({ file }) => !isOfPrompts(file));
    const repair = broken.map(({ file, line, message }) => `${file}:${line}: ${message}`).join('; ');
    texts.push(`The record of ${item.id} cannot be read; ${before} Repair ${repair}`);
  }
  if (prompt && prompt !== unread)
    texts.push(`The prompt of ${item.id} cannot be read; ${before} ${prompt.message} ${prompt.hint}`);
  return texts;
}

function withoutHolder({ handoff }: WorkItem, { lostHolder }: Conditions): string[] {
  if (!handoff || lostHolder === null) return [];
  return [
    `Handoff ${handoff.id} is held by ${lostHolder}; nobody goes on with it. Send the item back to ready with Release handoff.`,
  ];
}

function waiting(conditions: Conditions): string[] {
  const found = waitingFor(conditions);
  return found ? [`${found.cause} ${found.step}`] : [];
}

/** Items that came into executing or review without a handoff, before and after somebody adopted them. */
function withoutHandoff({ origin, lane, handoff, pastHandoffs }: WorkItem): string[] {
  if (lane !== 'executing' && lane !== 'review') return [];
  if (handoff?.adopted)
    return [`Handoff ${handoff.id} adopted this item as it was imported; nothing was queued for it.`];
  if (origin !== 'import' || handoff || pastHandoffs.length > 0) return [];
  return [`Imported in ${lane} without a handoff: Claim adopts it, Release handoff sends it back to ready.`];
}

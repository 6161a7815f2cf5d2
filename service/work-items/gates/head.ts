import type { AwaitedFact, Evidence, Facts, ForgeFacts, GatePack, Unblock, WorkItem } from '../types.ts';
import { awaited, byAction } from './result.ts';

/**
 * The commit that evidence and approvals must name: with a forge the head of the item's branch, without one the
 * newest commit named by evidence of the current round of work, which begins when a handoff is queued. Null: none.
 */
export function headCommit(facts: Pick<Facts, 'item' | 'forge'>): string | null {
  if (facts.forge) return forgeHead(facts.forge);
  return roundOf(facts.item).evidence.findLast(({ commit }) => commit !== null)?.commit ?? null;
}

/** What has to change first where a forge names no head commit; evidence alone cannot make one. */
export function awaitedHead(facts: Pick<Facts, 'item' | 'forge'>): AwaitedFact[] {
  return facts.forge ? awaitedCommit(facts) : [];
}

/** How to make the head commit known where a forge names none, a sentence before others; empty: evidence can name it. */
export function namingHead(facts: Pick<Facts, 'item' | 'forge'>): { text: string; unblock: Unblock[] } {
  if (awaitedHead(facts).length === 0) return { text: '', unblock: [] };
  const { text, unblock } = namingCommit(facts);
  return { text: `${text} `, unblock };
}

export function namingCommit({ forge }: Pick<Facts, 'forge'>): { text: string; unblock: Unblock[] } {
  return forge
    ? { text: 'Push the branch, then read it with Refresh truth.', unblock: [byAction('refresh-truth')] }
    : { text: 'Name the reviewed commit with Submit evidence.', unblock: [byAction('submit-evidence')] };
}

/** What has to change first where no head commit is known: the forge must name one, or without a forge evidence. */
export function awaitedCommit(facts: Pick<Facts, 'item' | 'forge'>): AwaitedFact[] {
  if (headCommit(facts) !== null) return [];
  return [
    facts.forge ? awaited('pull request', 'head.known', true) : awaited('evidence', 'commit.known', true),
  ];
}

/** Commits that the item's evidence, its approvals or the forge name, each once. */
export function knownCommits({ item, forge }: Pick<Facts, 'item' | 'forge'>): string[] {
  const recorded = [...item.evidence, ...item.approvals].map(({ commit }) => commit);
  const onForge = [
    forge?.branchHead,
    forge?.pullRequest?.headCommit,
    ...(forge?.checks ?? []).map(({ commit }) => commit),
  ];
  return [...new Set([...recorded, ...onForge].filter((commit) => commit !== null && commit !== undefined))];
}

/** Of a merged pull request its head: the branch may be gone or have gone on. */
function forgeHead({ pullRequest, branchHead }: ForgeFacts): string | null {
  if (pullRequest?.state === 'merged') return pullRequest.headCommit;
  return branchHead ?? pullRequest?.headCommit ?? null;
}

/** The present round of work: its evidence in order, and when it began; null: with the item. */
export interface Round {
  evidence: Evidence[];
  since: string | null;
}

/**
 * A round of work begins when a handoff is queued, and an adopted one goes on with it. Keyed on handoff history, so
 * releasing a handoff changes nothing.
 */
export function roundOf({ evidence, handoff, pastHandoffs }: WorkItem): Round {
  const handoffs = handoff ? [...pastHandoffs, handoff] : pastHandoffs;
  const queued = handoffs.findLast(({ queuedBy }) => queuedBy !== null);
  return { evidence: evidence.slice(handoffs.at(-1)?.evidenceFrom ?? 0), since: queued?.queuedAt ?? null };
}

/**
 * The newest validation of `commit` whose producer the pack trusts; with a forge, one that names a script other than
 * the branch's does not count.
 */
export function validationOf(
  facts: Pick<Facts, 'item' | 'forge'>,
  commit: string,
  pack: GatePack,
): Evidence | null {
  const script = facts.forge?.scriptDigest.branch ?? null;
  const counts = (evidence: Evidence) =>
    evidence.kind === 'validation' &&
    evidence.commit === commit &&
    (pack.validationTrust?.includes(evidence.trust) ?? true) &&
    (script === null || evidence.scriptDigest === null || evidence.scriptDigest === script);
  return facts.item.evidence.findLast(counts) ?? null;
}

/** Whether the forge's own checks of `commit` all succeeded; false without a forge or without checks. */
export function checksPassed(facts: Pick<Facts, 'forge'>, commit: string): boolean {
  const checks = facts.forge?.checks.filter((check) => check.commit === commit) ?? [];
  return checks.length > 0 && checks.every((check) => check.state === 'success');
}

import type { Approval, Evidence, Facts } from '../types.ts';
import { roundOf } from './head.ts';
import { mayAttest } from './people.ts';
import { shortSha } from './words.ts';

/** The rule by which what people said about a commit falls. What a forge or a pipeline found stays with its commit. */

type Known = Pick<Facts, 'item' | 'forge'>;

/**
 * A person's word (an approval, an attestation, a criterion's result) is about the work as it stood: it falls with the
 * round of work that it was given in, and once another commit is reported after it. What fell stays fallen, also when
 * its commit is the head again. Approvals are ordered by their times; one of the same time as what it falls with fell.
 * @returns why it fell, as the rest of a sentence; null: it stands
 */
export function fallOfApproval({ item, forge }: Known, approval: Approval): string | null {
  const { evidence, since } = roundOf(item);
  const at = Date.parse(approval.at);
  if (since !== null && at <= Date.parse(since)) return EARLIER_ROUND;
  return otherHead(
    forge,
    approval.commit,
    evidence.filter((later) => Date.parse(later.at) >= at),
  );
}

/** The same of a piece of the item's evidence, whose order is that of the list. */
export function fallOfEvidence({ item, forge }: Known, given: Evidence): string | null {
  const { evidence } = roundOf(item);
  const index = evidence.indexOf(given);
  if (index < 0) return EARLIER_ROUND;
  return otherHead(forge, given.commit, evidence.slice(index + 1));
}

/** The same for people. */
export const FALLS = "A person's word falls with its round of work and with another commit.";

const EARLIER_ROUND = 'was given in an earlier round of work';

/** With a forge the branch says what its head is, so that evidence about another commit reports no new one. */
function otherHead(forge: Facts['forge'], commit: string | null, later: Evidence[]): string | null {
  if (forge !== null || commit === null) return null;
  // A commit may be named short.
  const other = later.find((one) => {
    const named = one.commit ?? commit;
    return !named.startsWith(commit) && !commit.startsWith(named);
  });
  return other ? `fell when ${shortSha(other.commit ?? '')} was reported` : null;
}

/** The newest attestation of `commit` by someone who may attest, and why it fell; null: there is none. */
export function attestationOf(
  facts: Known,
  commit: string,
): { attestation: Evidence; fell: string | null } | null {
  const attests = (evidence: Evidence) =>
    evidence.kind === 'attestation' && evidence.commit === commit && mayAttest(evidence.producer);
  const attestation = facts.item.evidence.findLast(attests);
  return attestation ? { attestation, fell: fallOfEvidence(facts, attestation) } : null;
}

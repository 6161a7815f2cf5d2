import { awaitedCommit, headCommit, namingCommit } from './head.ts';
import { authorsOf, countsFrom, nameOf, reviewersBut } from './people.ts';
import {
  afterChange,
  afterTime,
  awaited,
  blocked,
  byAction,
  byUrl,
  itemFact,
  never,
  pass,
  retry,
  type Gate,
} from './result.ts';
import { fallOfApproval, FALLS } from './standing.ts';
import type { ActionIdentity, Approval, Facts, GateResult, Policy, Principal } from '../types.ts';
import { both, either, shortSha } from './words.ts';

/**
 * Approving: passes for people who did not work on the item. Completing: passes with such a person's approval of the
 * head commit. In the solo preset one's own approval with a note counts after the waiting time.
 */
export const independentReview: Gate = (facts, action, policy, principal, now) => {
  if (action === 'approve') return approver(facts, principal);
  return approved(facts, action, policy, now);
};

function approver(facts: Facts, principal: Principal): GateResult {
  const authors = authorsOf(facts.item);
  const own = authors.has(principal.personId);
  const shown = { facts: [itemFact(facts, 'authors', [...authors])] };
  if (own && facts.preset === 'team') return ownWork(facts, authors, principal);
  if (headCommit(facts) === null) return withoutCommit(facts);
  if (own) {
    return pass(
      'independent-review',
      'Solo preset: your own approval with a note counts after the waiting time.',
      shown,
    );
  }
  return pass('independent-review', 'You did not work on this item.', shown);
}

function ownWork(facts: Facts, authors: ReadonlySet<string>, principal: Principal): GateResult {
  return blocked('independent-review', {
    ...separation(facts),
    code: 'own-work',
    cause: `${nameOf(principal.personId, facts)} worked on this item.`,
    safeRetry: never(
      `Do not retry Approve on this ${facts.item.lane} item as its author; it waits for somebody else.`,
    ),
    params: { authors: [...authors] },
    facts: [itemFact(facts, 'authors', [...authors])],
  });
}

/** An approval binds to a commit, so it waits until one is known. */
function withoutCommit(facts: Facts): GateResult {
  const { text, unblock } = namingCommit(facts);
  return blocked('independent-review', {
    code: 'no-commit',
    cause: 'No commit of this item is known that an approval could bind to.',
    policyContext: 'Separation of duties. An approval binds to the commit that was reviewed.',
    nextStep: text,
    safeRetry: afterChange(retry(facts, 'approve', 'once its commit is known'), ...awaitedCommit(facts)),
    facts: [itemFact(facts, 'head', null)],
    unblock,
  });
}

function approved(facts: Facts, action: ActionIdentity, policy: Policy, now: string): GateResult {
  const head = headCommit(facts);
  const authors = authorsOf(facts.item);
  const approvals = countingApprovals(facts, policy, head).sort(
    (a, b) => Date.parse(a.from) - Date.parse(b.from),
  );
  const commit = head === null ? 'the work' : shortSha(head);
  const shown = [itemFact(facts, 'head', head), itemFact(facts, 'authors', [...authors])];
  const [first] = approvals;
  if (first && Date.parse(first.from) <= Date.parse(now)) {
    return pass('independent-review', `${first.who} approved ${commit}.`, { facts: shown });
  }
  const worked = [...authors].map((person) => nameOf(person, facts));
  const uncounted = first ? '' : uncountedApproval(facts, head, policy);
  const lack = first
    ? `An approval of one's own work counts from ${first.from}.`
    : `${worked.length > 0 ? 'Nobody else' : 'Nobody'} has approved ${commit}.`;
  const { policyContext, nextStep, unblock } = separation(facts);
  const naming = head === null ? namingCommit(facts) : null;
  return blocked('independent-review', {
    policyContext: uncounted === '' ? policyContext : `${policyContext} ${FALLS}`,
    nextStep: first
      ? `Wait until ${first.from}, when ${first.who}'s approval counts.`
      : naming
        ? `${naming.text} ${nextStep}`
        : nextStep,
    unblock: [...(naming?.unblock ?? []), ...unblock],
    code: first ? 'approval-waiting' : 'not-approved',
    cause: `${worked.length > 0 ? `${both(worked)} worked on this item. ` : ''}${lack}${uncounted}`,
    safeRetry: first
      ? afterTime(retry(facts, action, `after ${first.from}`), first.from, now)
      : afterChange(
          retry(facts, action, `once ${head === null ? 'its commit' : 'the head commit'} is approved`),
          awaited('approvals', 'independentOnHead', true),
          ...awaitedCommit(facts),
        ),
    params: { head, authors: [...authors] },
    facts: shown,
  });
}

/** Standing approvals of `head` with the time from which each counts; one's own needs a note. */
function countingApprovals(
  facts: Facts,
  policy: Policy,
  head: string | null,
): { who: string; from: string }[] {
  const authors = authorsOf(facts.item);
  if (head === null) return [];
  return facts.item.approvals.flatMap((approval) => {
    const from = timeOf(approval, authors, facts, policy);
    if (approval.commit !== head || from === null || fallOfApproval(facts, approval) !== null) return [];
    return [{ who: nameOf(approval.by.personId, facts), from }];
  });
}

/** The time from which an approval counts if it stands and is of the head commit; null: it is its author's. */
function timeOf(approval: Approval, authors: ReadonlySet<string>, facts: Facts, policy: Policy) {
  const own = approval.by.personId !== null && authors.has(approval.by.personId);
  if (own && approval.note === null) return null;
  return countsFrom(approval, authors, facts.preset, policy.soloWaitSeconds);
}

/** Why the newest approval of those that could count does not, a sentence after a blank; empty: there is none. */
function uncountedApproval(facts: Facts, head: string | null, policy: Policy): string {
  const authors = authorsOf(facts.item);
  const newest = facts.item.approvals.findLast((one) => timeOf(one, authors, facts, policy) !== null);
  if (!newest) return '';
  const who = nameOf(newest.by.personId, facts);
  const fell = fallOfApproval(facts, newest);
  const commit = newest.commit === null ? 'no commit' : shortSha(newest.commit);
  if (fell !== null) return ` ${who}'s approval of ${commit} ${fell}.`;
  return newest.commit === head ? '' : ` ${who}'s approval is of ${commit}.`;
}

function separation(facts: Facts) {
  const eligible = reviewersBut(authorsOf(facts.item), facts);
  const solo = 'Approve it yourself with a note and wait the waiting time of the solo preset.';
  const invite = 'Invite a reviewer who did not work on this item.';
  const ask = `Ask ${either(eligible)} to approve it with Approve.`;
  return {
    policyContext: 'Separation of duties.',
    nextStep: eligible.length > 0 ? ask : facts.preset === 'solo' ? solo : invite,
    unblock:
      eligible.length > 0 || facts.preset === 'solo'
        ? [byAction('approve')]
        : [byUrl('/people', 'factory.people.manage')],
  };
}

import type { ActionIdentity, Facts, ForgeFacts, GateResult } from '../types.ts';
import { headCommit } from './head.ts';
import { nameOf } from './people.ts';
import {
  afterChange,
  awaited,
  blocked,
  byAction,
  byUrl,
  fact,
  itemFact,
  pass,
  retry,
  unknown,
  type Gate,
} from './result.ts';
import { attestationOf, FALLS } from './standing.ts';
import { shortSha } from './words.ts';

const POLICY = 'Release and completion need a pull request whose state is known.';

/**
 * Preparing a release needs a linked pull request. Completing needs one that is merged, or open, mergeable and at the
 * branch's head; without a forge a reviewer's attestation of the head commit stands for it and is labelled so.
 */
export const pullRequest: Gate = (facts, action) => {
  const linked = Boolean(facts.item.record.pr ?? facts.forge?.pullRequest);
  if (action === 'complete') return facts.forge ? onForge(facts, facts.forge) : attested(facts);
  if (!linked) return notLinked(facts, action);
  return pass('pull-request', `${numbered(facts)} is linked.`, { facts: [linkFact(facts)] });
};

function notLinked(facts: Facts, action: ActionIdentity): GateResult {
  const merged = awaited('pull request', 'state', 'merged');
  return blocked('pull-request', {
    code: 'no-pull-request',
    cause: 'No pull request is linked.',
    policyContext: POLICY,
    nextStep: "Open a pull request and link it as `pr` in the item's record, then run Refresh truth.",
    safeRetry:
      action === 'complete'
        ? afterChange(retry(facts, action, 'once a pull request is linked and merged'), merged)
        : afterChange(
            retry(facts, action, 'once a pull request is linked'),
            awaited('item', 'record.pr.linked', true),
          ),
    facts: [linkFact(facts)],
    unblock: [byAction('refresh-truth')],
  });
}

function attested(facts: Facts): GateResult {
  const { item } = facts;
  const head = headCommit(facts);
  const newest = head === null ? null : attestationOf(facts, head);
  const attestation = newest?.fell === null ? newest.attestation : null;
  const who = newest && nameOf(newest.attestation.producer.personId, facts);
  const shown = [
    linkFact(facts),
    itemFact(facts, 'head', head),
    itemFact(facts, 'attestation', attestation?.result ?? null),
  ];
  if (head !== null && attestation?.result === 'passed') {
    const reason = `Attestation by ${who} for ${shortSha(head)}; no forge has verified it.`;
    return pass('pull-request', reason, {
      code: 'attested',
      params: { head, evidence: attestation.id },
      facts: shown,
    });
  }
  const link = item.record.pr === null ? 'No pull request is linked' : `${numbered(facts)} is unverified`;
  const commit = head === null ? 'a commit' : shortSha(head);
  const lack = attestation
    ? `a reviewer's attestation says that ${commit} failed`
    : newest
      ? `${who}'s attestation of ${commit} ${newest.fell}`
      : `no reviewer has attested ${commit}`;
  return blocked('pull-request', {
    code: attestation ? 'attestation-failed' : newest ? 'attestation-fallen' : 'not-attested',
    cause: `${link}; no forge is connected and ${lack}.`,
    policyContext: newest?.fell ? `${POLICY} ${FALLS}` : POLICY,
    nextStep: `Let a reviewer attest ${head ?? 'the reviewed commit'} with Submit evidence, kind attestation.`,
    safeRetry: afterChange(
      retry(
        facts,
        'complete',
        `once a reviewer has attested ${head === null ? 'a commit' : 'the head commit'}`,
      ),
      awaited('evidence', 'attestation.passedOnHead', true),
    ),
    params: { head, pr: item.record.pr },
    facts: shown,
    unblock: [byAction('submit-evidence')],
  });
}

function onForge(facts: Facts, forge: ForgeFacts): GateResult {
  const source = facts.truth.sources.find((one) => one.source === 'pull request');
  const current = source?.freshness.verdict === 'Fresh' || source?.freshness.verdict === 'Aging';
  if (!current) return stateUnknown(facts);
  const request = forge.pullRequest;
  if (request === null)
    return facts.item.record.pr === null ? notLinked(facts, 'complete') : stateUnknown(facts);
  const shown = {
    params: { pr: request.number, state: request.state },
    facts: [forgeFact(forge, 'state', request.state)],
  };
  if (request.state === 'merged')
    return pass('pull-request', `PR #${request.number} is merged.`, { ...shown, code: 'merged' });
  const atHead = request.headCommit === forge.branchHead;
  if (request.state === 'open' && request.mergeable && atHead) {
    return pass('pull-request', `PR #${request.number} is open and mergeable at the branch head.`, {
      ...shown,
      code: 'mergeable',
    });
  }
  const state =
    request.state === 'closed' ? 'closed' : atHead ? 'open but not mergeable' : 'behind its branch head';
  return blocked('pull-request', {
    ...shown,
    code: request.state === 'closed' ? 'closed' : atHead ? 'not-mergeable' : 'behind-branch-head',
    cause: `PR #${request.number} is ${state}.`,
    policyContext: POLICY,
    nextStep: `Merge, reopen or replace PR #${request.number}, then run Refresh truth.`,
    safeRetry: afterChange(
      retry(facts, 'complete', 'once the pull request is merged'),
      awaited('pull request', 'state', 'merged'),
    ),
    unblock: [...linkOf(facts), byAction('refresh-truth')],
  });
}

function stateUnknown(facts: Facts): GateResult {
  return unknown('pull-request', {
    code: 'state-unknown',
    cause: `${numbered(facts)} has no known state: the forge did not answer in time or does not know it.`,
    policyContext: POLICY,
    nextStep: 'Read the forge again with Refresh truth, and check the link to the pull request.',
    safeRetry: afterChange(
      retry(facts, 'complete', 'once the forge says that the pull request is merged'),
      awaited('pull request', 'state', 'merged'),
      awaited('pull request', 'freshness.verdict', 'Fresh', 'Aging'),
    ),
    params: { pr: facts.item.record.pr },
    facts: [linkFact(facts)],
    unblock: [byAction('refresh-truth'), ...linkOf(facts)],
  });
}

/** `PR #122` where the forge or the link tells the number, else the link itself. */
function numbered(facts: Facts): string {
  const link = facts.item.record.pr ?? '';
  const number = facts.forge?.pullRequest?.number ?? /(?:\/|#|^)(\d+)\/?$/.exec(link)?.[1];
  return number === undefined ? `PR ${link}` : `PR #${number}`;
}

function linkOf(facts: Facts) {
  const link = facts.item.record.pr;
  return link !== null && /^https?:\/\//.test(link) ? [byUrl(link)] : [];
}

const linkFact = (facts: Facts) => itemFact(facts, 'record.pr', facts.item.record.pr);

const forgeFact = (forge: ForgeFacts, path: string, value: unknown) =>
  fact('pull request', path, value, forge.observedAt, forge.pullRequest?.headCommit ?? null);

import { packOf } from '../packs.ts';
import {
  TRUST,
  type ActionIdentity,
  type Evidence,
  type Facts,
  type GatePack,
  type GateResult,
} from '../types.ts';
import { awaitedHead, checksPassed, headCommit, namingHead, validationOf } from './head.ts';
import { mayAttest } from './people.ts';
import {
  afterChange,
  awaited,
  blocked,
  byAction,
  fact,
  itemFact,
  notApplicable,
  pass,
  retry,
  unknown,
  type Gate,
} from './result.ts';
import { ANY_COMMIT, PRODUCERS, submission } from './trust.ts';
import { either, shortSha } from './words.ts';

/** Passes where the newest validation of the head commit that the pack trusts has passed, or the forge's checks have. */
export const validationEvidence: Gate = (facts, action, policy) => {
  const pack = packOf(policy);
  const head = headCommit(facts);
  const found = head === null ? null : validationOf(facts, head, pack);
  const shown = [itemFact(facts, 'head', head), itemFact(facts, 'validation', found?.result ?? null)];
  if (head !== null && found === null && checksPassed(facts, head)) {
    return pass('validation-evidence', `The checks of ${shortSha(head)} passed on the forge.`, {
      facts: shown,
    });
  }
  if (head !== null && found?.result === 'passed') {
    const reason = `Validation of ${shortSha(head)} passed, from ${found.trust}.`;
    return pass('validation-evidence', reason, {
      params: { evidence: found.id, trust: found.trust },
      facts: shown,
    });
  }
  return notValidated(facts, action, pack, head, found, shown);
};

/** `found`: the newest validation that counts; it has failed. */
function notValidated(
  facts: Facts,
  action: ActionIdentity,
  pack: GatePack,
  head: string | null,
  found: Evidence | null,
  shown: GateResult['facts'],
): GateResult {
  const untrusted = head === null ? null : untrustedPass(facts, head, pack);
  const trust = pack.validationTrust ?? null;
  const trusted = trust ? ` Only evidence from ${either(trust)} counts.` : '';
  const uncounted = untrusted
    ? ` The passed result was submitted by ${PRODUCERS[untrusted.trust]}; this pack counts only ${either(trust ?? [])}.`
    : '';
  const command = facts.item.record.validation;
  const run = command === null ? "the project's validation" : `\`${command}\``;
  const { how, unblock } = submission(pack);
  const naming = namingHead(facts);
  return blocked('validation-evidence', {
    code: found ? 'validation-failed' : untrusted ? 'validation-untrusted' : 'no-validation',
    cause: `No passing validation for ${head === null ? ANY_COMMIT : shortSha(head)}.${uncounted}`,
    policyContext: `Validation binds to the exact commit.${trusted}`,
    nextStep: `${naming.text}Run ${run} at ${head ?? ANY_COMMIT} and submit its result by Submit evidence${how}.`,
    safeRetry: afterChange(
      retry(
        facts,
        action,
        `once ${head === null ? ANY_COMMIT : 'the head commit'} has passing evidence that counts`,
      ),
      awaited('evidence', 'validation.passedOnHead', true),
      ...awaitedHead(facts),
    ),
    params: { head, command, trust },
    facts: shown,
    unblock: [...naming.unblock, ...unblock],
  });
}

/** The newest validation of `commit` among those that the pack does not trust, if it passed. */
function untrustedPass(facts: Facts, commit: string, pack: GatePack): Evidence | null {
  const others = TRUST.filter((trust) => !(pack.validationTrust?.includes(trust) ?? true));
  const newest = validationOf(facts, commit, { ...pack, validationTrust: others });
  return newest?.result === 'passed' ? newest : null;
}

/** Passes where the branch does not change the validation script, or a reviewer has attested the changed digest. */
export const validationScriptUnchanged: Gate = (facts, action) => {
  const gate = 'validation-script-unchanged';
  if (!facts.forge) return notApplicable(gate, 'No forge is connected that tells the script of the branch.');
  const { branch, defaultBranch } = facts.forge.scriptDigest;
  if (branch === null && defaultBranch === null && facts.item.record.validation !== null) {
    return scriptUnknown(facts, action);
  }
  const shown = [fact('pull request', 'scriptDigest.branch', branch, facts.forge.observedAt)];
  if (branch === defaultBranch)
    return pass(gate, 'The branch leaves the validation script as it is.', { facts: shown });
  const approves = (evidence: Evidence) =>
    evidence.kind === 'attestation' && evidence.scriptDigest === branch && mayAttest(evidence.producer);
  const approval = branch === null ? null : facts.item.evidence.findLast(approves);
  if (approval?.result === 'passed') {
    return pass(gate, 'A reviewer has approved the changed validation script.', {
      code: 'script-approved',
      facts: shown,
    });
  }
  return blocked(gate, {
    code: 'script-changed',
    cause: `This branch changes ${facts.item.record.validation ?? 'the validation script'}.`,
    policyContext: 'The work may not rewrite its own check.',
    nextStep:
      'Let a reviewer approve the digest with Submit evidence, kind attestation, or revert the script.',
    safeRetry: afterChange(
      retry(facts, action, 'once the script is approved, or is that of the default branch'),
      awaited('pull request', 'scriptDigest.unchanged', true),
    ),
    params: { branch, defaultBranch },
    facts: shown,
    unblock: [byAction('submit-evidence')],
  });
};

function scriptUnknown(facts: Facts, action: ActionIdentity): GateResult {
  const script = facts.item.record.validation;
  return unknown('validation-script-unchanged', {
    code: 'script-unknown',
    cause: `The forge does not tell whether this branch changes ${script}.`,
    policyContext: 'The work may not rewrite its own check.',
    nextStep: `Read the forge again with Refresh truth, and check that ${script} is in the repository.`,
    safeRetry: afterChange(
      retry(facts, action, 'once the forge says that the script is unchanged'),
      awaited('pull request', 'scriptDigest.unchanged', true),
    ),
    params: { script },
    facts: [fact('pull request', 'scriptDigest', null, facts.forge?.observedAt ?? null)],
    unblock: [byAction('refresh-truth')],
  });
}

import { packOf } from '../packs.ts';
import {
  TRUST,
  type ActionIdentity,
  type Evidence,
  type Facts,
  type GatePack,
  type GateResult,
  type Policy,
  type Trust,
  type Waiver,
} from '../types.ts';
import { awaitedHead, checksPassed, headCommit, validationOf } from './head.ts';
import { authorsOf, countsFrom, mayAttest } from './people.ts';
import {
  afterChange,
  afterTime,
  awaited,
  blocked,
  byAction,
  byUrl,
  fact,
  itemFact,
  notApplicable,
  pass,
  retry,
  unknown,
  type Gate,
} from './result.ts';
import { either, shortSha } from './words.ts';

/** How people call a producer by its trust. */
const PRODUCERS: Readonly<Record<Trust, string>> = {
  forge: 'a forge',
  ci: 'a pipeline',
  person: 'a person',
  agent: 'an agent',
};

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
  return blocked('validation-evidence', {
    code: found ? 'validation-failed' : untrusted ? 'validation-untrusted' : 'no-validation',
    cause: `No passing validation for ${head === null ? ANY_COMMIT : shortSha(head)}.${uncounted}`,
    policyContext: `Validation binds to the exact commit.${trusted}`,
    nextStep: `Run ${run} at ${head ?? ANY_COMMIT} and submit its result by Submit evidence${how}.`,
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
    unblock,
  });
}

const ANY_COMMIT = 'a commit of this round of work';

/** The newest validation of `commit` among those that the pack does not trust, if it passed. */
function untrustedPass(facts: Facts, commit: string, pack: GatePack): Evidence | null {
  const others = TRUST.filter((trust) => !(pack.validationTrust?.includes(trust) ?? true));
  const newest = validationOf(facts, commit, { ...pack, validationTrust: others });
  return newest?.result === 'passed' ? newest : null;
}

/** How to submit so that it counts: where people do not, with a token of a role that does. */
function submission({ validationTrust: trust }: GatePack): { how: string; unblock: GateResult['unblock'] } {
  const submit = byAction('submit-evidence');
  const roles = (['ci', 'agent'] as const).filter((role) => trust?.includes(role));
  if (!trust || trust.includes('person') || roles.length === 0) return { how: '', unblock: [submit] };
  const create = `npx factory token create --name NAME --role ${roles[0]}`;
  const how = ` with a token of role ${either(roles)} (\`${create}\`)`;
  return { how, unblock: [submit, byUrl('/people', 'factory.token.manage')] };
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

/** Passes where each criterion has passing evidence as its newest, or a waiver that counts. */
export const criteriaMet: Gate = (facts, action, policy, _principal, now) => {
  const { criteria } = facts.item.record;
  const states = criteria.map((text) => criterionState(facts, policy, text, now));
  const lacking = states.flatMap((state, index) => (state === 'met' ? [] : [{ number: index + 1, state }]));
  const shown = [itemFact(facts, 'criteria.met', criteria.length - lacking.length)];
  if (lacking.length === 0) {
    return pass('criteria-met', `${criteria.length} of ${criteria.length} criteria are met or waived.`, {
      facts: shown,
    });
  }
  const list = lacking.map(({ number }) => number).join(', ');
  return blocked('criteria-met', {
    code: lacking.every(({ state }) => state !== 'lacking') ? 'waiver-waiting' : 'criteria-lacking',
    cause: `${lacking.length} of ${criteria.length} criteria lack evidence: ${list}.`,
    policyContext: 'Done means shown, not said.',
    nextStep: `Attach evidence for ${list} with Submit evidence, or ask for a waiver with Waive criterion.`,
    safeRetry: criteriaRetry(facts, action, lacking, now),
    params: { lacking: lacking.map(({ number }) => number), count: criteria.length },
    facts: shown,
    unblock: [byAction('submit-evidence'), byAction('waive-criterion')],
  });
};

/** `waiver` is the time from which a waiver counts. */
type CriterionState = 'met' | 'lacking' | { waiver: string };

/** Evidence and waivers go by the criterion's text: an edited criterion has neither. */
function criterionState(facts: Facts, policy: Policy, text: string, now: string): CriterionState {
  const { item } = facts;
  const newest = item.evidence.findLast((one) => one.kind === 'criterion' && one.criterionText === text);
  if (newest?.result === 'passed') return 'met';
  const authors = authorsOf(item);
  const from = (waiver: Waiver) => countsFrom(waiver, authors, facts.preset, policy.soloWaitSeconds);
  const times = item.waivers.filter((waiver) => waiver.criterionText === text).map(from);
  const [first] = times.filter((time) => time !== null).sort();
  if (first === undefined) return 'lacking';
  return Date.parse(first) <= Date.parse(now) ? 'met' : { waiver: first };
}

function criteriaRetry(
  facts: Facts,
  action: ActionIdentity,
  lacking: { number: number; state: CriterionState }[],
  now: string,
): NonNullable<GateResult['recovery']>['safeRetry'] {
  const waits = lacking.flatMap(({ state }) => (typeof state === 'object' ? [state.waiver] : []));
  const last = waits.sort().at(-1);
  if (last !== undefined && waits.length === lacking.length) {
    return afterTime(retry(facts, action, `after ${last}, when the waiver counts`), last, now);
  }
  const results = lacking.map(({ number }) => awaited('evidence', `criteria.${number}.result`, 'passed'));
  return afterChange(retry(facts, action, 'once each criterion has evidence or a waiver'), ...results);
}

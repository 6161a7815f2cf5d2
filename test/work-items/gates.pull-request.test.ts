import { describe, expect, it } from 'vitest';
import type { ActionIdentity, Facts, WorkItem } from '../../service/work-items/types.ts';
import {
  actor,
  AGENT,
  EARLIER,
  evidenceOf,
  factsOf,
  forgeOf,
  gate,
  handoffOf,
  HEAD,
  itemOf,
  MERGED,
  PR,
} from './gates.fixtures.ts';

describe('pull-request', () => {
  const open = { ...MERGED, state: 'open', mergeable: true } as const;
  const inReview = (fields: Partial<WorkItem> = {}, pr: string | null = null) =>
    itemOf('review', fields, { pr });
  const policyContext = 'Release and completion need a pull request whose state is known.';

  it.each<[string, ActionIdentity, Facts, string, string, string]>([
    ['linked', 'prepare-release', factsOf(inReview({}, PR)), 'pass', 'ok', 'PR #122 is linked.'],
    [
      'not linked',
      'prepare-release',
      factsOf(inReview()),
      'blocked',
      'no-pull-request',
      'No pull request is linked.',
    ],
    [
      'not attested',
      'complete',
      factsOf(inReview()),
      'blocked',
      'not-attested',
      'No pull request is linked; no forge is connected and no reviewer has attested a commit.',
    ],
    [
      'linked, not attested',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('validation')] }, PR)),
      'blocked',
      'not-attested',
      'PR #122 is unverified; no forge is connected and no reviewer has attested aaaaaaaaaaaa.',
    ],
    [
      'attested',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('attestation')] })),
      'pass',
      'attested',
      'Attestation by Ben for aaaaaaaaaaaa; no forge has verified it.',
    ],
    [
      'attestation withdrawn',
      'complete',
      factsOf(
        inReview({ evidence: [evidenceOf('attestation'), evidenceOf('attestation', { result: 'failed' })] }),
      ),
      'blocked',
      'attestation-failed',
      "No pull request is linked; no forge is connected and a reviewer's attestation says that aaaaaaaaaaaa failed.",
    ],
    [
      'attested by an agent',
      'complete',
      factsOf(
        inReview({ evidence: [evidenceOf('attestation', { producer: actor(AGENT), trust: 'agent' })] }),
      ),
      'blocked',
      'not-attested',
      'No pull request is linked; no forge is connected and no reviewer has attested aaaaaaaaaaaa.',
    ],
    [
      'attested before new commits',
      'complete',
      factsOf(
        inReview({
          evidence: [evidenceOf('attestation'), evidenceOf('validation', { commit: 'b'.repeat(40) })],
        }),
      ),
      'blocked',
      'not-attested',
      'No pull request is linked; no forge is connected and no reviewer has attested bbbbbbbbbbbb.',
    ],
    [
      'attested in an earlier round',
      'complete',
      factsOf(
        inReview({
          evidence: [evidenceOf('attestation')],
          handoff: handoffOf('submitted', { evidenceFrom: 1 }),
        }),
      ),
      'blocked',
      'not-attested',
      'No pull request is linked; no forge is connected and no reviewer has attested a commit.',
    ],
    [
      'merged',
      'complete',
      factsOf(inReview(), { forge: forgeOf({ pullRequest: MERGED, branchHead: null }) }),
      'pass',
      'merged',
      'PR #122 is merged.',
    ],
    [
      'open at the head',
      'complete',
      factsOf(inReview(), { forge: forgeOf() }),
      'pass',
      'mergeable',
      'PR #122 is open and mergeable at the branch head.',
    ],
    [
      'closed',
      'complete',
      factsOf(inReview(), { forge: forgeOf({ pullRequest: { ...open, state: 'closed' } }) }),
      'blocked',
      'closed',
      'PR #122 is closed.',
    ],
    [
      'in conflict',
      'complete',
      factsOf(inReview(), { forge: forgeOf({ pullRequest: { ...open, mergeable: false } }) }),
      'blocked',
      'not-mergeable',
      'PR #122 is open but not mergeable.',
    ],
    [
      'behind',
      'complete',
      factsOf(inReview(), { forge: forgeOf({ branchHead: 'b'.repeat(40) }) }),
      'blocked',
      'behind-branch-head',
      'PR #122 is behind its branch head.',
    ],
    [
      'unknown to the forge',
      'complete',
      factsOf(inReview({}, PR), { forge: forgeOf({ pullRequest: null }) }),
      'unknown',
      'state-unknown',
      'PR #122 has no known state: the forge did not answer in time or does not know it.',
    ],
    [
      'a forge that did not answer',
      'complete',
      factsOf(inReview({ evidence: [evidenceOf('attestation')] }, PR), {
        forge: forgeOf({ observedAt: EARLIER }),
      }),
      'unknown',
      'state-unknown',
      'PR #122 has no known state: the forge did not answer in time or does not know it.',
    ],
  ])('%s', (_name, action, facts, verdict, code, reason) => {
    const result = gate('pull-request', action, facts);
    expect(result).toMatchObject({ verdict, code, reason });
    if (result.recovery) expect(result.recovery).toMatchObject({ cause: reason, policyContext });
    if (code === 'not-attested' && reason.endsWith('aaaa.'))
      expect(result.recovery?.nextStep).toContain(` attest ${HEAD} with `);
  });
});

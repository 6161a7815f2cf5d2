import { describe, expect, it } from 'vitest';
import type { Facts, Principal, WorkItem } from '../../service/work-items/types.ts';
import {
  actor,
  AGENT,
  BEN,
  criterionEvidence,
  CY,
  EARLIER,
  evidenceOf,
  factsOf,
  forgeOf,
  gate,
  handoffOf,
  HEAD,
  itemOf,
  NOW,
  PIPELINE,
  policyOf,
  told,
} from './gates.fixtures.ts';

describe('validation-evidence and validation-script-unchanged', () => {
  const withEvidence = (...evidence: WorkItem['evidence']) => factsOf(itemOf('executing', { evidence }));
  const byPipeline = { trust: 'ci', producer: actor(PIPELINE) } as const;

  it('says what to run where, and whose evidence counts', () => {
    expect(told(gate('validation-evidence', 'complete', withEvidence(evidenceOf('attestation'))))).toEqual([
      'blocked',
      'no-validation',
      'No passing validation for aaaaaaaaaaaa.',
      'Validation binds to the exact commit. Only evidence from forge or ci counts.',
      `Run \`./scripts/validate-local.sh\` at ${HEAD} and submit its result by Submit evidence ` +
        'with a token of role ci (`npx factory token create --name NAME --role ci`).',
      'Retry Complete on this executing item once the head commit has passing evidence that counts.',
      'after-change',
    ]);
  });

  it.each<[string, WorkItem['evidence'], string, string]>([
    ['a person', [evidenceOf('validation')], 'validation-untrusted', 'a person'],
    [
      'an agent',
      [evidenceOf('validation', { trust: 'agent', producer: actor(AGENT) })],
      'validation-untrusted',
      'an agent',
    ],
    [
      'a person after a pipeline that failed',
      [evidenceOf('validation', { ...byPipeline, result: 'failed' }), evidenceOf('validation')],
      'validation-failed',
      'a person',
    ],
  ])(
    'says that a passed result does not count from %s, and whose does',
    (_name, evidence, code, producer) => {
      const { recovery, unblock, ...result } = gate(
        'validation-evidence',
        'complete',
        withEvidence(...evidence),
      );
      expect(result).toMatchObject({
        code,
        reason: `No passing validation for aaaaaaaaaaaa. The passed result was submitted by ${producer}; this pack counts only forge or ci.`,
      });
      expect(recovery?.nextStep).toContain(
        'with a token of role ci (`npx factory token create --name NAME --role ci`)',
      );
      expect(unblock).toEqual([
        { action: 'submit-evidence', permission: 'factory.work-item.submit-evidence' },
        { url: '/people', permission: 'factory.token.manage' },
      ]);
    },
  );

  it('asks for no token where the result of a person counts, nor calls a failure passed', () => {
    const failed = withEvidence(evidenceOf('validation', { result: 'failed' }));
    const baseline = gate('validation-evidence', 'complete', failed, { policy: policyOf('baseline') });
    expect(baseline.recovery?.nextStep).toBe(
      `Run \`./scripts/validate-local.sh\` at ${HEAD} and submit its result by Submit evidence.`,
    );
    expect(baseline.unblock).toHaveLength(1);
    expect(gate('validation-evidence', 'complete', failed)).toMatchObject({
      code: 'no-validation',
      reason: 'No passing validation for aaaaaaaaaaaa.',
    });
  });

  it.each<[string, Facts, string, string]>([
    ['a pipeline counts', withEvidence(evidenceOf('validation', byPipeline)), 'strict', 'pass'],
    ['a person does not in strict', withEvidence(evidenceOf('validation')), 'strict', 'blocked'],
    ['a person does elsewhere', withEvidence(evidenceOf('validation')), 'baseline', 'pass'],
    [
      'the newest counts',
      withEvidence(
        evidenceOf('validation', byPipeline),
        evidenceOf('validation', { ...byPipeline, result: 'failed' }),
      ),
      'strict',
      'blocked',
    ],
    [
      'an untrusted failure does not undo a trusted pass',
      withEvidence(evidenceOf('validation', byPipeline), evidenceOf('validation', { result: 'failed' })),
      'strict',
      'pass',
    ],
    [
      'an older commit does not count',
      withEvidence(evidenceOf('validation', byPipeline), evidenceOf('criterion', { commit: 'b'.repeat(40) })),
      'strict',
      'blocked',
    ],
    [
      "the forge's checks count",
      factsOf(itemOf('review'), {
        forge: forgeOf({ checks: [{ name: 'ci', commit: HEAD, state: 'success' }] }),
      }),
      'strict',
      'pass',
    ],
    [
      'pending checks do not',
      factsOf(itemOf('review'), {
        forge: forgeOf({
          checks: [
            { name: 'ci', commit: HEAD, state: 'success' },
            { name: 'e2e', commit: HEAD, state: 'pending' },
          ],
        }),
      }),
      'strict',
      'blocked',
    ],
    [
      'evidence of another script does not',
      factsOf(
        itemOf('review', { evidence: [evidenceOf('validation', { ...byPipeline, scriptDigest: 'd-0' })] }),
        { forge: forgeOf() },
      ),
      'strict',
      'blocked',
    ],
  ])('%s', (_name, facts, pack, verdict) => {
    expect(gate('validation-evidence', 'complete', facts, { policy: policyOf(pack) }).verdict).toBe(verdict);
  });

  it('stays gated after the handoff is released (no live lease needed)', () => {
    const released = itemOf('review', {
      pastHandoffs: [handoffOf('cancelled')],
      evidence: [evidenceOf('validation')],
    });
    expect(gate('validation-evidence', 'complete', factsOf(released)).verdict).toBe('blocked');
  });

  it.each<[string, Facts, string, string]>([
    ['no forge', factsOf(itemOf('review')), 'not-applicable', 'not-applicable'],
    ['the same script', factsOf(itemOf('review'), { forge: forgeOf() }), 'pass', 'ok'],
    [
      'another script',
      factsOf(itemOf('review'), {
        forge: forgeOf({ scriptDigest: { defaultBranch: 'd-1', branch: 'd-2' } }),
      }),
      'blocked',
      'script-changed',
    ],
    [
      'an approved script',
      factsOf(itemOf('review', { evidence: [evidenceOf('attestation', { scriptDigest: 'd-2' })] }), {
        forge: forgeOf({ scriptDigest: { defaultBranch: 'd-1', branch: 'd-2' } }),
      }),
      'pass',
      'script-approved',
    ],
    [
      'an unknown script',
      factsOf(itemOf('review'), { forge: forgeOf({ scriptDigest: { defaultBranch: null, branch: null } }) }),
      'unknown',
      'script-unknown',
    ],
  ])('script: %s', (_name, facts, verdict, code) => {
    const result = gate('validation-script-unchanged', 'complete', facts);
    expect(result).toMatchObject({ verdict, code });
    if (result.recovery)
      expect(result.recovery.policyContext).toBe('The work may not rewrite its own check.');
    if (code === 'script-changed')
      expect(result.reason).toBe('This branch changes ./scripts/validate-local.sh.');
  });
});

describe('criteria-met', () => {
  const item = itemOf('review', { handoff: handoffOf('submitted') });
  const waiver = (principal: Principal, at = EARLIER) => ({
    criterion: 1,
    criterionText: 'It is documented.',
    reason: 'Not needed.',
    by: actor(principal),
    at,
  });
  const having = (fields: Partial<WorkItem>, more: Partial<Facts> = {}) =>
    factsOf({ ...item, ...fields }, more);

  it('names the criteria that lack evidence', () => {
    expect(
      told(gate('criteria-met', 'complete', having({ evidence: [criterionEvidence(item, 1)] }))),
    ).toEqual([
      'blocked',
      'criteria-lacking',
      '1 of 2 criteria lack evidence: 1.',
      'Done means shown, not said.',
      'Attach evidence for 1 with Submit evidence, or ask for a waiver with Waive criterion.',
      'Retry Complete on this review item once each criterion has evidence or a waiver.',
      'after-change',
    ]);
  });

  it.each<[string, Facts, string, string]>([
    [
      'both met',
      having({ evidence: [criterionEvidence(item, 0), criterionEvidence(item, 1)] }),
      'pass',
      'ok',
    ],
    ['none required', factsOf(itemOf('review', {}, { criteria: [] })), 'pass', 'ok'],
    [
      'failed since',
      having({
        evidence: [
          criterionEvidence(item, 0),
          criterionEvidence(item, 1),
          criterionEvidence(item, 0, { result: 'failed' }),
        ],
      }),
      'blocked',
      'criteria-lacking',
    ],
    [
      'evidence for a text that was edited',
      having({
        evidence: [criterionEvidence(item, 0, { criterionText: 'It worked.' }), criterionEvidence(item, 1)],
      }),
      'blocked',
      'criteria-lacking',
    ],
    [
      'waived by another person',
      having({ evidence: [criterionEvidence(item, 0)], waivers: [waiver(BEN)] }),
      'pass',
      'ok',
    ],
    [
      'waived by an author',
      having({ evidence: [criterionEvidence(item, 0)], waivers: [waiver(CY)] }),
      'blocked',
      'criteria-lacking',
    ],
    [
      'waived by the only person, long ago',
      having({ evidence: [criterionEvidence(item, 0)], waivers: [waiver(CY)] }, { preset: 'solo' }),
      'pass',
      'ok',
    ],
    [
      'waived by the only person, just now',
      having({ evidence: [criterionEvidence(item, 0)], waivers: [waiver(CY, NOW)] }, { preset: 'solo' }),
      'blocked',
      'waiver-waiting',
    ],
  ])('%s', (_name, facts, verdict, code) => {
    expect(gate('criteria-met', 'complete', facts)).toMatchObject({ verdict, code });
  });

  it('gives the time after which a waiver of the only person counts', () => {
    const facts = having(
      { evidence: [criterionEvidence(item, 0)], waivers: [waiver(CY, NOW)] },
      { preset: 'solo' },
    );
    expect(gate('criteria-met', 'complete', facts).recovery?.safeRetry).toMatchObject({
      mode: 'after-time',
      afterSeconds: 600,
    });
  });
});

import { describe, expect, it } from 'vitest';
import type { Facts, WorkItem } from '../../service/work-items/types.ts';
import {
  actor,
  AGENT,
  evidenceOf,
  factsOf,
  forgeOf,
  gate,
  handoffOf,
  HEAD,
  itemOf,
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

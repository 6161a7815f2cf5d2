import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockersOf, evaluateAction, GATES } from '../../service/work-items/gates/evaluate.ts';
import { gatesOf } from '../../service/work-items/packs.ts';
import {
  ACTION_IDENTITIES,
  LANES,
  type ActionIdentity,
  type AwaitedFact,
  type Facts,
  type ForgeFacts,
  type GateResult,
  type HandoffState,
  type Policy,
  type WorkItem,
} from '../../service/work-items/types.ts';
import {
  actor,
  AGENT,
  ANN,
  BEFORE,
  BEN,
  bringAbout,
  criterionEvidence,
  CY,
  EARLIER,
  evidenceOf,
  factsOf,
  handoffOf,
  HEAD,
  itemOf,
  NOW,
  PIPELINE,
  policyOf,
  PR,
  queueOf,
  type Situation,
} from './gates.fixtures.ts';

/** Always the same cases, so that a run is no matter of luck; `FC_SEED` tries others. */
const seed = Number(process.env.FC_SEED ?? 106);
const OTHER = 'b'.repeat(40);
const PRINCIPALS = [ANN, BEN, CY, AGENT, PIPELINE, { ...BEN, permissions: new Set<string>() }];
const HANDOFFS: (HandoffState | null)[] = [
  null,
  'queued',
  'claimed',
  'running',
  'awaiting-human',
  'submitted',
];

const OVERRIDE = {
  id: 'o-1',
  action: 'complete',
  reason: 'Now.',
  secondedBy: null,
  secondedAt: null,
} as const;

const evidences = fc.array(
  fc.record({
    kind: fc.constantFrom('validation', 'attestation', 'criterion' as const),
    index: fc.nat(1),
    commit: fc.constantFrom(HEAD, OTHER, null),
    result: fc.constantFrom('passed', 'failed' as const),
    by: fc.constantFrom(BEN, CY, AGENT, PIPELINE),
    scriptDigest: fc.constantFrom(null, 'd-1', 'd-2'),
    at: fc.constantFrom(BEFORE, EARLIER),
  }),
  { maxLength: 5 },
);

const items: fc.Arbitrary<WorkItem> = fc
  .record({
    lane: fc.constantFrom(...LANES),
    handoff: fc.constantFrom(...HANDOFFS),
    past: fc.array(fc.constantFrom('failed', 'expired', 'cancelled' as const), { maxLength: 3 }),
    pr: fc.constantFrom(null, PR),
    promptRevision: fc.constantFrom(null, 'prompt-1', 'prompt-0'),
    given: evidences,
    approvals: fc.array(fc.constantFrom(BEN, CY), { maxLength: 2 }),
    commit: fc.constantFrom(HEAD, OTHER, null),
    waived: fc.boolean(),
    at: fc.constantFrom(BEFORE, EARLIER, NOW),
    queuedAt: fc.constantFrom(BEFORE, EARLIER),
    evidenceFrom: fc.nat(2),
    asked: fc.option(
      fc.record({
        gate: fc.constantFrom('window', 'criteria-met', 'independent-review', 'pull-request' as const),
        by: fc.constantFrom(ANN, BEN),
        at: fc.constantFrom(EARLIER, NOW),
        until: fc.constantFrom('2026-03-01T12:05:00.000Z', '2026-03-09T00:00:00.000Z'),
      }),
    ),
  })
  .map(
    ({
      lane,
      handoff,
      past,
      pr,
      promptRevision,
      given,
      approvals,
      commit,
      waived,
      at,
      queuedAt,
      asked,
      ...round
    }) => {
      const item = itemOf(lane, {}, { pr });
      const evidence = given.map(({ kind, index, by, ...fields }) => {
        const trust = by === PIPELINE ? 'ci' : by === AGENT ? 'agent' : 'person';
        const more = { ...fields, producer: actor(by), trust } as const;
        return kind === 'criterion' ? criterionEvidence(item, index, more) : evidenceOf(kind, more);
      });
      const evidenceFrom = Math.min(round.evidenceFrom, evidence.length);
      const waiver = { criterion: 0, criterionText: 'It works.', reason: 'Small.', by: actor(CY), at };
      return {
        ...item,
        evidence,
        handoff: handoff && handoffOf(handoff, { promptRevision, queuedAt, evidenceFrom }),
        pastHandoffs: past.map((state) => handoffOf(state, { endedAt: EARLIER })),
        approvals: approvals.map((by) => ({ by: actor(by), commit, note: 'Fine.', at })),
        waivers: waived ? [waiver] : [],
        overrides: asked ? [{ ...OVERRIDE, ...asked, by: actor(asked.by) }] : [],
      };
    },
  );

const forges: fc.Arbitrary<ForgeFacts | null> = fc.option(
  fc
    .record({
      observedAt: fc.constantFrom(NOW, EARLIER),
      branchHead: fc.constantFrom(HEAD, OTHER, null),
      state: fc.constantFrom(null, 'open', 'merged', 'closed' as const),
      mergeable: fc.boolean(),
      check: fc.constantFrom('success', 'pending', 'never-reported' as const),
      defaultBranch: fc.constantFrom('d-1', null),
      branch: fc.constantFrom('d-1', 'd-2', null),
    })
    .map(({ observedAt, branchHead, state, mergeable, check, defaultBranch, branch }) => ({
      observedAt,
      branchHead,
      pullRequest: state && { number: 7, state, mergeable, headBranch: 'bf/BF-1', headCommit: HEAD },
      checks: [{ name: 'ci', commit: HEAD, state: check }],
      scriptDigest: { defaultBranch, branch },
    })),
);

const situations: fc.Arbitrary<Situation> = fc
  .record({
    item: items,
    forge: forges,
    queue: fc.constantFrom('fresh', 'stale', 'none', 'no-prompt', 'empty-prompt', 'moved' as const),
    running: fc.nat(4),
    dependencies: fc.uniqueArray(fc.constantFrom('wi-BF-1', 'wi-BF-2', 'wi-BF-3'), { maxLength: 2 }),
    dependencyLane: fc.constantFrom('ready', 'done', 'cancelled', null),
    preset: fc.constantFrom('solo', 'team' as const),
    pack: fc.constantFrom('baseline', 'strict'),
    freeze: fc.boolean(),
    principal: fc.constantFrom(...PRINCIPALS),
  })
  .map(({ item, forge, queue, running, dependencies, dependencyLane, preset, pack, freeze, principal }) => {
    const freezes = freeze ? [{ name: 'Release', from: EARLIER, until: '2026-03-02T00:00:00.000Z' }] : [];
    const policy: Policy = policyOf(pack, { freezes });
    const facts: Facts = factsOf(item, {
      forge,
      queue: observed(item, queue),
      runningHandoffs: running,
      dependencies: dependencies.map((id) => ({ id, lane: dependencyLane })),
      preset,
    });
    return { facts, policy, principal };
  });

function observed(item: WorkItem, kind: string): Facts['queue'] {
  const seen = queueOf(item);
  if (kind === 'none') return null;
  if (kind === 'stale') return { ...seen, observedAt: EARLIER };
  if (kind === 'no-prompt') return { ...seen, prompt: null };
  if (kind === 'empty-prompt') return { ...seen, prompt: seen.prompt && { ...seen.prompt, empty: true } };
  if (kind === 'moved')
    return { ...seen, record: seen.record && { ...seen.record, collection: 'cancelled' } };
  return seen;
}

const actions = fc.constantFrom(...ACTION_IDENTITIES);

describe('recovery guidance', () => {
  it('gives each of N failing gates as a blocker with four texts and a way out', () => {
    fc.assert(
      fc.property(situations, actions, ({ facts, policy, principal }, action) => {
        const report = evaluateAction(action, facts, policy, principal, NOW);
        const failing = report.gates.filter(({ verdict }) => verdict === 'blocked' || verdict === 'unknown');
        expect(blockersOf(report)).toEqual(failing);
        expect(report.enabled).toBe(failing.length === 0);
        expect(report.gates.map(({ gate }) => gate)).toEqual(gatesOf(action, policy).map(({ gate }) => gate));
        for (const blocker of failing) expectFourTexts(blocker);
        for (const gate of report.gates) if (gate.recovery) expectNamed(gate, report.label, facts.item.lane);
      }),
      { numRuns: 1500, seed },
    );
  });

  it('names with every after-change facts that make the gate pass once they hold, each value of them', () => {
    let tried = 0;
    fc.assert(
      fc.property(situations, actions, (situation, action) => {
        const { facts, policy, principal } = situation;
        for (const blocker of blockersOf(evaluateAction(action, facts, policy, principal, NOW))) {
          const retry = blocker.recovery?.safeRetry;
          if (retry?.mode !== 'after-change') continue;
          tried += 1;
          expect(retry.whenFact).toBeDefined();
          if (retry.whenFact) expectPass(retry.whenFact, situation, action, blocker);
        }
      }),
      { numRuns: 1500, seed },
    );
    expect(tried).toBeGreaterThan(500);
  });

  it('gives the seconds with every after-time', () => {
    fc.assert(
      fc.property(situations, actions, ({ facts, policy, principal }, action) => {
        const retries = blockersOf(evaluateAction(action, facts, policy, principal, NOW)).map(
          (one) => one.recovery?.safeRetry,
        );
        for (const retry of retries)
          if (retry?.mode === 'after-time') expect(retry.afterSeconds).toBeGreaterThan(0);
      }),
      { seed },
    );
  });
});

function expectFourTexts({ gate, reason, recovery, unblock, verdict }: GateResult): void {
  const { cause, policyContext, nextStep, safeRetry } = recovery ?? { safeRetry: { text: '' } };
  for (const text of [cause, policyContext, nextStep, safeRetry.text]) {
    expect(text, `${gate} ${verdict}`).toMatch(/^\S.*\.$/s);
    expect(text).not.toMatch(/undefined|\bnull\b|NaN|\[object/);
  }
  expect(cause).toBe(reason);
  expect(unblock.length).toBeGreaterThan(0);
  for (const way of unblock) expect(Boolean(way.action) || Boolean(way.url)).toBe(true);
}

/** Whoever reads one gate alone, warnings too, sees which action of an item in which lane it is about. */
function expectNamed({ recovery, gate }: GateResult, label: string, lane: string): void {
  const { cause, policyContext, nextStep, safeRetry } = recovery ?? {};
  const texts = [cause, policyContext, nextStep, safeRetry?.text].join(' ');
  expect(texts, gate).toContain(label);
  expect(texts.toLowerCase(), gate).toContain(lane);
  expect(safeRetry?.text, gate).toContain(`etry ${label}`);
}

/** Every value of the first fact, with the first value of the others. */
function expectPass(
  { also = [], ...first }: AwaitedFact & { also?: AwaitedFact[] },
  situation: Situation,
  action: ActionIdentity,
  { gate }: GateResult,
): void {
  for (const value of first.becomes) {
    const prepared = also.reduce((before, fact) => bringAbout(fact, fact.becomes[0], before), situation);
    const { facts, policy, principal } = bringAbout(first, value, prepared);
    const after = GATES[gate](facts, action, policy, principal, NOW);
    expect([gate, first.path, value, after.verdict]).toEqual([gate, first.path, value, 'pass']);
  }
}

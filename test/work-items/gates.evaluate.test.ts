import { describe, expect, it } from 'vitest';
import {
  blockersOf,
  evaluateAction,
  evaluateActions,
  shownGates,
} from '../../service/work-items/gates/evaluate.ts';
import type { ActionIdentity, ActionReport, Override, RecordFields } from '../../service/work-items/types.ts';
import {
  actor,
  ANN,
  BEN,
  CY,
  EARLIER,
  factsOf,
  handoffOf,
  itemOf,
  NOW,
  policyOf,
  PR,
  queueOf,
} from './gates.fixtures.ts';

/** The four actions as the reference pages print them, for any item. */
function lines(id: string, reports: ActionReport[]): string[] {
  return reports.flatMap((report) => {
    const gates = shownGates(report, 'done');
    const recovery = blockersOf(report)[0]?.recovery;
    const guidance = recovery
      ? [
          'Recovery guidance',
          ...['- Cause', recovery.cause, '- Policy context', recovery.policyContext],
          ...['- Next step', recovery.nextStep, '- Safe retry', recovery.safeRetry.text],
        ]
      : [];
    const shown = gates.map(({ gate, verdict, reason }) =>
      verdict === 'blocked' ? `policy gate ${gate}: blocked (${reason})` : `policy gate ${gate}: ${verdict}`,
    );
    return [
      `- ${report.label}${report.enabled ? 'Enabled' : 'Blocked'}`,
      report.description,
      ...guidance,
      `identity: ${report.identity}`,
      `permission: ${report.permission.name}`,
      ...shown,
      `POST /api/control-plane/items/${id}/actions/${report.identity}`,
    ];
  });
}

const PAGE = (id: string) => `- Start executionBlocked
Queue execution handoff for this work item.
Recovery guidance
- Cause
Done items stay closed; Start execution cannot move them backward.
- Policy context
Lane transition policy blocks Start execution when the item is already Done.
- Next step
Create a net-new work item if more delivery is needed instead of reopening this one.
- Safe retry
Do not retry Start execution on a done item.
identity: start-execution
permission: factory.work-item.execute
policy gate lane-transition: blocked (Done items stay closed; Start execution cannot move them backward.)
POST /api/control-plane/items/${id}/actions/start-execution
- Request reviewBlocked
Mark this item ready for review lane handoff.
Recovery guidance
- Cause
Done items stay closed; Request review cannot move them backward.
- Policy context
Lane transition policy blocks Request review when the item is already Done.
- Next step
Create a net-new work item if more delivery is needed instead of reopening this one.
- Safe retry
Do not retry Request review on a done item.
identity: request-review
permission: factory.work-item.request-review
policy gate lane-transition: blocked (Done items stay closed; Request review cannot move them backward.)
POST /api/control-plane/items/${id}/actions/request-review
- Prepare releaseEnabled
Run release-preparation checks for the work item.
identity: prepare-release
permission: factory.work-item.prepare-release
policy gate lane-eligibility: pass
policy gate pull-request: pass
POST /api/control-plane/items/${id}/actions/prepare-release
- Record historyEnabled
Capture history snapshots for audit and validation views.
identity: record-history
permission: factory.work-item.record-history
policy gate context-visibility: pass
POST /api/control-plane/items/${id}/actions/record-history`;

const REFERENCES: Partial<RecordFields>[] = [
  {
    id: 'wi-BF-106',
    title: 'Implement DB-backed chat persistence and governance model',
    branch: 'bf/BF-106-Implement-DB-backed-chat-persistence-and-governance-model',
    pr: PR,
  },
  {
    id: 'wi-BF-276',
    title: 'Staging environment topology + branch-based deploy pipeline and backup/recovery strategy',
    workType: 'operations',
    branch: 'bf/BF-276-staging-environment-backup-recovery',
    pr: 'https://forge.example/org/repo/pull/323',
    criteria: Array.from({ length: 32 }, (_, index) => `Criterion ${index + 1}.`),
  },
];

describe('the reference pages', () => {
  it.each(REFERENCES)("come out line for line from $id's facts", (record) => {
    const item = itemOf('done', {}, record);
    const reports = evaluateActions(factsOf(item), policyOf('baseline'), BEN, NOW).slice(0, 4);
    expect(lines(item.id, reports)).toEqual(PAGE(item.id).split('\n'));
  });

  it('hide what does not apply to movers of a closed item, and keep it in the record', () => {
    const report = evaluateAction('start-execution', factsOf(itemOf('done')), policyOf('strict'), BEN, NOW);
    expect(shownGates(report, 'done').map(({ gate }) => gate)).toEqual(['lane-transition']);
    const verdicts = report.gates.slice(1).map(({ verdict, reason }) => `${verdict}: ${reason}`);
    expect(new Set(verdicts)).toEqual(new Set(['not-applicable: Done items stay closed.']));
    expect(report.gates.length).toBeGreaterThan(5);
  });
});

describe('evaluation', () => {
  it('reports permission beside the gates', () => {
    const facts = factsOf(itemOf('ready'));
    const granted = { ...BEN, permissions: new Set(['factory.work-item.execute']) };
    const report = (principal: typeof BEN) =>
      evaluateAction('start-execution', facts, policyOf('baseline'), principal, NOW);
    expect(report(BEN)).toMatchObject({
      enabled: true,
      permission: { name: 'factory.work-item.execute', granted: false },
    });
    expect(report(granted)).toMatchObject({ enabled: true, permission: { granted: true } });
  });

  it('keeps the recovery of a warning and leaves the action enabled', () => {
    const facts = factsOf(itemOf('ready'), { dependencies: [{ id: 'wi-BF-2', lane: 'ready' }] });
    const start = evaluateAction('start-execution', facts, policyOf('strict'), BEN, NOW);
    const warning = start.gates.find(({ gate }) => gate === 'dependencies');
    expect(warning).toMatchObject({ verdict: 'warn', recovery: { cause: 'Waiting for wi-BF-2.' } });
    expect(start.enabled).toBe(true);
    const queued = factsOf(itemOf('ready', { handoff: handoffOf('queued') }), {
      dependencies: facts.dependencies,
    });
    expect(evaluateAction('claim', queued, policyOf('strict'), BEN, NOW).enabled).toBe(false);
  });

  it('enables nothing that the lane does not allow, whatever the pack', () => {
    const policy = policyOf('empty', { packs: { empty: { name: 'empty', actions: {} } } });
    const enabled = (lane: 'backlog' | 'cancelled') =>
      evaluateActions(factsOf(itemOf(lane)), policy, BEN, NOW, true).flatMap((one) =>
        one.enabled ? [one.identity] : [],
      );
    expect(enabled('backlog')).toEqual([
      'record-history',
      'mark-ready',
      'cancel',
      'reconcile',
      'refresh-truth',
      'override-gate',
    ]);
    expect(enabled('cancelled')).toEqual(['record-history', 'reconcile', 'refresh-truth']);
  });
});

describe('overrides', () => {
  const override = (fields: Partial<Override> = {}): Override => ({
    id: 'o-1',
    gate: 'pull-request',
    action: 'complete',
    reason: 'The forge is down.',
    until: '2026-03-01T13:00:00.000Z',
    by: actor(ANN),
    at: EARLIER,
    secondedBy: actor(BEN),
    secondedAt: EARLIER,
    ...fields,
  });
  const complete = (given: Override, preset: 'solo' | 'team' = 'team', hard: ['pull-request'] | [] = []) =>
    evaluateAction(
      'complete',
      factsOf(itemOf('review', { overrides: [given] }), { preset }),
      policyOf('baseline', { hard }),
      CY,
      NOW,
    );

  it('turn a blocked gate, with who, why and until when', () => {
    const report = complete(override());
    expect(report.enabled).toBe(true);
    expect(report.gates[1]).toMatchObject({
      gate: 'pull-request',
      verdict: 'overridden',
      reason: 'Overridden by Ann and Ben until 2026-03-01T13:00:00.000Z: The forge is down.',
      params: { override: { id: 'o-1', who: 'Ann', second: 'Ben' } },
    });
  });

  it('show both reasons where the second person had another one', () => {
    const reason = (secondReason: string) => complete(override({ secondReason })).gates[1]?.reason;
    const shown = 'Overridden by Ann and Ben until 2026-03-01T13:00:00.000Z: The forge is down.';
    expect(reason('Checked by hand.')).toBe(`${shown} Ben adds: Checked by hand.`);
    expect(reason('The forge is down.')).toBe(shown);
  });

  it.each<[string, Partial<Override>, 'solo' | 'team', boolean]>([
    ['without a second person', { secondedBy: null, secondedAt: null }, 'team', false],
    ['alone, after the waiting time', { secondedBy: null, secondedAt: null }, 'solo', true],
    ['alone, too early', { secondedBy: null, secondedAt: null, at: NOW }, 'solo', false],
    ['expired', { until: NOW }, 'team', false],
    ['for another gate', { gate: 'window' }, 'team', false],
    ['for another action', { action: 'prepare-release' }, 'team', false],
  ])('%s', (_name, fields, preset, enabled) => {
    expect(complete(override(fields), preset).enabled).toBe(enabled);
  });

  it('never turn hard gates, nor the lane', () => {
    expect(complete(override(), 'team', ['pull-request']).enabled).toBe(false);
    const closed = itemOf('done', { overrides: [override({ gate: 'lane-transition' })] });
    expect(evaluateAction('complete', factsOf(closed), policyOf('baseline'), CY, NOW).enabled).toBe(false);
  });

  it('turn an unknown gate too', () => {
    const item = itemOf('ready', { overrides: [override({ gate: 'truth-fresh', action: 'mark-ready' })] });
    const facts = factsOf({ ...item, lane: 'backlog' }, { queue: null });
    const report = evaluateAction('mark-ready', facts, policyOf('strict'), CY, NOW);
    expect(report.gates.map(({ verdict }) => verdict)).toEqual(['pass', 'overridden']);
  });
});

describe('texts for people', () => {
  const cases: [ActionIdentity, Parameters<typeof itemOf>[0]][] = [
    ['start-execution', 'backlog'],
    ['request-review', 'ready'],
    ['prepare-release', 'executing'],
    ['complete', 'executing'],
    ['start-execution', 'cancelled'],
  ];
  it.each(cases)('a blocked %s names label, lane and way out in %s', (action, lane) => {
    const item = itemOf(lane);
    const report = evaluateAction(
      action,
      factsOf(item, { queue: queueOf(item) }),
      policyOf('baseline'),
      BEN,
      NOW,
    );
    const [first] = blockersOf(report);
    const all = Object.values({ ...first?.recovery, safeRetry: first?.recovery?.safeRetry.text }).join(' ');
    expect(all.toLowerCase()).toContain(lane);
    expect(all).toContain(report.label);
    expect(first?.unblock.length).toBeGreaterThan(0);
  });
});

import { describe, expect, it } from 'vitest';
import { attention, attentionLine } from '../../service/work-items/attention.ts';
import { evaluateAction } from '../../service/work-items/gates/evaluate.ts';
import { guidance } from '../../service/work-items/guidance.ts';
import { remedyOf } from '../../service/work-items/remedies.ts';
import { truthReport } from '../../service/work-items/truth.ts';
import {
  DRIFT_CODES,
  type Drift,
  type ForgeFacts,
  type HandoffState,
  type Override,
  type QueueObservation,
  type TruthReport,
  type WorkItem,
} from '../../service/work-items/types.ts';
import {
  actor,
  ANN,
  EARLIER,
  factsOf,
  forgeOf,
  handoffOf,
  HEAD,
  itemOf,
  NOW,
  policyOf,
  queueOf,
} from './gates.fixtures.ts';

const policy = policyOf('baseline');
const CONSISTENT = 'No reconciliation required; item truth signals are consistent.';
const truthOf = (item: WorkItem, queue: QueueObservation | null) =>
  truthReport(item, queue, null, policy, NOW, { queueWritePending: false });
const guide = (item: WorkItem, queue: QueueObservation | null = queueOf(item)) =>
  guidance(item, truthOf(item, queue), queue, policy);

const unreadable = (item: WorkItem) =>
  queueOf(item, {
    problems: [
      {
        file: 'ready/wi-BF-1.md',
        line: 4,
        code: 'yaml',
        message: 'Bad indentation.',
        itemId: item.id,
        hint: 'Indent it.',
      },
    ],
  });

const changedUnder = (state: HandoffState) => handoffOf(state, { promptRevision: 'prompt-0' });

/** Every lane with every handoff that the lane machine leaves there, under a prompt that has changed since. */
const STANDINGS = [
  itemOf('backlog'),
  itemOf('ready'),
  itemOf('ready', { handoff: changedUnder('queued') }),
  itemOf('executing', { pastHandoffs: [handoffOf('expired', { endedAt: EARLIER })] }),
  itemOf('executing', { handoff: changedUnder('queued') }),
  itemOf('executing', { handoff: changedUnder('claimed') }),
  itemOf('review'),
  itemOf('review', { handoff: changedUnder('submitted') }),
  itemOf('done'),
  itemOf('cancelled'),
];

/** The drift of an item under every combination of a few signals. */
function possibleDrift(item: WorkItem): Drift[] {
  const queues = [
    queueOf(item),
    queueOf(item, { record: null, duplicates: ['done/x.md'] }),
    queueOf(item, { prompt: null }),
  ];
  const elsewhere = queueOf(itemOf(item.lane === 'done' ? 'ready' : 'done'));
  const checks: ForgeFacts['checks'] = [{ name: 'ci', commit: HEAD, state: 'never-reported' }];
  const { pullRequest } = forgeOf();
  const forges = (['open', 'merged', 'closed'] as const).map((state) =>
    forgeOf({ branchHead: null, checks, pullRequest: pullRequest && { ...pullRequest, state } }),
  );
  const lives = [null, { handoffId: 'h-1', holder: 't-agent' }];
  return [...queues, elsewhere].flatMap((queue) =>
    forges.flatMap((forge) =>
      lives.flatMap((live) => {
        const more = { queueWritePending: false, leases: { observedAt: NOW, live } };
        return truthReport(item, queue, forge, policy, NOW, more).drift;
      }),
    ),
  );
}

describe('guidance', () => {
  it('is one sentence where nothing is open', () => {
    expect(guide(itemOf('done'))).toEqual([CONSISTENT]);
    expect(guide(itemOf('ready', { handoff: handoffOf('queued') }))).toEqual([CONSISTENT]);
  });

  it('says per code what disagrees, who has authority, and what to do', () => {
    const item = itemOf('ready');
    const moved = queueOf(item, { prompt: null });
    const record = moved.record && { ...moved.record, collection: 'done' as const };
    expect(guide(item, { ...moved, record })).toEqual([
      "Queue says done, control plane says ready; authority for collection is control plane. Run Reconcile to move the record to the item's lane and rewrite its status.",
      'Queue says no prompt, control plane says prompts/wi-BF-1.prompt.md; authority for prompt is queue. Write the prompt file again; nothing else holds its text.',
    ]);
  });

  it('has a remedy for every code', () => {
    const item = itemOf('ready');
    const drift = DRIFT_CODES.map((code) => {
      const side = { source: 'one', value: 'a' };
      return {
        code,
        severity: 'warn' as const,
        field: 'branch',
        left: side,
        right: { source: 'other', value: 'b' },
      };
    });
    const truth: TruthReport = { ...truthOf(item, queueOf(item)), drift };
    const sentences = guidance(item, truth, queueOf(item), policy);
    expect(sentences).toHaveLength(DRIFT_CODES.length);
    expect(new Set(sentences).size).toBe(DRIFT_CODES.length);
    for (const sentence of sentences)
      expect(sentence).toMatch(
        /^One says a, other says b; authority for branch is pull request\. [A-Z].+\.$/,
      );
  });

  it.each<[WorkItem, string, string]>([
    [
      itemOf('ready', { handoff: changedUnder('queued') }),
      'start-execution',
      'plan with the changed one by Start execution again.',
    ],
    [
      itemOf('executing', { handoff: changedUnder('claimed') }),
      'release-handoff',
      'plan with the changed one by Release handoff, then Start execution.',
    ],
    [
      itemOf('review', { handoff: changedUnder('submitted') }),
      'request-changes',
      'hand the changed one out with Request changes.',
    ],
  ])('leads out of a changed prompt as the lane allows (%#)', (item, action, text) => {
    expect(truthOf(item, queueOf(item)).drift.map(({ code }) => code)).toEqual(['prompt-changed-in-flight']);
    expect(guide(item)[0]).toContain(`Restore the prompt, or ${text}`);
    expect(remedyOf('prompt-changed-in-flight', item).action).toBe(action);
  });

  it('names the rest of the way of an item whose pull request was merged ahead', () => {
    const item = itemOf('executing', { handoff: handoffOf('claimed') });
    expect(remedyOf('pr-merged-lane-open', item)).toEqual({
      action: 'request-review',
      text: 'Bring the item to review with Request review, and finish it with Complete, or cancel the item.',
    });
  });

  it('offers only actions that the lane allows, for every code that can be open there', () => {
    const found = new Set<string>();
    for (const item of STANDINGS) {
      for (const { code } of possibleDrift(item)) {
        found.add(code);
        const { action } = remedyOf(code, item);
        const [laneGate] = evaluateAction(action, factsOf(item), policy, ANN, NOW).gates;
        expect([item.lane, item.handoff?.state, code, action, laneGate?.verdict ?? 'pass']).toEqual([
          ...[item.lane, item.handoff?.state, code, action],
          'pass',
        ]);
      }
    }
    expect(DRIFT_CODES.filter((code) => !found.has(code))).toEqual([
      'queue-file-unknown-item',
      'branch-mismatch',
    ]);
  });

  it('names file, line and problem of a record that cannot be read', () => {
    const item = itemOf('ready');
    expect(guide(item, unreadable(item))).toEqual([
      'The record of wi-BF-1 cannot be read; what is shown was read before. Repair ready/wi-BF-1.md:4: Bad indentation.',
    ]);
  });

  it('tells items that came without a handoff', () => {
    expect(guide(itemOf('executing'))).toEqual([
      CONSISTENT,
      'Imported in executing without a handoff: Claim adopts it, Release handoff sends it back to ready.',
    ]);
    expect(guide(itemOf('review', { handoff: handoffOf('submitted', { adopted: true }) }))).toEqual([
      CONSISTENT,
      'Handoff h-1 adopted this item as it was imported; nothing was queued for it.',
    ]);
  });
});

describe('attention', () => {
  const override: Override = {
    id: 'o-1',
    gate: 'window',
    action: 'complete',
    reason: 'Now.',
    until: '2026-03-02T00:00:00.000Z',
    by: actor(ANN),
    at: EARLIER,
    secondedBy: null,
    secondedAt: null,
  };
  const look = (
    item: WorkItem,
    queue: QueueObservation | null = queueOf(item),
    preset: 'solo' | 'team' = 'team',
    soloWaitSeconds = 600,
  ) => {
    const truth = truthOf(item, queue);
    const line = attentionLine(item, queue, truth, { preset, soloWaitSeconds, now: NOW });
    const kept = attention(item, queue, truth.drift);
    expect(kept?.kind).toBe(line?.kind);
    return line && [kept?.rank, line.kind, line.cause, line.step.label];
  };
  const ready = itemOf('ready');

  it.each<[string, unknown[] | null, WorkItem, QueueObservation | null]>([
    ['nothing in ready', null, ready, queueOf(ready)],
    ['nothing in done', null, itemOf('done'), null],
    [
      'an unreadable record',
      [1, 'problem', 'ready/wi-BF-1.md:4: Bad indentation.', 'Open the item'],
      ready,
      unreadable(ready),
    ],
    [
      'an error',
      [2, 'drift', 'queue-status-vs-lane: queue says ready, control plane says done.', 'Reconcile'],
      itemOf('done'),
      queueOf(ready),
    ],
    [
      'a prompt that an executor needs',
      [
        3,
        'blocked',
        'Prompt prompts/wi-BF-1.prompt.md is missing: executors get nothing to work from.',
        'Open the item',
      ],
      ready,
      queueOf(ready, { prompt: null }),
    ],
    [
      'a prompt that changed after the start',
      [
        3,
        'blocked',
        'Prompt prompts/wi-BF-1.prompt.md changed after the handoff was queued.',
        'Start execution',
      ],
      itemOf('ready', { handoff: handoffOf('queued', { promptRevision: 'prompt-0' }) }),
      queueOf(ready),
    ],
    ['a review', [4, 'waiting', 'The review waits for a person.', 'Open the item'], itemOf('review'), null],
    [
      'an override',
      [4, 'waiting', 'The override of window waits for a second person.', 'Override gate'],
      itemOf('review', { overrides: [override] }),
      queueOf(itemOf('review')),
    ],
    [
      'an expired override',
      null,
      itemOf('ready', { overrides: [{ ...override, until: EARLIER }] }),
      queueOf(ready),
    ],
    [
      'a warning',
      [
        5,
        'drift',
        'prompt-missing: queue says no prompt, control plane says prompts/wi-BF-1.prompt.md.',
        'Open the item',
      ],
      itemOf('done'),
      queueOf(itemOf('done'), { prompt: null }),
    ],
  ])('%s', (_name, expected, item, queue) => {
    expect(look(item, queue)).toEqual(expected);
  });

  it('says from when an override counts that waits for nobody else', () => {
    const item = itemOf('ready', { overrides: [override] });
    expect(look(item, queueOf(item), 'solo', 7200)?.slice(2)).toEqual([
      'The override of window counts from 2026-03-01T13:00:00.000Z.',
      'Open the item',
    ]);
    expect(look(item, queueOf(item), 'solo')?.[2]).toBe(
      'The override of window counts until 2026-03-02T00:00:00.000Z.',
    );
  });

  it('puts the most urgent first', () => {
    const item = itemOf('ready', { overrides: [override] });
    expect(look(item, { ...unreadable(item), prompt: null })?.[1]).toBe('problem');
    expect(look(item, queueOf(item, { prompt: null }))?.[1]).toBe('blocked');
  });
});

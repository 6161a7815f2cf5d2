import { describe, expect, it } from 'vitest';
import type { Facts } from '../../service/work-items/types.ts';
import {
  EARLIER,
  factsOf,
  forgeOf,
  gate,
  handoffOf,
  itemOf,
  MERGED,
  queueOf,
  recordOf,
  told,
} from './gates.fixtures.ts';

describe('truth-fresh and drift-free', () => {
  const item = itemOf('ready');

  it.each<[string, Facts, unknown[]]>([
    ['fresh', factsOf(item), ['pass', 'ok']],
    [
      'aging',
      factsOf(item, { queue: queueOf(item, { observedAt: '2026-03-01T11:58:00.000Z' }) }),
      ['pass', 'ok'],
    ],
    [
      'stale',
      factsOf(item, { queue: queueOf(item, { observedAt: EARLIER }) }),
      [
        'blocked',
        'source-stale',
        'Queue was last read 3600s ago.',
        'Lane changes need current truth.',
        'Read the sources again with Refresh truth.',
        'Retry Mark ready on this ready item after a refresh.',
        'after-change',
      ],
    ],
    [
      'never read',
      factsOf(item, { queue: null }),
      [
        'unknown',
        'source-never-read',
        'Queue was never read.',
        'Lane changes need current truth.',
        'Read the sources again with Refresh truth.',
        'Retry Mark ready on this ready item after a refresh.',
        'after-change',
      ],
    ],
  ])('%s', (_name, facts, expected) => {
    const result = gate('truth-fresh', 'mark-ready', facts);
    expect(told(result)).toEqual(expected);
    if (result.recovery) expect(result.recovery.safeRetry.afterSeconds).toBe(1);
  });

  it('asks only the sources that the action reads', () => {
    const facts = factsOf(item, { forge: forgeOf({ observedAt: EARLIER }) });
    expect(gate('truth-fresh', 'mark-ready', facts).verdict).toBe('pass');
    expect(gate('truth-fresh', 'complete', facts).reason).toBe(
      'Pull request was last read 3600s ago. Checks was last read 3600s ago.',
    );
  });

  it('blocks on error drift of the fields used, with its authority', () => {
    const record = {
      fields: recordOf({ status: 'done' }),
      collection: 'ready',
      path: 'ready/wi-BF-1.md',
      revision: 'r',
    } as const;
    const facts = factsOf(item, { queue: queueOf(item, { record }) });
    expect(told(gate('drift-free', 'start-execution', facts))).toEqual([
      'blocked',
      'drift-open',
      'queue-status-vs-lane: queue says done, control plane says ready.',
      'Authority for status is control plane.',
      "Run Reconcile to move the record to the item's lane and rewrite its status.",
      'Retry Start execution on this ready item once the drift is resolved.',
      'after-change',
    ]);
    expect(gate('drift-free', 'mark-ready', facts).verdict).toBe('pass');
  });

  it('leads out of drift that Reconcile cannot repair', () => {
    const dropped = itemOf('executing', { pastHandoffs: [handoffOf('expired', { endedAt: EARLIER })] });
    const { unblock, recovery } = gate('drift-free', 'request-review', factsOf(dropped));
    expect(unblock.map((way) => way.action)).toEqual(['claim']);
    expect(recovery?.nextStep).toBe(
      'Take the item with Claim, or send it back to ready with Release handoff.',
    );
  });

  it('does not block on warnings, nor completing on a merged pull request', () => {
    const inReview = itemOf('review');
    const forge = forgeOf({ pullRequest: MERGED });
    expect(factsOf(inReview, { forge }).truth.drift.map(({ code }) => code)).toEqual(['pr-merged-lane-open']);
    expect(gate('drift-free', 'complete', factsOf(inReview, { forge })).verdict).toBe('pass');
    expect(gate('drift-free', 'prepare-release', factsOf(inReview, { forge })).verdict).toBe('blocked');
    const noPrompt = factsOf(item, { queue: queueOf(item, { prompt: null }) });
    expect(gate('drift-free', 'start-execution', noPrompt).verdict).toBe('pass');
  });
});

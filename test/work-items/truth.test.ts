import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderRecord } from '../../service/work-items/record-write.ts';
import { parseRecord } from '../../service/work-items/record.ts';
import { deriveState } from '../../service/work-items/state.ts';
import { freshness, isUnreadable, truthReport } from '../../service/work-items/truth.ts';
import {
  DRIFT_CODES,
  type ForgeFacts,
  type QueueObservation,
  type QueueProblem,
  type WorkItem,
} from '../../service/work-items/types.ts';
import { EARLIER, forgeOf, handoffOf, itemOf, NOW, policyOf, queueOf, recordOf } from './gates.fixtures.ts';

const policy = policyOf('baseline');
const at = (secondsAgo: number) => new Date(Date.parse(NOW) - secondsAgo * 1000).toISOString();

describe('freshness', () => {
  it.each([
    [0, 'Fresh', 0],
    [59.9, 'Fresh', 59],
    [60, 'Fresh', 60],
    [60.1, 'Aging', 60],
    [180, 'Aging', 180],
    [180.1, 'Stale', 180],
    [-30, 'Fresh', 0],
  ])('%d s against a budget of 60 s is %s', (seconds, verdict, ageSeconds) => {
    expect(freshness(at(seconds), 60, NOW)).toEqual({ verdict, ageSeconds });
  });

  it('is unknown for what was never read', () => {
    expect(freshness(null, 60, NOW)).toEqual({ verdict: 'Unknown', ageSeconds: null });
    expect(freshness(new Date(0).toISOString(), 60, NOW)).toEqual({ verdict: 'Unknown', ageSeconds: null });
  });
});

describe('truth report', () => {
  const item = itemOf('ready');
  const report = (
    queue: QueueObservation | null,
    forge: ForgeFacts | null = null,
    queueWritePending = false,
    of = item,
  ) => truthReport(of, queue, forge, policy, NOW, { queueWritePending });
  const problem = (file: string): QueueProblem => ({
    file,
    line: 3,
    code: 'bad',
    message: 'Bad.',
    itemId: item.id,
    hint: 'Repair it.',
  });
  const reasons = ({ notComputed }: ReturnType<typeof report>) =>
    new Map(notComputed.map(({ code, reason }) => [code, reason]));

  it('is consistent without a forge, and names what is not connected', () => {
    const truth = report(queueOf(item));
    expect(truth.freshness).toEqual({ verdict: 'Fresh', ageSeconds: 0 });
    expect(truth.drift).toEqual([]);
    expect(truth.notConnected).toEqual(['pull request', 'checks', 'lease']);
    expect(reasons(truth).get('branch-missing')).toBe('pull request not connected');
    expect(reasons(truth).get('check-never-reported')).toBe('checks not connected');
    expect(reasons(truth).get('executing-without-lease')).toBe('lease not connected');
    expect(truth.notComputed).toHaveLength(9);
  });

  it('counts the worst source', () => {
    const aging = report(queueOf(item, { observedAt: at(10) }), forgeOf({ observedAt: at(200) }));
    expect(aging.freshness).toEqual({ verdict: 'Aging', ageSeconds: 200 });
    expect(report(null).freshness).toEqual({ verdict: 'Unknown', ageSeconds: null });
    expect(aging.sources.map(({ source }) => source)).toEqual(['queue', 'prompt', 'pull request', 'checks']);
  });

  it('does not compute codes of stale sources', () => {
    const stale = report(queueOf(item, { observedAt: EARLIER, prompt: null, record: null }));
    expect(stale.drift).toEqual([]);
    expect(reasons(stale).get('queue-file-missing')).toBe('queue stale');
    expect(reasons(stale).get('prompt-missing')).toBe('prompt stale');
    expect(reasons(report(null)).get('queue-status-vs-lane')).toBe('queue never read');
    const forge = report(queueOf(item), forgeOf({ observedAt: EARLIER }));
    expect(reasons(forge).get('pr-merged-lane-open')).toBe('pull request stale');
  });

  it('waits for a pending queue write', () => {
    const moved = queueOf(item, { record: null, prompt: null });
    expect(report(moved).drift.map(({ code }) => code)).toEqual(['queue-file-missing', 'prompt-missing']);
    const pending = report(moved, null, true);
    expect(pending.drift).toEqual([]);
    expect(reasons(pending).get('queue-file-missing')).toBe('queue write pending');
    expect(reasons(pending).get('prompt-missing')).toBe('queue write pending');
  });

  it('compares nothing with a record that cannot be read', () => {
    const broken = queueOf(item, {
      record: null,
      problems: [problem('ready/wi-BF-1.md')],
      duplicates: ['done/x.md'],
    });
    const truth = report(broken);
    expect(reasons(truth).get('queue-file-missing')).toBe('queue record unreadable');
    expect(truth.drift.map(({ code }) => code)).toEqual(['duplicate-id']);
  });

  it('tells a record that gives another id, although it does not count', () => {
    const path = 'ready/wi-BF-1.md';
    const text = renderRecord(recordOf({ id: 'wi-BF-9' }));
    const { problems } = parseRecord(text, { path, collection: 'ready' });
    const broken = queueOf(item, { record: null, problems });
    const truth = report(broken);
    expect(truth.drift).toEqual([
      {
        code: 'queue-file-unknown-item',
        severity: 'warn',
        field: 'id',
        left: { source: 'queue', value: 'wi-BF-9' },
        right: { source: 'control plane', value: 'wi-BF-1' },
      },
    ]);
    expect(reasons(truth).get('queue-file-missing')).toBe('queue record unreadable');
    expect(reasons(truth).has('queue-file-unknown-item')).toBe(false);
    const other = report({ ...broken, problems: [problem(path)] });
    expect(reasons(other).get('queue-file-unknown-item')).toBe('queue record unreadable');
    expect(report(broken, null, true).drift).toEqual([]);
  });

  it('takes problems of prompts and duplicates for no unreadable record', () => {
    expect(isUnreadable(queueOf(item, { problems: [problem('prompts/wi-BF-1.prompt.md')] }))).toBe(false);
    expect(isUnreadable(queueOf(item, { problems: [problem('done/x.md')], duplicates: ['done/x.md'] }))).toBe(
      false,
    );
    expect(isUnreadable(queueOf(item, { problems: [problem('ready/wi-BF-1.md')] }))).toBe(true);
  });

  it('takes lease facts where they exist', () => {
    const executing = itemOf('executing', { handoff: handoffOf('claimed') });
    const leases = { observedAt: NOW, live: null };
    const truth = truthReport(executing, queueOf(executing), null, policy, NOW, {
      queueWritePending: false,
      leases,
    });
    expect(truth.drift.map(({ code }) => code)).toEqual(['executing-without-lease']);
    expect(truth.notConnected).not.toContain('lease');
  });

  it('never has a code both open and not computed, nor forgets one that cannot be computed', () => {
    const seconds = fc.integer({ min: -10, max: 1000 });
    fc.assert(
      fc.property(seconds, seconds, fc.boolean(), fc.boolean(), (queueAge, forgeAge, connected, pending) => {
        const queue = queueOf(item, { observedAt: at(queueAge), prompt: null });
        const truth = report(queue, connected ? forgeOf({ observedAt: at(forgeAge) }) : null, pending);
        const skipped = truth.notComputed.map(({ code }) => code);
        for (const { code } of truth.drift) expect(skipped).not.toContain(code);
        expect(skipped.every((code) => DRIFT_CODES.includes(code))).toBe(true);
        expect(skipped.includes('prompt-missing')).toBe(pending || queueAge > 180);
        expect(skipped.includes('branch-missing')).toBe(!connected || forgeAge > 360);
      }),
      { seed: 106 },
    );
  });
});

describe('derived state', () => {
  it.each<[WorkItem, string]>([
    [itemOf('done'), 'done'],
    [itemOf('cancelled'), 'cancelled'],
    [itemOf('backlog'), 'backlog'],
    [itemOf('ready'), 'ready'],
    [itemOf('ready', { handoff: handoffOf('queued') }), 'queued'],
    [itemOf('executing'), 'executing'],
    [itemOf('executing', { handoff: handoffOf('claimed') }), 'executing'],
    [itemOf('executing', { handoff: handoffOf('queued') }), 'queued'],
    [itemOf('executing', { handoff: handoffOf('awaiting-human') }), 'awaiting-human'],
    [itemOf('review', { handoff: handoffOf('submitted') }), 'review'],
  ])('comes from the record without a forge (%#)', (item, state) => {
    expect(deriveState(item, null)).toEqual({ state, basis: 'record' });
  });

  it.each([
    ['merged', 'done'],
    ['closed', 'closed'],
    ['open', 'review'],
  ] as const)('a pull request that is %s shows as %s', (state, expected) => {
    const forge = forgeOf();
    const pullRequest = forge.pullRequest && { ...forge.pullRequest, state };
    expect(deriveState(itemOf('executing'), { ...forge, pullRequest })).toEqual({
      state: expected,
      basis: 'forge',
    });
  });

  it('falls back to the record where the forge knows neither pull request nor branch', () => {
    const forge = forgeOf({ pullRequest: null, branchHead: null });
    expect(deriveState(itemOf('executing'), forge)).toEqual({ state: 'executing', basis: 'record' });
    expect(deriveState(itemOf('executing'), forgeOf({ pullRequest: null }))).toEqual({
      state: 'executing',
      basis: 'forge',
    });
  });
});

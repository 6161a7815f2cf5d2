import { describe, expect, it } from 'vitest';
import type { Facts } from '../../service/work-items/types.ts';
import { BEFORE, EARLIER, factsOf, gate, handoffOf, itemOf, NOW, policyOf, told } from './gates.fixtures.ts';

describe('dependencies, capacity, single-handoff, window', () => {
  const item = itemOf('ready');

  it('waits for items that are not done, unknown ones too', () => {
    const dependencies: Facts['dependencies'] = [
      { id: 'wi-BF-2', lane: 'done' },
      { id: 'wi-BF-3', lane: 'review' },
      { id: 'wi-BF-4', lane: null },
    ];
    expect(told(gate('dependencies', 'claim', factsOf(item, { dependencies })))).toEqual([
      'blocked',
      'waiting-for-items',
      'Waiting for wi-BF-3 and wi-BF-4.',
      'Blocked items may be queued, not claimed.',
      'Finish wi-BF-3, or unlink what is not needed from `blockedBy` in the record ready/wi-BF-1.md. ' +
        'Correct or unlink wi-BF-4 in the record ready/wi-BF-1.md; no such item is known.',
      'Retry Claim on this ready item once wi-BF-3 is done and wi-BF-4 is unlinked.',
      'after-change',
    ]);
    const done = factsOf(item, { dependencies: dependencies.slice(0, 1) });
    expect(told(gate('dependencies', 'claim', done))).toEqual(['pass', 'ok']);
    expect(told(gate('dependencies', 'claim', factsOf(item)))).toEqual(['pass', 'ok']);
  });

  it('asks to unlink what can never be done, and leads to no page that is not there', () => {
    const waits = (...dependencies: Facts['dependencies']) => {
      const { recovery, unblock } = gate('dependencies', 'claim', factsOf(item, { dependencies }));
      return [recovery?.nextStep, recovery?.safeRetry.text, unblock.map(({ action, url }) => action ?? url)];
    };
    expect(waits({ id: 'wi-BF-1', lane: 'ready' })).toEqual([
      'Unlink wi-BF-1 in the record ready/wi-BF-1.md; it can never be done.',
      'Retry Claim on this ready item once wi-BF-1 is unlinked.',
      ['refresh-truth'],
    ]);
    expect(waits({ id: 'wi-BF-2', lane: 'cancelled' }, { id: 'wi-BF-3', lane: 'cancelled' })).toEqual([
      'Unlink wi-BF-2 and wi-BF-3 in the record ready/wi-BF-1.md; they can never be done.',
      'Retry Claim on this ready item once wi-BF-2 and wi-BF-3 are unlinked.',
      ['refresh-truth'],
    ]);
    expect(waits({ id: 'wi-NOPE', lane: null })[2]).toEqual(['refresh-truth']);
    expect(waits({ id: 'wi-BF-4', lane: 'review' }, { id: 'wi-NOPE', lane: null })[2]).toEqual([
      '/items/wi-BF-4',
      'refresh-truth',
    ]);
  });

  it('counts running handoffs and failed attempts', () => {
    expect(told(gate('capacity', 'claim', factsOf(item, { runningHandoffs: 2 })))).toEqual(['pass', 'ok']);
    const full = gate('capacity', 'claim', factsOf(item, { runningHandoffs: 3 }));
    expect(told(full)).toEqual([
      'blocked',
      'handoff-limit',
      '3 of 3 handoffs are running.',
      'WIP limit of the project.',
      'Wait until a running handoff ends, or raise `limits.handoffs` in policy.yaml.',
      'Retry Claim on this ready item in a minute.',
      'after-time',
    ]);
    expect(full.recovery?.safeRetry.afterSeconds).toBe(60);
    const pastHandoffs = [handoffOf('failed'), handoffOf('cancelled'), handoffOf('expired')];
    const spent = gate('capacity', 'claim', factsOf(itemOf('ready', { pastHandoffs })));
    expect(told(spent).slice(0, 3)).toEqual(['blocked', 'attempt-limit', '2 of 2 attempts have failed.']);
    const both = gate(
      'capacity',
      'claim',
      factsOf(itemOf('ready', { pastHandoffs }), { runningHandoffs: 3 }),
    );
    expect(both.recovery?.safeRetry.whenFact).toEqual({
      source: 'policy',
      path: 'limits.attempts',
      becomes: [3],
      also: [{ source: 'handoffs', path: 'running', becomes: [2] }],
    });
  });

  it('lets one handoff be open', () => {
    expect(told(gate('single-handoff', 'start-execution', factsOf(item)))).toEqual(['pass', 'ok']);
    const queued = gate(
      'single-handoff',
      'start-execution',
      factsOf(itemOf('ready', { handoff: handoffOf('queued') })),
    );
    expect(told(queued)).toEqual([
      'blocked',
      'handoff-open',
      `Handoff h-1 is queued, held by nobody since ${BEFORE}.`,
      'One executor at a time.',
      'Take it with Claim, or end it with Cancel.',
      'Retry Start execution on this ready item once handoff h-1 has ended.',
      'after-change',
    ]);
    const held = gate(
      'single-handoff',
      'start-execution',
      factsOf(itemOf('ready', { handoff: handoffOf('running') })),
    );
    expect(held.reason).toBe('Handoff h-1 is running, held by Cy until it ends.');
  });

  it('lets a queued handoff with an outdated prompt be replaced', () => {
    const queued = itemOf('ready', { handoff: handoffOf('queued', { promptRevision: 'prompt-0' }) });
    expect(told(gate('single-handoff', 'start-execution', factsOf(queued)))).toEqual(['pass', 'ok']);
  });

  it('keeps freezes, with both ends', () => {
    const freezes = [{ name: 'Holidays', from: '2026-03-01T00:00:00Z', until: '2026-03-02T00:00:00Z' }];
    const policy = policyOf('strict', { freezes });
    const at = (now: string) => gate('window', 'complete', factsOf(item), { policy, now });
    expect(told(at(NOW))).toEqual([
      'blocked',
      'freeze',
      'Freeze Holidays until 2026-03-02T00:00:00Z.',
      'Change window policy.',
      'Wait until 2026-03-02T00:00:00Z, or ask for an override with Override gate (two owners; invite one on the People page).',
      'Retry Complete on this ready item after 2026-03-02T00:00:00Z.',
      'after-time',
    ]);
    expect(at(NOW).recovery?.safeRetry.afterSeconds).toBe(12 * 3600);
    expect(at('2026-03-01T00:00:00Z').verdict).toBe('blocked');
    expect(at('2026-02-28T23:59:59Z').verdict).toBe('pass');
    expect(at('2026-03-02T00:00:00Z').verdict).toBe('pass');
  });

  it.each<[string, 'solo' | 'team', number, boolean]>([
    ['no owner', 'team', 0, true],
    ['one owner in a team', 'team', 1, true],
    ['two owners', 'team', 2, false],
    ['one owner alone', 'solo', 1, false],
  ])('asks %s for another owner where an override takes two', (_name, preset, owners, asked) => {
    const policy = policyOf('strict', {
      freezes: [{ name: 'Holidays', from: EARLIER, until: '2026-03-02T00:00:00Z' }],
    });
    const people = ['p-1', 'p-2', 'p-3'].map((id, index) => ({
      id,
      name: id,
      roles: [index < owners ? 'owner' : 'planner'],
    }));
    const { recovery, unblock } = gate('window', 'complete', factsOf(item, { people, preset }), { policy });
    const invite = { url: '/people', permission: 'factory.people.manage' };
    expect(recovery?.nextStep.includes('two owners; invite one on the People page')).toBe(asked);
    expect(unblock).toEqual([
      { action: 'override-gate', permission: 'factory.work-item.override' },
      ...(asked ? [invite] : []),
    ]);
  });
});

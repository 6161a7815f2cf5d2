import { describe, expect, it } from 'vitest';
import { overrideState, type OverrideState } from '../../service/work-items/gates/override.ts';
import { evaluateAction } from '../../service/work-items/gates/evaluate.ts';
import type { Facts, GateIdentity, Override } from '../../service/work-items/types.ts';
import { actor, ANN, BEN, factsOf, itemOf, PEOPLE, policyOf, told } from './gates.fixtures.ts';

const AT = '2026-03-01T11:00:00.000Z';
const WAITED = '2026-03-01T11:10:00.000Z';
const SECONDED = '2026-03-01T11:30:00.000Z';
const END = '2026-03-01T13:00:00.000Z';

const override = (fields: Partial<Override> = {}): Override => ({
  ...{ id: 'o-1', gate: 'window', action: 'complete', reason: 'Now.' },
  ...{ until: END, by: actor(ANN), at: AT, secondedBy: null, secondedAt: null },
  ...fields,
});
const seconded = (secondedAt: string) => override({ secondedBy: actor(BEN), secondedAt });

describe('an override', () => {
  it.each<['solo' | 'team', string, Override, string, OverrideState['state'], string | null]>([
    ['team', 'nobody seconded', override(), '11:05', 'waiting-for-person', null],
    ['team', 'nobody seconded, long after', override(), '12:59', 'waiting-for-person', null],
    ['team', 'somebody seconded', seconded(SECONDED), '11:30', 'in-force', SECONDED],
    ['team', 'was seconded before the clock was set back', seconded(SECONDED), '11:20', 'in-force', SECONDED],
    ['team', 'has ended', seconded(SECONDED), '13:00', 'ended', SECONDED],
    ['team', 'has ended without a second person', override(), '13:00', 'ended', null],
    ['solo', 'is younger than the waiting time', override(), '11:09', 'waiting-until', WAITED],
    ['solo', 'is as old as the waiting time', override(), '11:10', 'in-force', WAITED],
    [
      'solo',
      'somebody seconded early',
      seconded('2026-03-01T11:05:00.000Z'),
      '11:06',
      'in-force',
      '2026-03-01T11:05:00.000Z',
    ],
    ['solo', 'somebody seconded after it counted', seconded(SECONDED), '11:40', 'in-force', WAITED],
    ['solo', 'has ended', override(), '13:00', 'ended', WAITED],
    [
      'solo',
      'ends before its waiting time',
      override({ until: WAITED }),
      '11:09',
      'waiting-for-person',
      null,
    ],
    ['solo', 'has ended before its waiting time', override({ until: WAITED }), '11:10', 'ended', null],
  ])('in the preset %s that %s, at %s', (preset, _name, given, time, state, from) => {
    const now = `2026-03-01T${time}:00.000Z`;
    expect(overrideState(given, { preset, soloWaitSeconds: 600, now })).toEqual({ state, from });
  });
});

describe('a gate whose override waits', () => {
  const FREEZE = { name: 'Release', from: AT, until: '2026-03-02T00:00:00.000Z' };
  const OWNERS = [...PEOPLE, { id: 'p-dee', name: 'Dee', roles: ['owner'] }];
  const NOON = '2026-03-01T12:00:00.000Z';
  const until = '2026-03-01T23:00:00.000Z';
  const frozen = (given: Override[], more: Partial<Facts>, hard: GateIdentity[] = []) => {
    const facts = factsOf(itemOf('review', { overrides: given }), more);
    const report = evaluateAction(
      'complete',
      facts,
      policyOf('strict', { freezes: [FREEZE], hard }),
      BEN,
      NOON,
    );
    const window = report.gates.find(({ gate }) => gate === 'window');
    if (!window) throw new Error('strict has the gate window');
    return window;
  };
  const waits = override({ until });

  it('says that one is recorded, whose, and who can ask for the same', () => {
    const result = frozen([waits], { people: OWNERS });
    expect(told(result)).toEqual([
      'blocked',
      'freeze',
      `Freeze Release until ${FREEZE.until}. An override by Ann until ${until} is recorded and waits for a second person.`,
      'Change window policy.',
      `Ask Dee for the same with Override gate. Or: Wait until ${FREEZE.until}.`,
      `Retry Complete on this review item after ${FREEZE.until}.`,
      'after-time',
    ]);
    expect(result.params.waitingOverride).toMatchObject({ id: 'o-1', state: 'waiting-for-person' });
    expect(result.unblock.map(({ action }) => action)).toEqual(['override-gate']);
  });

  it('asks for an invitation where no other owner is there', () => {
    const result = frozen([waits], {});
    expect(result.recovery?.nextStep).toBe(
      `Invite a second owner, who asks for the same with Override gate. Or: Wait until ${FREEZE.until}.`,
    );
    expect(result.unblock).toContainEqual({ url: '/people', permission: 'factory.people.manage' });
  });

  it('says from when it counts in the solo preset, and when to try again', () => {
    const at = '2026-03-01T11:55:00.000Z';
    const from = '2026-03-01T12:05:00.000Z';
    const result = frozen([override({ at, until })], { preset: 'solo' });
    expect(result.reason).toBe(
      `Freeze Release until ${FREEZE.until}. An override by Ann until ${until} is recorded and counts from ${from}.`,
    );
    expect(result.recovery).toMatchObject({
      nextStep: `Wait until ${from}, when the override counts. Or: Wait until ${FREEZE.until}.`,
      safeRetry: {
        text: `Retry Complete on this review item after ${from}, when it counts.`,
        mode: 'after-time',
        afterSeconds: 300,
      },
    });
  });

  it('goes on as if none were recorded where it has ended, is for another gate, or the gate is hard', () => {
    const plain = frozen([], { people: OWNERS });
    expect(plain.recovery?.nextStep).toContain('ask for an override');
    expect(frozen([override({ until: AT })], { people: OWNERS })).toEqual(plain);
    expect(frozen([override({ until, gate: 'pull-request' })], { people: OWNERS })).toEqual(plain);
    expect(frozen([waits], { people: OWNERS }, ['window']).reason).toBe(plain.reason);
  });

  it('counts by the one that is in force, whatever waits beside it', () => {
    expect(frozen([seconded(AT), waits], { people: OWNERS }).verdict).toBe('overridden');
  });
});

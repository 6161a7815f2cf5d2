import { describe, expect, it } from 'vitest';
import { overrideState, type OverrideState } from '../../service/work-items/gates/override.ts';
import type { Override } from '../../service/work-items/types.ts';
import { actor, ANN, BEN } from './gates.fixtures.ts';

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

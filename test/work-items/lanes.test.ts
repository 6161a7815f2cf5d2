import { describe, expect, it } from 'vitest';
import {
  allowed,
  isMover,
  isTerminal,
  lanesOf,
  nextLane,
  wayToAction,
  type LaneRule,
  type Position,
} from '../../service/work-items/lanes.ts';
import { ACTION_IDENTITIES, LANES, type ActionIdentity, type Lane } from '../../service/work-items/types.ts';

const HANDOFFS = ['none', 'queued', 'held'] as const;

/** The design's table, written out: from, handoffs, action, to. */
const TABLE: [from: Lane, handoffs: readonly Position['handoff'][], action: ActionIdentity, to: Lane][] = [
  ['backlog', HANDOFFS, 'mark-ready', 'ready'],
  ['ready', HANDOFFS, 'start-execution', 'ready'],
  ['ready', ['queued'], 'claim', 'executing'],
  ['executing', ['queued', 'none'], 'claim', 'executing'],
  ['review', ['none'], 'claim', 'review'],
  ['executing', HANDOFFS, 'release-handoff', 'ready'],
  ['review', ['none'], 'release-handoff', 'ready'],
  ['executing', HANDOFFS, 'request-review', 'review'],
  ['review', HANDOFFS, 'request-changes', 'executing'],
  ['review', HANDOFFS, 'complete', 'done'],
  ['backlog', HANDOFFS, 'cancel', 'cancelled'],
  ['ready', HANDOFFS, 'cancel', 'cancelled'],
  ['executing', HANDOFFS, 'cancel', 'cancelled'],
  ['review', HANDOFFS, 'cancel', 'cancelled'],
];

const positions = LANES.flatMap((lane) => HANDOFFS.map((handoff) => ({ lane, handoff })));

describe('lane machine', () => {
  it.each(positions)('allows from $lane with handoff $handoff exactly what the table says', (at) => {
    for (const action of ACTION_IDENTITIES) {
      const row = TABLE.find(
        ([from, handoffs, name]) => from === at.lane && handoffs.includes(at.handoff) && name === action,
      );
      expect([action, allowed(at, action)?.to ?? null]).toEqual([action, row?.[3] ?? null]);
    }
  });

  it('refuses a move that the table does not have', () => {
    expect(() => nextLane({ lane: 'done', handoff: 'none' }, 'start-execution')).toThrow(
      /does not allow start-execution from done/,
    );
    expect(nextLane({ lane: 'review', handoff: 'held' }, 'complete')).toBe('done');
  });

  it('knows movers, terminal lanes, and what leads where', () => {
    expect(LANES.filter(isTerminal)).toEqual(['done', 'cancelled']);
    const movers = [...new Set(TABLE.map(([, , action]) => action))];
    expect(ACTION_IDENTITIES.filter(isMover).sort()).toEqual(movers.sort());
    expect(lanesOf('claim')).toEqual(['ready', 'executing']);
    expect(lanesOf('cancel')).toEqual(['backlog', 'ready', 'executing', 'review']);
  });

  it.each<[Position, ActionIdentity, ActionIdentity[] | null]>([
    [{ lane: 'backlog', handoff: 'none' }, 'request-review', ['mark-ready', 'start-execution', 'claim']],
    [{ lane: 'backlog', handoff: 'none' }, 'claim', ['mark-ready', 'start-execution']],
    [{ lane: 'ready', handoff: 'queued' }, 'complete', ['claim', 'request-review']],
    [{ lane: 'review', handoff: 'held' }, 'start-execution', ['request-changes', 'release-handoff']],
    [{ lane: 'review', handoff: 'none' }, 'start-execution', ['release-handoff']],
    [{ lane: 'executing', handoff: 'held' }, 'mark-ready', null],
    [{ lane: 'done', handoff: 'none' }, 'complete', null],
  ])('finds the way from %o to %s', (at, action, expected) => {
    const way = wayToAction(at, action);
    expect(way?.actions ?? null).toEqual(expected);
    let here: Position | null = at;
    for (const step of way?.actions ?? []) {
      const rule: LaneRule | null = here && allowed(here, step);
      expect(rule).not.toBeNull();
      here = here && rule && { lane: rule.to, handoff: rule.leaves ?? here.handoff };
    }
  });
});

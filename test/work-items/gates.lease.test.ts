import { describe, expect, it } from 'vitest';
import { ACTIONS } from '../../service/work-items/actions.ts';
import { allowed, positionOf } from '../../service/work-items/lanes.ts';
import { LANES, type HandoffState, type WorkItem } from '../../service/work-items/types.ts';
import {
  actor,
  AGENT,
  BEN,
  CY,
  EARLIER,
  factsOf,
  gate,
  handoffOf,
  itemOf,
  PIPELINE,
  token,
  told,
} from './gates.fixtures.ts';

const OTHER = token('t-other', 'p-ben', 'agent');
const held = (item: WorkItem, principal = OTHER) =>
  gate('lease-held', 'submit-evidence', factsOf(item), { principal });
const ways = (item: WorkItem) => held(item).unblock.map(({ action }) => action);

describe('lease-held', () => {
  it('asks only agents, and passes for the holder', () => {
    const item = itemOf('executing', { handoff: handoffOf('claimed') });
    for (const principal of [BEN, PIPELINE]) expect(held(item, principal).verdict).toBe('not-applicable');
    expect(held(item, AGENT).verdict).toBe('pass');
  });

  it('leads an agent to the holder where somebody else holds the handoff', () => {
    const item = itemOf('executing', { handoff: handoffOf('claimed') });
    const result = gate('lease-held', 'request-review', factsOf(item), { principal: OTHER });
    expect(told(result)).toEqual([
      'blocked',
      'no-lease',
      'You hold no lease of this item; handoff h-1 is claimed, held by bot (token of Cy).',
      'Only the current holder writes.',
      'Stop; ask bot (token of Cy), or an owner, to free it with Release handoff, then Start execution. ' +
        'Then Claim it before you write.',
      'Do not retry Request review on this executing item with this fence.',
      'never',
    ]);
    expect(result.unblock).toEqual([
      { action: 'release-handoff', permission: ACTIONS['release-handoff'].permission },
      { action: 'start-execution', permission: ACTIONS['start-execution'].permission },
    ]);
  });

  it('tells an agent whose handoff has ended since who holds the next one', () => {
    const item = itemOf('executing', {
      pastHandoffs: [handoffOf('expired', { endedAt: EARLIER, holder: actor(OTHER) })],
      handoff: handoffOf('claimed', { id: 'h-2', holder: actor(CY), fence: 2 }),
    });
    expect(held(item)).toMatchObject({
      code: 'lease-ended',
      reason: `Your lease ended at ${EARLIER}; fence 1 < 2; handoff h-2 is claimed, held by Cy.`,
      recovery: {
        nextStep:
          'Stop; ask Cy, or an owner, to free it with Release handoff, then Start execution. Then Claim it before you write.',
      },
    });
  });

  it.each<[string, WorkItem, string, string[]]>([
    [
      'queued',
      itemOf('executing', { handoff: handoffOf('queued') }),
      'Stop; Claim it before you write.',
      ['claim'],
    ],
    ['not there', itemOf('executing'), 'Stop; Claim it before you write.', ['claim']],
    ['not there, in review', itemOf('review'), 'Stop; Claim it before you write.', ['claim']],
    [
      'submitted for review',
      itemOf('review', { handoff: handoffOf('submitted') }),
      'Stop; it can be claimed after Request changes. Then Claim it before you write.',
      ['request-changes'],
    ],
    [
      'not there, in the backlog',
      itemOf('backlog'),
      'Stop; it can be claimed after Mark ready, then Start execution. Then Claim it before you write.',
      ['mark-ready', 'start-execution'],
    ],
  ])('names a way that is open where the handoff is %s', (_name, item, nextStep, actions) => {
    expect(held(item).recovery?.nextStep).toBe(nextStep);
    expect(ways(item)).toEqual(actions);
  });

  it('never names as the first step what the lane machine does not allow', () => {
    const states: (HandoffState | null)[] = [
      null,
      'queued',
      'claimed',
      'running',
      'awaiting-human',
      'submitted',
    ];
    for (const lane of LANES) {
      for (const state of states) {
        const item = itemOf(lane, { handoff: state && handoffOf(state) });
        const [first] = ways(item);
        if (held(item).verdict !== 'blocked') expect(['done', 'cancelled']).toContain(lane);
        else
          expect([lane, state, first && allowed(positionOf(item), first) !== null]).toEqual([
            lane,
            state,
            true,
          ]);
      }
    }
  });
});

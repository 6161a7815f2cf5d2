import { describe, expect, it } from 'vitest';
import type { ActionIdentity, WorkItem } from '../../service/work-items/types.ts';
import { factsOf, gate, handoffOf, itemOf, told } from './gates.fixtures.ts';

describe('lane-transition', () => {
  it.each<[string, ActionIdentity, WorkItem, unknown[]]>([
    ['passes where the table allows it', 'start-execution', itemOf('ready'), ['pass', 'ok']],
    [
      'keeps done items closed',
      'request-review',
      itemOf('done'),
      [
        'blocked',
        'terminal-lane',
        'Done items stay closed; Request review cannot move them backward.',
        'Lane transition policy blocks Request review when the item is already Done.',
        'Create a net-new work item if more delivery is needed instead of reopening this one.',
        'Do not retry Request review on a done item.',
        'never',
      ],
    ],
    [
      'keeps cancelled items closed',
      'cancel',
      itemOf('cancelled'),
      [
        'blocked',
        'terminal-lane',
        'Cancelled items stay closed; Cancel cannot move them backward.',
        'Lane transition policy blocks Cancel when the item is already Cancelled.',
        'Create a net-new work item if more delivery is needed instead of reopening this one.',
        'Do not retry Cancel on a cancelled item.',
        'never',
      ],
    ],
    [
      'names the way through several lanes',
      'request-review',
      itemOf('backlog'),
      [
        'blocked',
        'lane-not-allowed',
        'Request review is not allowed from backlog.',
        'Lane transition policy allows Request review only from executing.',
        'Move the item to executing with Mark ready, then Start execution, then Claim.',
        'Retry Request review after the lane is executing.',
        'after-change',
      ],
    ],
    [
      'names the way back',
      'start-execution',
      itemOf('executing', { handoff: handoffOf('claimed') }),
      [
        'blocked',
        'lane-not-allowed',
        'Start execution is not allowed from executing.',
        'Lane transition policy allows Start execution only from ready.',
        'Move the item to ready with Release handoff.',
        'Retry Start execution after the lane is ready.',
        'after-change',
      ],
    ],
    [
      'says so where no way leads back',
      'mark-ready',
      itemOf('executing', { handoff: handoffOf('claimed') }),
      [
        'blocked',
        'lane-passed',
        'Mark ready is not allowed from executing.',
        'Lane transition policy allows Mark ready only from backlog.',
        'No action moves an item back to backlog; go on with Release handoff, Request review or Cancel.',
        'Do not retry Mark ready on an executing item.',
        'never',
      ],
    ],
    [
      'needs a queued handoff for a claim',
      'claim',
      itemOf('ready'),
      [
        'blocked',
        'no-queued-handoff',
        'Claim is not allowed from ready without a queued handoff.',
        'Lane transition policy allows Claim only on a queued handoff.',
        'Queue a handoff with Start execution.',
        'Retry Claim once a handoff of this ready item is queued.',
        'after-change',
      ],
    ],
    ['takes a queued handoff', 'claim', itemOf('ready', { handoff: handoffOf('queued') }), ['pass', 'ok']],
    ['adopts an imported executing item', 'claim', itemOf('executing'), ['pass', 'ok']],
    ['adopts an imported item in review', 'claim', itemOf('review'), ['pass', 'ok']],
    ['sends an imported review back', 'release-handoff', itemOf('review'), ['pass', 'ok']],
    [
      'does not take a handoff twice',
      'claim',
      itemOf('executing', { handoff: handoffOf('claimed') }),
      [
        'blocked',
        'no-queued-handoff',
        'Claim is not allowed from executing without a queued handoff: handoff h-1 is claimed.',
        'Lane transition policy allows Claim only on a queued handoff.',
        'Queue a handoff with Release handoff, then Start execution.',
        'Retry Claim once a handoff of this executing item is queued.',
        'after-change',
      ],
    ],
  ])('%s', (_name, action, item, expected) => {
    expect(told(gate('lane-transition', action, factsOf(item)))).toEqual(expected);
  });

  it('uses the article that the lane takes', () => {
    const text = gate('lane-transition', 'mark-ready', factsOf(itemOf('executing'))).recovery?.safeRetry.text;
    expect(text).toBe('Do not retry Mark ready on an executing item.');
  });

  it('leads out of a terminal lane by a new item', () => {
    const { unblock } = gate('lane-transition', 'complete', factsOf(itemOf('done')));
    expect(unblock).toEqual([
      { url: '/items/new?supersedes=wi-BF-1', permission: 'factory.work-item.create' },
    ]);
  });
});

describe('lane-eligibility', () => {
  it.each<[string, ActionIdentity, WorkItem, unknown[]]>([
    ['passes in review', 'prepare-release', itemOf('review'), ['pass', 'ok']],
    ['passes in done', 'prepare-release', itemOf('done'), ['pass', 'ok']],
    [
      'has nothing to release in ready',
      'prepare-release',
      itemOf('ready'),
      [
        'blocked',
        'lane-not-eligible',
        'Ready items have nothing to release.',
        'Release preparation needs a reviewed or done item.',
        'Finish review first. Move the item to review with Start execution, then Claim, then Request review.',
        'Retry Prepare release after the lane is review or done.',
        'after-change',
      ],
    ],
    [
      'has nothing to release in cancelled',
      'prepare-release',
      itemOf('cancelled'),
      [
        'blocked',
        'terminal-lane',
        'Cancelled items have nothing to release.',
        'Release preparation needs a reviewed or done item.',
        'Create a net-new work item if more delivery is needed instead of reopening this one.',
        'Do not retry Prepare release on a cancelled item.',
        'never',
      ],
    ],
    [
      'takes no evidence in backlog',
      'submit-evidence',
      itemOf('backlog'),
      [
        'blocked',
        'lane-not-eligible',
        'Backlog items take no evidence.',
        'Submit evidence needs an executing or reviewed item.',
        'Begin execution first. Move the item to executing with Mark ready, then Start execution, then Claim.',
        'Retry Submit evidence after the lane is executing or review.',
        'after-change',
      ],
    ],
    [
      'has nothing to approve while executing',
      'approve',
      itemOf('executing', { handoff: handoffOf('claimed') }),
      [
        'blocked',
        'lane-not-eligible',
        'Executing items have nothing to approve.',
        'Approve needs an item in review.',
        'Request a review first. Move the item to review with Request review.',
        'Retry Approve after the lane is review.',
        'after-change',
      ],
    ],
    [
      'does not speak of other actions',
      'refresh-truth',
      itemOf('done'),
      ['not-applicable', 'not-applicable'],
    ],
    ['lets done items have overrides', 'override-gate', itemOf('done'), ['pass', 'ok']],
  ])('%s', (_name, action, item, expected) => {
    expect(told(gate('lane-eligibility', action, factsOf(item)))).toEqual(expected);
  });
});

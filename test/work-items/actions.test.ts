import { describe, expect, it } from 'vitest';
import { ACTIONS, listedActions, permissionsFor } from '../../service/work-items/actions.ts';
import { ACTION_IDENTITIES, LANES, type ActionIdentity, type Lane } from '../../service/work-items/types.ts';
import { handoffOf, itemOf } from './gates.fixtures.ts';

const FOUR = ['start-execution', 'request-review', 'prepare-release', 'record-history'] as const;

describe('actions', () => {
  it.each([
    ['start-execution', 'Start execution', 'execute', 'Queue execution handoff for this work item.'],
    ['request-review', 'Request review', 'request-review', 'Mark this item ready for review lane handoff.'],
    [
      'prepare-release',
      'Prepare release',
      'prepare-release',
      'Run release-preparation checks for the work item.',
    ],
    [
      'record-history',
      'Record history',
      'record-history',
      'Capture history snapshots for audit and validation views.',
    ],
  ] as const)('%s reads as on the reference pages', (identity, label, permission, description) => {
    expect(ACTIONS[identity]).toMatchObject({
      label,
      description,
      permission: `factory.work-item.${permission}`,
    });
  });

  it.each([
    ['mark-ready', 'plan'],
    ['claim', 'claim'],
    ['release-handoff', 'claim'],
    ['request-changes', 'review'],
    ['complete', 'complete'],
    ['cancel', 'cancel'],
    ['reconcile', 'reconcile'],
    ['refresh-truth', 'read'],
    ['submit-evidence', 'submit-evidence'],
    ['approve', 'review'],
    ['waive-criterion', 'review'],
    ['override-gate', 'override'],
  ] as const)('%s takes permission %s', (identity, permission) => {
    expect(permissionsFor(identity, {})).toEqual([`factory.work-item.${permission}`]);
  });

  it('takes the permission to review for an attestation as well', () => {
    const both = ['factory.work-item.submit-evidence', 'factory.work-item.review'];
    expect(permissionsFor('submit-evidence', { kind: 'attestation' })).toEqual(both);
    expect(permissionsFor('submit-evidence', { kind: 'criterion' })).toEqual(both.slice(0, 1));
  });

  it.each<[Lane, ActionIdentity[]]>([
    ['backlog', ['mark-ready', 'cancel', 'reconcile', 'refresh-truth', 'override-gate']],
    ['ready', ['claim', 'cancel', 'reconcile', 'refresh-truth', 'override-gate']],
    [
      'executing',
      [
        'claim',
        'release-handoff',
        'cancel',
        'reconcile',
        'refresh-truth',
        'submit-evidence',
        'waive-criterion',
        'override-gate',
      ],
    ],
    ['done', ['reconcile', 'refresh-truth', 'override-gate']],
    ['cancelled', ['reconcile', 'refresh-truth']],
  ])('lists the four first, then what %s allows', (lane, others) => {
    expect(listedActions(itemOf(lane))).toEqual([...FOUR, ...others]);
  });

  it('lists the ways to adopt in review only for an item without a handoff', () => {
    const adopting = (item: ReturnType<typeof itemOf>) =>
      listedActions(item).filter((action) => action === 'claim' || action === 'release-handoff');
    expect(adopting(itemOf('review'))).toEqual(['claim', 'release-handoff']);
    expect(adopting(itemOf('review', { handoff: handoffOf('submitted') }))).toEqual([]);
  });

  it('lists all sixteen on demand', () => {
    for (const lane of LANES) expect(listedActions(itemOf(lane), true)).toEqual(ACTION_IDENTITIES);
  });
});

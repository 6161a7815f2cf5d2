import { describe, expect, it } from 'vitest';
import type { Facts, Principal, WorkItem } from '../../service/work-items/types.ts';
import {
  actor,
  ANN,
  BEN,
  CY,
  EARLIER,
  evidenceOf,
  factsOf,
  forgeOf,
  gate,
  handoffOf,
  HEAD,
  itemOf,
  NOW,
  person,
  told,
} from './gates.fixtures.ts';

describe('independent-review', () => {
  const item = itemOf('review', { handoff: handoffOf('submitted'), evidence: [evidenceOf('validation')] });
  const approval = (principal: Principal, fields: Partial<WorkItem['approvals'][number]> = {}) => ({
    by: actor(principal),
    commit: HEAD,
    note: null,
    at: EARLIER,
    ...fields,
  });
  const having = (approvals: WorkItem['approvals'], more: Partial<Facts> = {}) =>
    factsOf({ ...item, approvals }, more);

  it('keeps authors from approving, whoever executed for them', () => {
    const facts = factsOf(item);
    expect(gate('independent-review', 'approve', facts, { principal: BEN }).verdict).toBe('pass');
    expect(told(gate('independent-review', 'approve', facts, { principal: CY }))).toEqual([
      'blocked',
      'own-work',
      'Cy worked on this item.',
      'Separation of duties.',
      'Ask Ann or Ben to approve it with Approve.',
      'Do not retry Approve on this review item as its author; it waits for somebody else.',
      'never',
    ]);
    expect(
      gate('independent-review', 'approve', factsOf(item, { preset: 'solo' }), { principal: CY }).verdict,
    ).toBe('pass');
  });

  it('lets nobody approve before a commit is known, and says how to name one', () => {
    const unnamed = itemOf('review', { handoff: handoffOf('submitted') });
    const forge = forgeOf({ branchHead: null, pullRequest: null });
    expect(told(gate('independent-review', 'approve', factsOf(unnamed)))).toEqual([
      'blocked',
      'no-commit',
      'No commit of this item is known that an approval could bind to.',
      'Separation of duties. An approval binds to the commit that was reviewed.',
      'Name the reviewed commit with Submit evidence.',
      'Retry Approve on this review item once its commit is known.',
      'after-change',
    ]);
    expect(
      gate('independent-review', 'approve', factsOf(unnamed)).unblock.map(({ action }) => action),
    ).toEqual(['submit-evidence']);
    expect(
      gate('independent-review', 'approve', factsOf(unnamed, { forge })).unblock.map(({ action }) => action),
    ).toEqual(['refresh-truth']);
    expect(
      gate('independent-review', 'approve', factsOf(unnamed, { preset: 'solo' }), { principal: CY }).code,
    ).toBe('no-commit');
    expect(gate('independent-review', 'approve', factsOf(unnamed), { principal: CY }).code).toBe('own-work');
    const approved = factsOf({ ...unnamed, approvals: [approval(BEN, { commit: null })] });
    expect(gate('independent-review', 'complete', approved)).toMatchObject({
      code: 'not-approved',
      recovery: {
        nextStep: 'Name the reviewed commit with Submit evidence. Ask Ann or Ben to approve it with Approve.',
      },
    });
  });

  it('says who worked on it and who can approve', () => {
    expect(told(gate('independent-review', 'complete', factsOf(item)))).toEqual([
      'blocked',
      'not-approved',
      'Cy worked on this item. Nobody else has approved aaaaaaaaaaaa.',
      'Separation of duties.',
      'Ask Ann or Ben to approve it with Approve.',
      'Retry Complete on this review item once the head commit is approved.',
      'after-change',
    ]);
  });

  it.each<[string, Facts, string, string]>([
    ['approved', having([approval(BEN)]), 'pass', 'ok'],
    [
      'approved before a new commit',
      having([approval(BEN, { commit: 'b'.repeat(40) })]),
      'blocked',
      'not-approved',
    ],
    ['approved by the author', having([approval(CY, { note: 'Fine.' })]), 'blocked', 'not-approved'],
    ['alone with a note', having([approval(CY, { note: 'Fine.' })], { preset: 'solo' }), 'pass', 'ok'],
    ['alone without a note', having([approval(CY)], { preset: 'solo' }), 'blocked', 'not-approved'],
    [
      'alone, just now',
      having([approval(CY, { note: 'Fine.', at: NOW })], { preset: 'solo' }),
      'blocked',
      'approval-waiting',
    ],
    [
      'another person alone needs no waiting',
      having([approval(ANN, { at: NOW })], { preset: 'solo' }),
      'pass',
      'ok',
    ],
    [
      'a forge without a head',
      having([approval(BEN, { commit: null })], { forge: forgeOf({ branchHead: null, pullRequest: null }) }),
      'blocked',
      'not-approved',
    ],
  ])('%s', (_name, facts, verdict, code) => {
    expect(gate('independent-review', 'complete', facts)).toMatchObject({ verdict, code });
  });

  it('says until when an approval of the only person waits, not to approve again', () => {
    const waiting = having([approval(CY, { note: 'Fine.', at: NOW })], { preset: 'solo' });
    expect(gate('independent-review', 'complete', waiting).recovery?.nextStep).toBe(
      "Wait until 2026-03-01T12:10:00.000Z, when Cy's approval counts.",
    );
  });

  it('names people who have left since, and never by their ids', () => {
    const approved = having([approval(person('p-eve', 'reviewer'))]);
    expect(gate('independent-review', 'complete', approved).reason).toBe('Eve approved aaaaaaaaaaaa.');
    const forgotten = having([approval(person('p-gone', 'reviewer'))]);
    expect(gate('independent-review', 'complete', forgotten).reason).toBe(
      'somebody unknown approved aaaaaaaaaaaa.',
    );
    const handoff = handoffOf('submitted', { queuedBy: actor(person('p-eve', 'planner')) });
    const left = factsOf({ ...item, handoff });
    expect(gate('independent-review', 'complete', left).reason).toContain('Eve and Cy worked on this item.');
  });

  it('asks for an invitation where nobody else can review', () => {
    const facts = factsOf(item, { people: [{ id: 'p-cy', name: 'Cy', roles: ['owner'] }] });
    expect(gate('independent-review', 'complete', facts).recovery?.nextStep).toBe(
      'Invite a reviewer who did not work on this item.',
    );
  });
});

import { describe, expect, it } from 'vitest';
import { evolve, replay } from '../../service/work-items/projection.ts';
import type { ItemEvent, Principal, RecordedEvent } from '../../service/work-items/types.ts';
import { actor, AGENT, ANN, BEN, CY, itemOf, NOW } from './gates.fixtures.ts';

const { record } = itemOf('ready');

function recorded(seq: number, event: ItemEvent, by: Principal = ANN): RecordedEvent {
  return {
    seq,
    projectId: 'main',
    version: seq,
    at: `2026-03-01T00:00:${String(seq).padStart(2, '0')}.000Z`,
    actor: actor(by),
    event,
  };
}

/** Folds events that happen one after the other, by whom is said with each. */
function life(...happened: (ItemEvent | [ItemEvent, Principal])[]) {
  const item = replay(
    happened.map((one, index) =>
      Array.isArray(one) ? recorded(index + 1, ...one) : recorded(index + 1, one),
    ),
  );
  if (!item) throw new Error('no events');
  return item;
}

const imported: ItemEvent = { type: 'imported', lane: 'ready', record };
const queued = (handoffId: string): ItemEvent => ({
  type: 'handoff-queued',
  handoffId,
  promptRevision: 'p-1',
  note: null,
});
const claimed = (handoffId: string, adopted = false): ItemEvent => ({
  type: 'handoff-claimed',
  handoffId,
  adopted,
  promptRevision: 'p-1',
  state: 'claimed',
  note: null,
});
const ended = (handoffId: string): ItemEvent => ({ type: 'handoff-ended', handoffId, state: 'rejected' });
const evidence = (id: string): ItemEvent => ({
  type: 'evidence-submitted',
  evidence: {
    id,
    kind: 'validation',
    criterion: null,
    criterionText: null,
    commit: 'a'.repeat(40),
    result: 'passed',
    scriptDigest: null,
    url: null,
    note: null,
    trust: 'person',
  },
});

const EARLIER_END = '2026-03-01T06:00:00.000Z';

describe('projection', () => {
  it('begins in the lane of the import, or in the backlog when created', () => {
    expect(life(imported)).toMatchObject({
      id: 'wi-BF-1',
      projectId: 'main',
      lane: 'ready',
      origin: 'import',
      version: 1,
    });
    expect(life({ type: 'created', record }).lanes).toMatchObject([{ lane: 'backlog', via: 'create' }]);
    expect(replay([])).toBeNull();
  });

  it('refuses events that cannot follow', () => {
    expect(() => replay([recorded(1, queued('h-1'))])).toThrow(/cannot follow/);
    expect(() => replay([recorded(1, imported), recorded(2, imported)])).toThrow(
      /Event 2 \(imported\) cannot follow/,
    );
  });

  it('moves lanes with time, person and action', () => {
    const item = life(imported, [
      { type: 'lane-moved', from: 'ready', to: 'cancelled', via: 'cancel', note: null },
      CY,
    ]);
    expect(item.lane).toBe('cancelled');
    expect(item.lanes.at(-1)).toEqual({
      lane: 'cancelled',
      at: '2026-03-01T00:00:02.000Z',
      by: actor(CY),
      via: 'cancel',
    });
    expect(item).toMatchObject({
      version: 2,
      createdAt: '2026-03-01T00:00:01.000Z',
      updatedAt: '2026-03-01T00:00:02.000Z',
    });
  });

  it('carries a handoff from queue to end, with a fence that grows by one per claim', () => {
    const item = life(
      imported,
      queued('h-1'),
      [claimed('h-1'), AGENT],
      evidence('e-1'),
      { type: 'handoff-submitted', handoffId: 'h-1' },
      ended('h-1'),
      [queued('h-2'), BEN],
      [claimed('h-2'), AGENT],
    );
    expect(item.pastHandoffs).toMatchObject([
      {
        id: 'h-1',
        state: 'rejected',
        fence: 1,
        endedAt: '2026-03-01T00:00:06.000Z',
        holder: actor(AGENT),
        evidenceFrom: 0,
      },
    ]);
    expect(item.handoff).toMatchObject({
      id: 'h-2',
      state: 'claimed',
      fence: 2,
      queuedBy: actor(BEN),
      evidenceFrom: 1,
    });
  });

  it('lets an adopted handoff go on with the evidence that was there', () => {
    const item = life(imported, evidence('e-1'), [claimed('h-1', true), CY]);
    expect(item.handoff).toMatchObject({
      adopted: true,
      queuedBy: null,
      holder: actor(CY),
      evidenceFrom: 0,
      fence: 1,
    });
  });

  it('keeps evidence, waivers, approvals, overrides, releases and snapshots with who and when', () => {
    const override = { id: 'o-1', gate: 'window', action: 'complete', reason: 'Why.', until: NOW } as const;
    const item = life(
      imported,
      [evidence('e-1'), AGENT],
      { type: 'criterion-waived', criterion: 0, criterionText: 'It works.', reason: 'Small.' },
      { type: 'approved', commit: null, note: 'Fine.' },
      [{ type: 'override-requested', override }, ANN],
      [{ type: 'override-seconded', overrideId: 'o-1' }, BEN],
      { type: 'release-prepared', pr: 'pr', note: null },
      { type: 'history-recorded', snapshot: 's-1', note: null },
      { type: 'history-recorded', snapshot: 's-2', note: null },
    );
    expect(item.evidence).toMatchObject([
      { id: 'e-1', producer: actor(AGENT), at: '2026-03-01T00:00:02.000Z' },
    ]);
    expect(item.waivers).toMatchObject([{ criterionText: 'It works.', reason: 'Small.', by: actor(ANN) }]);
    expect(item.approvals).toMatchObject([{ note: 'Fine.', by: actor(ANN) }]);
    expect(item.overrides).toMatchObject([
      { id: 'o-1', by: actor(ANN), secondedBy: actor(BEN), secondedAt: '2026-03-01T00:00:06.000Z' },
    ]);
    expect(item.release).toMatchObject({ pr: 'pr', by: actor(ANN) });
    expect(item.history).toEqual({ count: 2, latest: 's-2', at: '2026-03-01T00:00:09.000Z', seq: 9 });
  });

  it.each<[string, { reason?: string; until?: string }, string, string | undefined]>([
    ['an earlier end', { reason: 'Sooner.', until: EARLIER_END }, EARLIER_END, 'Sooner.'],
    ['a later end', { reason: 'Longer.', until: '2026-04-01T00:00:00.000Z' }, NOW, 'Longer.'],
    ['neither, as it was recorded once', {}, NOW, undefined],
  ])('lets the earlier end count where the second person gave %s', (_name, given, until, secondReason) => {
    const override = { id: 'o-1', gate: 'window', action: 'complete', reason: 'Why.', until: NOW } as const;
    const item = life(
      imported,
      [{ type: 'override-requested', override }, ANN],
      [{ type: 'override-seconded', overrideId: 'o-1', ...given }, BEN],
    );
    expect(item.overrides).toMatchObject([{ reason: 'Why.', until, secondedBy: actor(BEN) }]);
    expect(item.overrides[0]?.secondReason).toBe(secondReason);
    expect(Object.hasOwn(item.overrides[0] ?? {}, 'secondReason')).toBe(secondReason !== undefined);
  });

  it('takes what the record says, and counts a version for what changes nothing else', () => {
    const renamed = { ...record, title: 'Another title' };
    const before = life(imported, { type: 'record-read', record: renamed });
    expect(before).toMatchObject({ record: { title: 'Another title' }, lane: 'ready' });
    const after = evolve(before, recorded(3, { type: 'truth-refreshed', note: null }));
    expect(after).toEqual({ ...before, version: 3, updatedAt: '2026-03-01T00:00:03.000Z' });
  });

  it('changes nothing that it was given', () => {
    const before = life(imported, queued('h-1'));
    const copy = structuredClone(before);
    evolve(before, recorded(3, claimed('h-1'), AGENT));
    evolve(before, recorded(3, ended('h-1')));
    expect(before).toEqual(copy);
  });
});

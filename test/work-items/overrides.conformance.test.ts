import { afterEach, describe, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { queueFiles, startItems, type ItemsFixture } from './service.fixture.ts';

let fixture: ItemsFixture;
afterEach(() => fixture.close());

const ASKED = {
  gate: 'pull-request',
  action: 'complete',
  reason: 'No forge.',
  until: '2026-05-05T10:00:00Z',
};

/** What the item's document, its line in lists and the gate say of its one override. */
async function told({ items, owner }: ItemsFixture) {
  const { overrides } = await items.show(owner, 'wi-A-1');
  const [summary] = (await items.list(owner, {})).items;
  const { actions } = await items.actions(owner, 'wi-A-1', { all: true });
  const gates = actions.find(({ identity }) => identity === 'complete')?.gates ?? [];
  return {
    document: overrides.map(({ state, from }) => [state, from]),
    line: summary?.attention,
    verdict: gates.find(({ gate }) => gate === 'pull-request')?.verdict,
  };
}

describe('an override that waits', () => {
  it('counts after the waiting time where one person is alone', async () => {
    fixture = await startItems(queueFiles({ review: ['wi-A-1'] }));
    await fixture.items.act(fixture.owner, 'wi-A-1', 'override-gate', { input: ASKED });
    const from = '2026-05-04T10:05:00.000Z';
    expect(await told(fixture)).toMatchObject({
      document: [['waiting-until', from]],
      line: { cause: `The override of pull-request counts from ${from}.`, step: { action: null } },
      verdict: 'blocked',
    });
    fixture.clock.advance(5 * 60_000);
    expect(await told(fixture)).toMatchObject({
      document: [['in-force', from]],
      line: { cause: 'The override of pull-request counts until 2026-05-05T10:00:00.000Z.' },
      verdict: 'overridden',
    });
    fixture.clock.advance(24 * 60 * 60_000);
    expect(await told(fixture)).toMatchObject({ document: [['ended', from]], verdict: 'blocked' });
  });

  it('waits for the second person where there is one, however long', async () => {
    fixture = await startItems(queueFiles({ review: ['wi-A-1'] }));
    const { items, owner, clock, people, tokens } = fixture;
    const { id } = await people.invite(SYSTEM, { name: 'Ben', role: 'owner' });
    await tokens.create(SYSTEM, { name: 'desk', roles: ['owner'], personId: id, expires: null });
    await items.act(owner, 'wi-A-1', 'override-gate', { input: ASKED });
    clock.advance(60 * 60_000);
    expect(await told(fixture)).toMatchObject({
      document: [['waiting-for-person', null]],
      line: {
        cause: 'The override of pull-request waits for a second person.',
        step: { action: 'override-gate' },
      },
      verdict: 'blocked',
    });
    await items.act(fixture.principal(id, 'Ben', ['owner']), 'wi-A-1', 'override-gate', { input: ASKED });
    expect(await told(fixture)).toMatchObject({
      document: [['in-force', clock.iso()]],
      verdict: 'overridden',
    });
  });

  it('ends at the earlier of two ends and shows both reasons', async () => {
    fixture = await startItems(queueFiles({ review: ['wi-A-1'] }));
    const { items, owner, people, verify } = fixture;
    const { id } = await people.invite(SYSTEM, { name: 'Ben', role: 'owner' });
    const ben = fixture.principal(id, 'Ben', ['owner']);
    await items.act(owner, 'wi-A-1', 'override-gate', { input: ASKED });
    const sooner = { ...ASKED, reason: 'Checked by hand.', until: '2026-05-04T18:00:00Z' };
    await items.act(ben, 'wi-A-1', 'override-gate', { input: sooner });
    const { overrides } = await items.show(owner, 'wi-A-1');
    expect(overrides).toMatchObject([
      { until: '2026-05-04T18:00:00.000Z', reason: 'No forge. Ben adds: Checked by hand.' },
    ]);
    expect((await verify()).problems).toEqual([]);
  });
});

import { afterEach, expect, it } from 'vitest';
import { SYSTEM } from '../../service/audit/events.ts';
import { queueFiles, startItems, type ItemsFixture } from './service.fixture.ts';

let fixture: ItemsFixture;
afterEach(() => fixture.close());

it('names those who acted on an item in its gates, also after they were removed', async () => {
  fixture = await startItems(queueFiles({ review: ['wi-A-1'] }));
  const { items, owner, people } = fixture;
  const ron = await fixture.member('Ron', 'reviewer');
  const input = { kind: 'attestation', result: 'passed', commit: 'a'.repeat(40) };
  await items.act(ron, 'wi-A-1', 'submit-evidence', { input });
  const told = async () => {
    const { actions } = await items.actions(owner, 'wi-A-1', { all: true });
    const gates = actions.find(({ identity }) => identity === 'complete')?.gates ?? [];
    return gates.find(({ gate }) => gate === 'pull-request')?.reason;
  };
  const reason = 'Attestation by Ron for aaaaaaaaaaaa; no forge has verified it.';
  expect(await told()).toBe(reason);
  await people.remove(SYSTEM, ron.id);
  expect(await told()).toBe(reason);
});

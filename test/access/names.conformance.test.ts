import { afterEach, beforeEach, expect, it } from 'vitest';
import { createNames } from '../../service/access/names.ts';
import { SYSTEM } from '../../service/audit/events.ts';
import { openStorage } from '../../service/storage/open.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import { PROJECT, queueFiles, startItems, type ItemsFixture } from '../work-items/service.fixture.ts';

let home: ItemsFixture;
/** As another process has it. */
let other: Storage;
beforeEach(async () => {
  home = await startItems(queueFiles({ done: ['wi-A-1'] }));
  other = await openStorage(home.databaseUrl);
});
afterEach(async () => {
  await other.close();
  await home.close();
});

it('names a person and a token that another process made a moment ago', async () => {
  const names = createNames(other.read, PROJECT);
  const { owner, items, people, tokens } = home;
  expect((await names.namer())({ kind: 'person', id: owner.id, personId: owner.id, roles: [] })).toBe(
    'Owner',
  );
  const { id: personId } = await people.invite(SYSTEM, { name: 'Pia', role: 'planner' });
  expect((await names.namer())({ kind: 'person', id: personId, personId, roles: [] })).toBe('Pia');
  await items.act(owner, 'wi-A-1', 'record-history');
  const { id } = await tokens.create(SYSTEM, { name: 'desk', roles: ['planner'], personId, expires: null });
  await items.act(owner, 'wi-A-1', 'record-history');
  expect((await names.namer())({ kind: 'token', id, personId, roles: [] })).toBe('desk (token of Pia)');
});

it('reads people only when an event could have changed one', async () => {
  let reads = 0;
  const names = createNames(
    { ...other.read, all: (statement, params) => ((reads += 1), other.read.all(statement, params)) },
    PROJECT,
  );
  await names.namer();
  expect(reads).toBe(3);
  await home.items.act(home.owner, 'wi-A-1', 'record-history');
  await names.namer();
  await names.namer();
  expect(reads).toBe(5);
});

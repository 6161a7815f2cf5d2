import { describe, expect, it } from 'vitest';
import { startItems, type ItemsFixture } from './service.fixture.ts';

it.each([
  { summary: 'First.\r\n\r\n- one\r\n- two\r\n', reads: 'First.\n\n- one\n- two' },
  { summary: '  ---\nnot the end of anything  ', reads: '---\nnot the end of anything' },
])('a new item is what its record says: reading it changes nothing (%#)', async ({ summary, reads }) => {
  const { items, owner } = await startItems({});
  const { item: created } = await items.create(owner, {
    ...{ title: 'true: "yes"', summary, workType: 'null', branch: '0x10', validation: "it's" },
    ...{ criteria: ['# no comment', 'a\r\nb', ' spaced '], prompt: 'Do it.\r\n' },
  });
  const { id, version } = created;
  expect(version).toBe(1);
  await items.rescan();
  expect(await items.show(owner, id)).toMatchObject({ version: 1, summary: reads, title: 'true: "yes"' });
});

describe('with an Idempotency-Key', () => {
  const NEW = { title: 'T', summary: 'S', workType: 'w', criteria: ['c'], prompt: 'p' };
  const count = async ({ items, owner }: ItemsFixture) => (await items.list(owner, {})).items.length;

  it('makes one item, and answers alike, however often it is sent', async () => {
    const home = await startItems({});
    const { items, owner } = home;
    const idempotencyKey = 'K1';
    const [first, ...others] = await Promise.all(
      Array.from({ length: 20 }, () => items.create(owner, NEW, { idempotencyKey })),
    );
    expect(first?.replayed).toBe(false);
    for (const other of others) expect(other).toEqual({ item: first?.item, replayed: true });
    await items.act(owner, first?.item.id ?? '', 'mark-ready');
    expect(await items.create(owner, NEW, { idempotencyKey })).toEqual({ item: first?.item, replayed: true });
    expect(await count(home)).toBe(1);
    await home.close();
  });

  it('refuses the key with another body; keys of another caller and of actions are others', async () => {
    const home = await startItems({});
    const { items, owner } = home;
    const idempotencyKey = 'K1';
    const { item } = await items.create(owner, NEW, { idempotencyKey });
    await expect(items.create(owner, { ...NEW, title: 'U' }, { idempotencyKey })).rejects.toMatchObject({
      code: 'idempotency-key-reused',
    });
    expect((await items.act(owner, item.id, 'mark-ready', { idempotencyKey })).replayed).toBe(false);
    const planner = await home.member('Pia', 'planner');
    expect((await items.create(planner, NEW, { idempotencyKey })).replayed).toBe(false);
    expect(await count(home)).toBe(2);
    await home.close();
  });

  it('makes the item after all where what was sent first was refused', async () => {
    const home = await startItems({});
    const { items, owner } = home;
    const idempotencyKey = 'K1';
    const wrong = { ...NEW, blockedBy: ['wi-NONE-1'] };
    await expect(items.create(owner, wrong, { idempotencyKey })).rejects.toMatchObject({ code: 'bad-input' });
    expect((await items.create(owner, NEW, { idempotencyKey })).replayed).toBe(false);
    await home.close();
  });

  it('is required of agent tokens', async () => {
    const home = await startItems({});
    const { items, owner, principal } = home;
    const agent = principal('t-1', 'desk', ['planner', 'agent'], 'token', owner.personId);
    await expect(items.create(agent, NEW)).rejects.toMatchObject({ code: 'idempotency-key-missing' });
    expect((await items.create(agent, NEW, { idempotencyKey: 'K1' })).replayed).toBe(false);
    expect(await count(home)).toBe(1);
    await home.close();
  });
});

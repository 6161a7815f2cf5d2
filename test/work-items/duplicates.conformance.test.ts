import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { queueFiles, record, startItems, type ItemsFixture } from './service.fixture.ts';

let open: ItemsFixture[] = [];
afterEach(async () => {
  for (const fixture of open) await fixture.close();
  open = [];
});

async function start(lanes: Record<string, string[]>, policy = 'gatePack: strict\n') {
  const fixture = await startItems({ ...queueFiles(lanes), 'policy.yaml': policy });
  open.push(fixture);
  const put = (lane: string) => {
    const path = join(fixture.queueDir, `${lane}/wi-A-1.md`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, record('wi-A-1', lane).replace('Title of', 'Stray').replace('First', 'Another'));
  };
  return { ...fixture, put };
}

describe('a second file of an item', () => {
  it.each(['backlog', 'done'])('in %s takes nothing over', async (lane) => {
    const { items, owner, put, queueDir } = await start({ ready: ['wi-A-1'] });
    put(lane);
    await items.rescan();
    const item = await items.show(owner, 'wi-A-1');
    expect([item.title, item.source, item.version]).toEqual(['Title of wi-A-1', 'ready', 1]);
    expect(item.queueTruth.drift).toMatchObject([
      { code: 'duplicate-id', left: { value: 'ready/wi-A-1.md' }, right: { value: `${lane}/wi-A-1.md` } },
    ]);
    expect(item.problems).toMatchObject([{ file: `${lane}/wi-A-1.md`, code: 'duplicate-id' }]);
    const { result } = await items.act(owner, 'wi-A-1', 'reconcile');
    expect(result.effects.map(({ text }) => text)).toEqual([
      'duplicate-id stays open: Remove or rename the further files that claim this id.',
    ]);
    await items.settle();
    expect((await items.show(owner, 'wi-A-1')).queueTruth.drift).toHaveLength(1);
    expect(existsSync(join(queueDir, `${lane}/wi-A-1.md`))).toBe(true);
  });

  it('in the lane that the item moves to stops the record, not the item, and is no record of it', async () => {
    const { items, owner, put, queueDir } = await start({ backlog: ['wi-A-1'] }, 'gatePack: baseline\n');
    put('ready');
    await items.rescan();
    const { result } = await items.act(owner, 'wi-A-1', 'mark-ready');
    expect(result.effects.map(({ text }) => text)).toContain(
      'The record moves from backlog/wi-A-1.md to ready/wi-A-1.md with status ready. That waits until ready/wi-A-1.md, which exists already with another text, is removed.',
    );
    await items.settle();
    await items.rescan();
    const item = await items.show(owner, 'wi-A-1');
    expect([item.title, item.lane, item.source]).toEqual(['Title of wi-A-1', 'ready', 'backlog']);
    expect(item.problems.map(({ code }) => code).sort()).toEqual(['duplicate-id', 'queue-write-failed']);
    rmSync(join(queueDir, 'ready/wi-A-1.md'));
    await items.settle();
    const moved = await items.show(owner, 'wi-A-1');
    expect([moved.title, moved.source, moved.problems]).toEqual(['Title of wi-A-1', 'ready', []]);
    expect(readFileSync(join(queueDir, 'ready/wi-A-1.md'), 'utf8')).toBe(record('wi-A-1', 'ready'));
  });

  it('counts where the item has none at home', async () => {
    const { items, owner, put, queueDir } = await start({ ready: ['wi-A-1'] });
    put('done');
    rmSync(join(queueDir, 'ready/wi-A-1.md'));
    await items.rescan();
    expect((await items.show(owner, 'wi-A-1')).title).toBe('Stray wi-A-1');
  });
});

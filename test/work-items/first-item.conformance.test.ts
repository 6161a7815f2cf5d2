import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { queueFiles, startItems, type ItemsFixture } from './service.fixture.ts';

let open: ItemsFixture[] = [];
afterEach(async () => {
  for (const fixture of open) await fixture.close();
  open = [];
});

async function start(...args: Parameters<typeof startItems>): Promise<ItemsFixture> {
  const fixture = await startItems(...args);
  open.push(fixture);
  return fixture;
}

const INPUT = { title: 'First', summary: 'S.', workType: 'docs', criteria: ['One.'], prompt: 'Do it.' };

describe('the first item', () => {
  it.each([
    ['without a folder', () => undefined],
    ['with an empty folder', (dir: string) => void mkdirSync(dir, { recursive: true })],
  ])('makes the folder %s', async (_, prepare) => {
    const { items, owner, queueDir } = await start({});
    prepare(queueDir);
    await items.create(owner, INPUT);
    await items.settle();
    await items.rescan();
    const id = (await items.list(owner, {})).items[0]?.id ?? '';
    expect(readFileSync(join(queueDir, `backlog/${id}.md`), 'utf8')).toContain('title: First');
    expect(readFileSync(join(queueDir, `prompts/${id}.prompt.md`), 'utf8')).toBe('Do it.\n');
    expect(existsSync(join(queueDir, 'policy.yaml'))).toBe(true);
    expect((await items.list(owner, {})).items).toHaveLength(1);
    const item = await items.show(owner, id);
    expect([item.queueTruth.freshness.verdict, item.queueTruth.drift, item.problems]).toEqual([
      'Fresh',
      [],
      [],
    ]);
  });

  it.each([
    ['gone', (dir: string) => renameSync(dir, `${dir}.gone`)],
    ['empty', (dir: string) => (rmSync(dir, { recursive: true }), mkdirSync(dir))],
  ])('is refused beforehand where a folder that was known is %s', async (_, remove) => {
    const { items, owner, queueDir, storage } = await start({ 'policy.yaml': 'gatePack: strict\n' });
    remove(queueDir);
    const refused: unknown = await items.create(owner, INPUT).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'queue-missing', hint: expect.stringContaining('back') as string });
    expect(await storage.read.query((db) => db.selectFrom('work_items').select('id'))).toEqual([]);
    expect(existsSync(join(queueDir, 'policy.yaml'))).toBe(false);
  });
});

describe('an item whose files were never there', () => {
  it('has no age, and its waiting write says what is missing', async () => {
    const { items, owner, queueDir } = await start(queueFiles({ backlog: ['wi-A-1'] }));
    renameSync(queueDir, `${queueDir}.gone`);
    await items.act(owner, 'wi-A-1', 'mark-ready');
    await items.settle();
    const item = await items.show(owner, 'wi-A-1');
    expect(item.problems.find(({ code }) => code === 'queue-write-failed')?.message).toBe(
      'The work-items folder does not exist.',
    );
    expect(item.queueTruth.freshness.verdict).toBe('Unknown');
    renameSync(`${queueDir}.gone`, queueDir);
    await items.settle();
    expect((await items.show(owner, 'wi-A-1')).source).toBe('ready');
  });
});

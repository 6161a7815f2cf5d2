import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { rawSql } from '../storage/engine.ts';
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

const POLICY_READ_MS = 1100;
const later = () => new Promise((resolve) => setTimeout(resolve, POLICY_READ_MS));
const strict = (lanes: Record<string, string[]>) => ({
  ...queueFiles(lanes),
  'policy.yaml': 'gatePack: strict\n',
});
const gatesOf = async ({ items, owner }: ItemsFixture, id: string, identity: string) => {
  const { actions } = await items.actions(owner, id, { all: true });
  return actions.find((action) => action.identity === identity)?.gates ?? [];
};
const truthFresh = async (fixture: ItemsFixture) =>
  (await gatesOf(fixture, 'wi-A-1', 'start-execution')).find(({ gate }) => gate === 'truth-fresh');

describe('a queue folder that is gone', () => {
  it.each([
    ['is moved away', (dir: string) => renameSync(dir, `${dir}.gone`)],
    [
      'is emptied, as a volume that is not mounted is',
      (dir: string) => (rmSync(dir, { recursive: true }), mkdirSync(dir)),
    ],
  ])('keeps the policy and blocks as unknown when it %s', async (_, remove) => {
    const fixture = await start(strict({ ready: ['wi-A-1'] }));
    expect(await truthFresh(fixture)).toMatchObject({ verdict: 'pass' });
    remove(fixture.queueDir);
    fixture.clock.advance(20_000);
    await later();
    expect(fixture.policy.current().gatePack).toBe('strict');
    const gate = await truthFresh(fixture);
    expect(gate).toMatchObject({ verdict: 'unknown', code: 'source-unreadable' });
    expect(gate?.reason).toMatch(/^The work-items folder .* Queue was last read 20s ago/);
    expect(gate?.recovery?.nextStep).toContain('Bring the work-items folder back');
    const { items, owner } = fixture;
    const refused = items.act(owner, 'wi-A-1', 'start-execution');
    await expect(refused).rejects.toMatchObject({ code: 'action-blocked' });
    expect(items.queueHealth()).toMatchObject({ known: true, absence: { file: '.' } });
    const [listed] = (await items.list(owner, {})).items;
    expect(listed).toMatchObject({ freshness: { verdict: 'Unknown' }, drift: [] });
    expect((await items.board(owner)).freshness.verdict).toBe('Unknown');
  });

  it('keeps the policy across a restart', async () => {
    const first = await start(strict({ ready: ['wi-A-1'] }));
    await first.items.stop();
    renameSync(first.queueDir, `${first.queueDir}.gone`);
    const { dir, databaseUrl } = first;
    const second = await start({}, { dir, databaseUrl });
    expect(second.policy.current().gatePack).toBe('strict');
    expect(await truthFresh(second)).toMatchObject({ verdict: 'unknown' });
    renameSync(`${first.queueDir}.gone`, first.queueDir);
    await second.items.rescan();
    await later();
    expect(await truthFresh(second)).toMatchObject({ verdict: 'pass' });
  });

  it('keeps the last good policy across a restart with a broken file, too', async () => {
    const first = await start(strict({ ready: ['wi-A-1'] }));
    await first.items.stop();
    writeFileSync(join(first.queueDir, 'policy.yaml'), 'gatePack: [bad\n');
    const second = await start({}, { dir: first.dir, databaseUrl: first.databaseUrl });
    expect(second.policy.current().gatePack).toBe('strict');
    expect(second.policy.problems()).toHaveLength(1);
    const [problem] = (await second.items.board(second.owner)).problems;
    expect(problem).toMatchObject({ file: 'policy.yaml', line: expect.any(Number) as number });
    expect(second.items.queueHealth()).toMatchObject({ problems: 1, policy: { file: 'policy.yaml' } });
  });

  it('takes an absent policy of a folder that is there for the defaults', async () => {
    const fixture = await start(strict({ ready: ['wi-A-1'] }));
    rmSync(join(fixture.queueDir, 'policy.yaml'));
    await later();
    expect(fixture.policy.current().gatePack).toBe('baseline');
  });

  it('counts as strict where items are known and no policy is remembered', async () => {
    const first = await start(strict({ ready: ['wi-A-1'] }));
    await first.items.stop();
    await rawSql(first.databaseUrl, "delete from meta where key like 'policy%'");
    renameSync(first.queueDir, `${first.queueDir}.gone`);
    const second = await start({}, { dir: first.dir, databaseUrl: first.databaseUrl });
    expect(second.policy.current().gatePack).toBe('strict');
  });

  it('is no fault of a new installation', async () => {
    const fixture = await start({});
    expect(fixture.policy.current().gatePack).toBe('baseline');
    expect(fixture.items.queueHealth().known).toBe(false);
  });
});

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { AuditLeaf } from '../../service/audit/leaf.ts';
import { initQueue } from '../../service/work-items/init.ts';
import { effectivePolicy, openPolicyMemory } from '../../service/work-items/policy-memory.ts';
import { PROJECT, queueFiles, startItems, type ItemsFixture } from './service.fixture.ts';

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

const STRICT = 'gatePack: strict\n';
const BASELINE = 'gatePack: baseline\n';
const CHANGE = `${effectivePolicy(STRICT)}..${effectivePolicy(BASELINE)}`;
const files = { ...queueFiles({ ready: ['wi-A-1'] }), 'policy.yaml': STRICT };
const later = () => new Promise((resolve) => setTimeout(resolve, 1100));

/** The objects of its entries, oldest first. */
async function changes({ audit }: ItemsFixture): Promise<string[]> {
  const { entries } = await audit.entries({ limit: 50, filters: { action: 'policy.changed' } });
  return entries.map(({ leaf }) => (JSON.parse(leaf) as AuditLeaf).object!.id).reverse();
}

/** What was noted since a policy other than the defaults was first read. */
const sinceStart = async (fixture: ItemsFixture) => (await changes(fixture)).slice(1);

describe('a change of the policy in force', () => {
  it('stands in the log once, by packs and digests', async () => {
    const fixture = await start(files);
    expect(await changes(fixture)).toEqual([`${effectivePolicy(null)}..${effectivePolicy(STRICT)}`]);
    writeFileSync(join(fixture.queueDir, 'policy.yaml'), BASELINE);
    await later();
    fixture.policy.current();
    await fixture.items.rescan();
    expect(await sinceStart(fixture)).toEqual([CHANGE]);
    await fixture.audit.integrate();
    expect((await fixture.verify()).problems).toEqual([]);
  });

  it('is noted at a start, too, and a start without one notes nothing', async () => {
    const first = await start(files);
    await first.items.stop();
    const { dir, databaseUrl } = first;
    const same = await start({}, { dir, databaseUrl });
    expect(await sinceStart(same)).toEqual([]);
    await same.items.stop();
    rmSync(first.queueDir, { recursive: true });
    mkdirSync(first.queueDir);
    initQueue(first.queueDir, { example: false });
    expect(await sinceStart(await start({}, { dir, databaseUrl }))).toEqual([CHANGE]);
  });

  it('is no change where the file says the same in other words, or stops to be a policy', async () => {
    const fixture = await start(files);
    for (const text of ['# The same.\ngatePack: "strict"\n', 'gatePack: nobody-knows\n']) {
      writeFileSync(join(fixture.queueDir, 'policy.yaml'), text);
      await later();
      fixture.policy.current();
      await fixture.items.rescan();
    }
    expect(await sinceStart(fixture)).toEqual([]);
  });

  it('is noted once by two processes that both see it', async () => {
    const fixture = await start(files);
    const { storage, audit, clock } = fixture;
    const memories = [1, 2].map(() => openPolicyMemory(storage, audit, PROJECT, clock));
    await Promise.all((await Promise.all(memories)).map((memory) => memory.keep(BASELINE)));
    expect(await sinceStart(fixture)).toEqual([CHANGE]);
  });
});

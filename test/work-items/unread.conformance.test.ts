import nodeFs from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { QueueFs } from '../../service/work-items/queue-files.ts';
import { queueFiles, startItems, type ItemsFixture } from './service.fixture.ts';

let open: ItemsFixture[] = [];
afterEach(async () => {
  for (const fixture of open) await fixture.close();
  open = [];
});

/** A strict project with folders that this user may lose the right to read; `.` is the whole. */
async function start(lanes: Record<string, string[]>) {
  const denied = new Set<string>();
  const state = { dir: '' };
  const guarded = new Set(['lstatSync', 'openSync', 'readdirSync', 'watch']);
  const fs = new Proxy<QueueFs>(nodeFs, {
    get: (target, name: keyof QueueFs) => {
      const real = target[name] as (...args: unknown[]) => unknown;
      if (!guarded.has(name)) return real;
      return (...args: unknown[]) => {
        const path = String(args[0]);
        for (const folder of denied) {
          const full = join(state.dir, folder);
          // Of a folder without rights only itself can be looked at.
          const inside = path.startsWith(`${full}/`) || (path === full && name !== 'lstatSync');
          if (inside) throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
        }
        return Reflect.apply<unknown, unknown[], unknown>(real, target, args);
      };
    },
  });
  const files = { ...queueFiles(lanes), 'policy.yaml': 'gatePack: strict\n' };
  const fixture = await startItems(files, { fs });
  state.dir = fixture.queueDir;
  open.push(fixture);
  return { ...fixture, denied };
}

const blockersOf = async ({ items, owner }: ItemsFixture, id: string) => {
  const refused: unknown = await items.act(owner, id, 'start-execution').catch((error: unknown) => error);
  const { details } = refused as { details?: { blockers: { gate: string; verdict: string }[] } };
  return (details?.blockers ?? []).map(({ gate, verdict }) => `${gate} ${verdict}`);
};

describe('files that cannot be read', () => {
  it.each([['ready'], ['.']])('of %s are unknown with their age, and block', async (folder) => {
    const fixture = await start({ ready: ['wi-A-1'], backlog: ['wi-B-1'] });
    const { items, owner, denied, clock } = fixture;
    denied.add(folder);
    clock.advance(20_000);
    await items.rescan();
    clock.advance(20_000);
    const item = await items.show(owner, 'wi-A-1');
    expect(item.queueTruth.freshness).toEqual({ verdict: 'Unknown', ageSeconds: 40 });
    expect(item.queueTruth.drift).toEqual([]);
    expect(item.guidance[0]).toMatch(
      /cannot be read; what is shown was read before\. .*EACCES.*Give the service/,
    );
    expect([item.title, item.source]).toEqual(['Title of wi-A-1', 'ready']);
    expect(await blockersOf(fixture, 'wi-A-1')).toEqual(['truth-fresh unknown', 'drift-free unknown']);
    const { result } = await items.act(owner, 'wi-A-1', 'refresh-truth');
    const kept = folder === '.' ? ', prompt' : '';
    expect(result.effects[0]?.text).toMatch(new RegExp(`^Could not be read: queue${kept}\\. .*EACCES`));
    const [listed] = (await items.list(owner, { lane: 'ready' })).items;
    expect(listed?.freshness.verdict).toBe('Unknown');
    expect(items.queueHealth().absence?.code ?? items.queueHealth().unreadable[0]).toMatch(
      /ready|queue-unreadable/,
    );

    denied.clear();
    await items.rescan();
    const again = await items.show(owner, 'wi-A-1');
    expect([again.queueTruth.freshness.verdict, again.queueTruth.drift, again.problems]).toEqual([
      'Fresh',
      [],
      [],
    ]);
    expect(await blockersOf(fixture, 'wi-A-1')).toEqual([]);
  });

  it('in one collection matter to no item of another', async () => {
    const { items, owner, denied } = await start({ ready: ['wi-A-1'], backlog: ['wi-B-1'] });
    denied.add('ready');
    await items.rescan();
    const item = await items.show(owner, 'wi-B-1');
    expect([item.queueTruth.freshness.verdict, item.problems]).toEqual(['Fresh', []]);
    await items.act(owner, 'wi-B-1', 'cancel');
  });

  it('are not missing prompts', async () => {
    const fixture = await start({ ready: ['wi-A-1'] });
    const { items, owner, denied } = fixture;
    denied.add('prompts');
    await items.rescan();
    const item = await items.show(owner, 'wi-A-1');
    expect(item.queueTruth.drift).toEqual([]);
    expect(item.queueTruth.notComputed).toContainEqual({
      code: 'prompt-missing',
      reason: 'prompt cannot be read',
    });
    expect(item.prompt).toMatchObject({ excerpt: 'Prompt of wi-A-1.\n', missing: false });
    expect(item.guidance.join(' ')).toMatch(/The prompt of wi-A-1 cannot be read/);
    expect(item.queueTruth.sources[0]).toMatchObject({ source: 'queue', verdict: 'Fresh' });
    expect(await blockersOf(fixture, 'wi-A-1')).toEqual(['truth-fresh unknown']);
  });
});

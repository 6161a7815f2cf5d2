import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { p95 } from '../../../scripts/lib/deploy/rules/gates.ts';
import { deployApart, load, QUICK, sceneOf } from './scene.ts';
import type { Scene } from './scene.ts';
import { hostFolder, standIn } from './stand-in.ts';
import type { Manner } from './stand-in.ts';

/** Deploys of small releases on a host of plain processes: real files, links, sockets and processes. */

let scene: Scene;
beforeEach(() => {
  scene = sceneOf(hostFolder());
});
afterEach(() => scene.close());

const stepsOf = (record: { steps: { name: string; status: string }[] }) =>
  record.steps.map(({ name }) => name);

it('puts the first release in place, tells each step, and remembers it', async () => {
  const { manifest, archive } = await standIn('1.0.0');
  const { record, lines } = await scene.deploy(archive);
  expect(record).toMatchObject({
    kind: 'deploy',
    environment: 'staging',
    release: manifest.release,
    from: null,
    outcome: 'ok',
  });
  expect(stepsOf(record)).toEqual([
    ...['preflight', 'upload', 'unpack', 'migrate', 'start', 'gates', 'switch', 'watch', 'drain', 'keep'],
  ]);
  expect(lines).toHaveLength(10);
  for (const [index, line] of lines.entries())
    expect(line).toMatch(new RegExp(`^  ${stepsOf(record)[index]} +\\d+\\.\\d s  \\S`));
  expect(await scene.host.facts()).toMatchObject({
    ...{ live: manifest.release, previous: null, deployer: manifest.release, running: [manifest.release] },
  });
  expect(scene.history()).toEqual([record]);
  expect(scene.lock()).toMatchObject({ owner: null, token: 1 });
});

it('sends what changed, keeps the way back, and a release that is live already is left alone', async () => {
  const [one, two] = [await standIn('1.0.0'), await standIn('1.1.0', 'turns-bad')];
  await scene.deploy(one.archive);
  const { lines } = await scene.deploy(two.archive);
  expect(lines.find((line) => line.includes('upload'))).toContain('1 of 3 files');
  expect(await scene.host.facts()).toMatchObject({
    live: two.manifest.release,
    previous: one.manifest.release,
  });
  expect((await scene.host.facts()).running).toEqual([two.manifest.release]);
  const again = await scene.deploy(two.archive);
  expect([again.record.outcome, stepsOf(again.record)]).toEqual(['unchanged', ['preflight']]);
  const { record } = await scene.rollback();
  expect(record).toMatchObject({
    kind: 'rollback',
    release: one.manifest.release,
    from: two.manifest.release,
    outcome: 'ok',
  });
  expect(await scene.host.facts()).toMatchObject({
    live: one.manifest.release,
    previous: two.manifest.release,
  });
  await expect(scene.rollback('9.9.9-000000000000')).rejects.toMatchObject({ code: 'release-unknown' });
});

it('loses no request in twenty deploys', async () => {
  const releases = await Promise.all(Array.from({ length: 21 }, (_, n) => standIn(`1.${n}.0`)));
  const [first, ...others] = releases;
  if (first === undefined) throw new Error('no release');
  const limits = { ...QUICK, watch: { ...QUICK.watch, ms: 200 } };
  await scene.deploy(first.archive, { limits });
  const running = await load(scene.layout.live, 20);
  try {
    // In a process of its own: what it does at once would otherwise happen between two requests.
    for (const { archive } of others) expect(await deployApart(scene.layout, archive)).toEqual([0, null]);
  } finally {
    await running.stop();
  }
  expect([running.failed, running.retried()]).toEqual([[], 0]);
  expect(running.from.size).toBe(21);
  const worst = Math.max(...running.times);
  process.stderr.write(
    `20 deploys: ${running.times.length} requests, none failed, p95 ${p95(running.times).toFixed(0)} ms, worst ${worst.toFixed(0)} ms\n`,
  );
  expect(readdirSync(scene.layout.releases).filter((name) => !name.endsWith('.env'))).toHaveLength(5);
}, 180_000);

describe('a bad release never gets a request:', () => {
  const code: Record<string, string> = {
    ...{ crash: 'slot-failed', hang: 'slot-failed', 'wrong-version': 'slot-failed', '500': 'gate-failed' },
    ...{ slow: 'gate-failed', 'migration-fails': 'release-failed', 'disk-full': 'slot-failed' },
  };
  async function refused(
    manner: Manner,
    expected: string,
    before?: (release: string) => Promise<() => void>,
  ) {
    const good = await standIn('1.0.0');
    const bad = await standIn('2.0.0', manner, { schema: manner === 'migration-fails' ? 6 : 5 });
    await scene.deploy(good.archive);
    const undo = await before?.(bad.manifest.release);
    const limits = { ...QUICK, gates: { ...QUICK.gates, startMs: 3_000, replyMs: 1_500 } };
    const running = await load(scene.layout.live, 4);
    try {
      await expect(scene.deploy(bad.archive, { limits })).rejects.toMatchObject({ code: expected });
    } finally {
      await running.stop();
      undo?.();
    }
    expect([running.failed, [...running.from.keys()]]).toEqual([[], [good.manifest.release]]);
    expect(await scene.host.facts()).toMatchObject({
      live: good.manifest.release,
      running: [good.manifest.release],
    });
    expect(scene.history()[0]).toMatchObject({ outcome: 'failed', release: bad.manifest.release });
    expect(scene.lock().owner).toBeNull();
    // What was mended comes through.
    const mended = await standIn('2.0.1');
    expect((await scene.deploy(mended.archive)).record.outcome).toBe('ok');
  }

  it.each(Object.entries(code))('%s', (manner, expected) => refused(manner as Manner, expected));

  it('its socket is taken by another', async () => {
    await refused('good', 'slot-failed', async (release) => {
      const stranger = createServer((_, response) => response.end('{"status":"ok","release":"a stranger"}'));
      await new Promise<void>((resolve) => stranger.listen(scene.layout.socket(release), resolve));
      return () => stranger.close();
    });
  });

  it('there is no room for it', async () => {
    const good = await standIn('1.0.0');
    await scene.deploy(good.archive);
    const limits = { ...QUICK, reserveBytes: Number.MAX_SAFE_INTEGER };
    const deploying = scene.deploy((await standIn('2.0.0', 'turns-bad')).archive, { limits });
    await expect(deploying).rejects.toMatchObject({
      code: 'disk-full',
      hint: expect.stringContaining('Make room'),
    });
    expect(await scene.live()).toBe(good.manifest.release);
    // It fills up meanwhile.
    const full = async (): Promise<never> => {
      throw Object.assign(new Error('ENOSPC: no space left on device, mkdir'), { code: 'ENOSPC' });
    };
    const next = await standIn('2.0.0', 'turns-bad');
    for (const host of [
      { ...scene.host, unpack: full },
      { ...scene.host, switchTo: full },
    ])
      await expect(scene.deploy(next.archive, { host })).rejects.toMatchObject({ code: 'disk-full' });
    expect(await scene.host.facts()).toMatchObject({
      live: good.manifest.release,
      running: [good.manifest.release],
    });
    expect(scene.lock().owner).toBeNull();
    expect((await scene.deploy(next.archive)).record.outcome).toBe('ok');
  });
});

describe('after the switch', () => {
  it.each<Manner>(['turns-bad', 'turns-slow'])(
    'a release that %s is rolled back within 2 s',
    async (manner) => {
      const [good, bad] = [await standIn('1.0.0'), await standIn('2.0.0', manner)];
      await scene.deploy(good.archive);
      const limits = { ...QUICK, watch: { ...QUICK.watch, ms: 20_000, p95Ms: 300 } };
      let switched = 0;
      let early: unknown;
      let turned = 0;
      const deploying = scene.deploy(bad.archive, {
        limits,
        say(line) {
          if (!line.startsWith('  switch')) return;
          switched = performance.now();
          setTimeout(() => {
            turned = performance.now();
            writeFileSync(join(scene.layout.data, 'bad'), '');
          }, 300);
        },
      });
      deploying.catch((error: unknown) => (early = error));
      await expect.poll(() => early ?? switched).toBeGreaterThan(0);
      await expect.poll(() => scene.live(), { interval: 10, timeout: 20_000 }).toBe(good.manifest.release);
      const took = performance.now() - turned;
      await expect(deploying).rejects.toMatchObject({ code: 'deploy-rolled-back' });
      process.stderr.write(`${manner}: rolled back ${Math.round(took)} ms after it turned\n`);
      expect(took).toBeLessThan(2_000);
      expect(scene.history()[0]).toMatchObject({
        outcome: 'rolled-back',
        reason: expect.stringContaining('is live again'),
      });
      expect(await scene.host.facts()).toMatchObject({ running: [good.manifest.release], previous: null });
    },
  );

  it('says why there is no way back where the database cannot be read any more', async () => {
    const old = await standIn('1.0.0', 'good', { schema: 5 });
    const next = await standIn('2.0.0', 'good', { schema: 6, minReader: 6 });
    await scene.deploy(old.archive);
    await expect(scene.deploy(next.archive)).rejects.toMatchObject({
      code: 'no-way-back',
      message: expect.stringContaining('not backward compatible'),
    });
    expect(existsSync(scene.layout.snapshots)).toBe(false);
    expect((await scene.deploy(next.archive, { noWayBack: 'thought over' })).record.outcome).toBe('ok');
    expect(readdirSync(scene.layout.snapshots)).toEqual([`${next.manifest.release}.db`]);
    await expect(scene.rollback()).rejects.toMatchObject({
      code: 'schema-too-new',
      message: expect.stringContaining('only be read from schema 6 on'),
    });
    expect(await scene.live()).toBe(next.manifest.release);
  });

  it('copies the database before an expand migration, and goes back without touching it', async () => {
    const [old, next] = [await standIn('1.0.0'), await standIn('2.0.0', 'good', { schema: 6 })];
    await scene.deploy(old.archive);
    const before = readFileSync(join(scene.layout.data, 'factory.db'), 'utf8');
    await scene.deploy(next.archive);
    expect(readFileSync(join(scene.layout.snapshots, `${next.manifest.release}.db`), 'utf8')).toBe(before);
    expect((await scene.rollback()).record.outcome).toBe('ok');
    expect(await scene.live()).toBe(old.manifest.release);
  });
});

describe('the lock', () => {
  it('stops a second deployer with the name of the first', async () => {
    const [one, two] = [await standIn('1.0.0'), await standIn('2.0.0')];
    const first = scene.deploy(one.archive, { by: 'ann@laptop' });
    await expect.poll(() => existsSync(scene.layout.lock) && scene.lock().owner).toBe('ann@laptop');
    await expect(scene.deploy(two.archive, { by: 'ben@laptop' })).rejects.toMatchObject({
      code: 'deploy-running',
      message: expect.stringContaining(`ann@laptop deploys ${one.manifest.release} since 2`),
    });
    await first;
    expect(await scene.live()).toBe(one.manifest.release);
  });

  it('is taken with a reason, and who lost it switches nothing', async () => {
    const [one, two] = [await standIn('1.0.0'), await standIn('2.0.0')];
    const gated = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const host = {
      ...scene.host,
      async switchTo(...args: Parameters<typeof scene.host.switchTo>) {
        gated.resolve();
        await held.promise;
        await scene.host.switchTo(...args);
      },
    };
    const first = scene.deploy(one.archive, { host });
    first.catch(() => undefined);
    await gated.promise;
    const { lines } = await scene.deploy(two.archive, { by: 'ben', steal: 'it hangs' });
    expect(lines[0]).toBe('The lock was taken from a test: it hangs.');
    held.resolve();
    await expect(first).rejects.toMatchObject({ code: 'lock-lost' });
    expect(await scene.live()).toBe(two.manifest.release);
    expect(scene.lock()).toMatchObject({ owner: null, token: 2 });
  });
});

it('keeps environments of one host apart', async () => {
  const production = sceneOf(hostFolder('production', scene.layout.base.replace(/\/srv\/.*/, '')));
  const { archive, manifest } = await standIn('1.0.0');
  await scene.deploy(archive);
  expect([await production.live(), existsSync(production.layout.lock)]).toEqual([null, false]);
  // A configuration that says to be another one.
  writeFileSync(join(scene.layout.configuration, 'environment'), 'FACTORY_ENV=production\n');
  await expect(scene.deploy((await standIn('2.0.0')).archive)).rejects.toMatchObject({
    code: 'environment-mixed',
  });
  expect(await scene.live()).toBe(manifest.release);
  rmSync(join(scene.layout.configuration, 'environment'));
  await expect(scene.deploy(archive)).rejects.toMatchObject({ code: 'environment-missing' });
});

it('brings again what was damaged on the host, and takes nothing of a damaged archive', async () => {
  const { archive, manifest } = await standIn('1.0.0');
  await scene.deploy(archive);
  const next = await standIn('2.0.0', 'turns-bad');
  const bytes = readFileSync(next.archive);
  writeFileSync(`${next.archive}.cut`, bytes.subarray(0, bytes.length - 30));
  await expect(scene.deploy(`${next.archive}.cut`)).rejects.toMatchObject({ code: 'archive-damaged' });
  // A file of the store that the disk lost.
  const [launcher] = manifest.files.filter(({ path }) => path === 'package.json');
  const place = join(scene.layout.store, launcher?.sha256.slice(0, 2) ?? '', launcher?.sha256 ?? '');
  expect(statSync(place).nlink).toBe(2);
  rmSync(place);
  writeFileSync(place, 'rotten');
  await expect(scene.deploy(next.archive)).rejects.toMatchObject({ code: 'files-missing', retryable: true });
  expect((await scene.deploy(next.archive)).record.outcome).toBe('ok');
});

it('mends links of a switch that was cut off in its middle', async () => {
  const [one, two] = [await standIn('1.0.0'), await standIn('2.0.0')];
  await scene.deploy(one.archive);
  await scene.deploy(two.archive);
  rmSync(scene.layout.current);
  symlinkSync(`releases/${one.manifest.release}`, scene.layout.current);
  rmSync(scene.layout.history);
  // And an unpacking that was.
  rmSync(scene.layout.variables(two.manifest.release));
  mkdirSync(`${scene.layout.release(two.manifest.release)}.partial/scripts`, { recursive: true });
  await scene.deploy(two.archive);
  expect(readFileSync(join(scene.layout.current, 'release.json'), 'utf8')).toContain(two.manifest.release);
  expect(await scene.host.facts()).toMatchObject({
    live: two.manifest.release,
    previous: one.manifest.release,
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { deployApart, load, sceneOf } from './scene.ts';
import type { Scene } from './scene.ts';
import { hostFolder, standIn } from './stand-in.ts';

/** Whoever deploys is killed at each call to the host; the same deploy again goes on, and no request is lost. */

let scene: Scene;
beforeEach(() => {
  scene = sceneOf(hostFolder());
});
afterEach(() => scene.close());

const calls = [
  ...['claim', 'record', 'unpack', 'database', 'migrate', 'start', 'ask', 'switchTo', 'stop', 'moveDeployer'],
  ...['remove', 'release'],
].flatMap((call) => [[call, 'before'] as const, [call, 'after'] as const]);

it.each(calls)('killed at %s, %s it', async (call, when) => {
  const [old, next] = [await standIn('1.0.0'), await standIn('2.0.0', 'good', { schema: 6 })];
  await scene.deploy(old.archive);
  const running = await load(scene.layout.live, 2);
  try {
    expect(await deployApart(scene.layout, next.archive, [call, when])).toEqual([null, 'SIGKILL']);
    await scene.deploy(next.archive);
  } finally {
    await running.stop();
  }
  expect(running.failed).toEqual([]);
  expect(await scene.host.facts()).toMatchObject({
    ...{ live: next.manifest.release, previous: old.manifest.release, deployer: next.manifest.release },
    running: [next.manifest.release],
  });
  expect(readFileSync(join(scene.layout.current, 'release.json'), 'utf8')).toContain(next.manifest.release);
  expect(readFileSync(join(scene.layout.data, 'factory.db'), 'utf8')).toBe('{"schema":6,"minReader":1}');
  expect(scene.lock().owner).toBeNull();
});

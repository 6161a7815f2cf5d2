import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { askForFence, watchForFence } from '../../scripts/lib/epoch/fence-watch.ts';
import { readConfig } from '../../scripts/lib/settings.ts';
import { readFence } from '../../service/epoch.ts';
import { startS3 } from '../helpers/s3-double.ts';
import { backup, CONFIRM, invite, json, place } from './people-backups.ts';

/** Asking the destinations whether another machine took over. */

it('a destination that does not answer holds up no start, and is asked again until it does', async () => {
  const server = await startS3({ provider: 'b2' });
  onTestFinished(() => server.close());
  const dead = `s3://backups/x?endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`;
  const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
  server.fault = () => ({ kind: 'delay', ms: 5000 });
  const shared = place();
  const bucket = join(shared.dir, 'bucket');
  const url = pathToFileURL(bucket).href;
  const old = place({ FACTORY_BACKUP_DESTINATIONS: url });
  await invite(old, 'A');
  await backup(old);
  const next = place({ FACTORY_BACKUP_DESTINATIONS: url });
  mkdirSync(next.data, { recursive: true });
  cpSync(join(old.data, 'keyring'), join(next.data, 'keyring'), { recursive: true });
  expect((await json(next, 'restore', '--in-place', '--confirm', CONFIRM)).exit).toBe(0);

  const env = { ...old.env, ...keys };
  const config = readConfig({ cwd: old.dir, env });
  const both = readConfig({
    cwd: old.dir,
    env: { ...env, FACTORY_BACKUP_DESTINATIONS: `${url} ${dead}` },
  });
  // The good one is away at the start.
  renameSync(bucket, `${bucket}.away`);
  mkdirSync(bucket);
  const started = performance.now();
  const unanswered = await askForFence(both, env, { waitMs: 300 });
  expect(performance.now() - started).toBeLessThan(1500);
  expect([...unanswered]).toEqual([dead]);
  expect(readFence(config)).toBeNull();
  rmSync(bucket, { recursive: true });
  renameSync(`${bucket}.away`, bucket);
  const unwatch = watchForFence(config, env, new Set([url]), 20);
  onTestFinished(unwatch);
  for (let n = 0; n < 200 && readFence(config) === null; n += 1) await sleep(20);
  expect(readFence(config)).toMatchObject({ epoch: 1, url });
});

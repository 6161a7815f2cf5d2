import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { isOnSameDisk, onSameDisk } from '../service/same-disk.ts';
import { emptyFolder } from './scripts/cli.ts';

/** Which folders a lost disk would take with the database. */

const folder = (path: string) => ({
  kind: 'folder' as const,
  url: pathToFileURL(path).href,
  path,
  giveUpMs: 60_000,
});
const of = (path: string) => ({ databaseUrl: `sqlite:${path}/data/factory.db`, dataDir: `${path}/data` });

it('a folder on the disk of the database is told from others', async () => {
  const path = emptyFolder();
  expect(await isOnSameDisk(folder(`${path}/not/yet/there`), of(path))).toBe(true);
  expect(await isOnSameDisk(folder('/proc'), of(path))).toBe(false);
});

it('a folder that gives no answer is waited for a moment, asked once while it hangs, and keeps no other one from its answer', async () => {
  const path = emptyFolder();
  const [dead, near] = [folder(`${path}/dead`), folder(`${path}/near`)];
  const { promise, resolve } = Promise.withResolvers<number>();
  let asked = 0;
  const device = (at: string): Promise<number> => {
    if (at !== dead.path) return Promise.resolve(1);
    asked += 1;
    return promise;
  };
  const ask = () => onSameDisk([dead, near], of(path), { device, ms: 50 });
  const started = performance.now();
  expect([...(await ask())]).toEqual([near.url]);
  expect([...(await ask())]).toEqual([near.url]);
  expect(performance.now() - started).toBeLessThan(5_000);
  expect(asked).toBe(1);
  resolve(1);
  await new Promise((done) => setImmediate(done));
  expect([...(await ask())]).toEqual([dead.url, near.url]);
});

import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { factory as inProcess } from '../scripts/cli.ts';
import { newPlace, serve } from './service.ts';

/** Links name the address of the running service, also where nobody else was told its port. */

async function running() {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  const service = await serve(place);
  onTestFinished(() => service.kill());
  // A shell beside it, which knows nothing of the port.
  const { FACTORY_PORT: _, ...env } = place.env;
  const link = async (...words: string[]): Promise<string> => {
    const ran = await inProcess(place.dir, [...words, '--json'], env);
    return new URL(ran.json<{ url: string }>().url).origin;
  };
  return { place, service, link };
}

const DEFAULT = 'http://127.0.0.1:8700';
const INVITE = ['people', 'invite', '--name', 'Ada', '--role', 'planner'];

it('a link names the port that was given to the service alone, until it stops', async () => {
  const { place, service, link } = await running();
  const url = new URL(service.url).origin;
  expect(url).not.toBe(DEFAULT);
  expect([await link('login-link'), await link(...INVITE)]).toEqual([url, url]);
  await service.stop();
  expect([await link('login-link'), existsSync(join(place.data, 'listening.json'))]).toEqual([
    DEFAULT,
    false,
  ]);
});

it('what a killed service left, or a file that makes no sense, misleads nobody', async () => {
  const { place, service, link } = await running();
  await service.kill();
  expect([await link('login-link'), existsSync(join(place.data, 'listening.json'))]).toEqual([DEFAULT, true]);
  writeFileSync(join(place.data, 'listening.json'), '{"port": "x"');
  expect(await link('login-link')).toBe(DEFAULT);
});

it('a service of another installation at that port is not taken for this one', async () => {
  const [one, other] = [await running(), await running()];
  await one.service.stop();
  const port = Number(new URL(other.service.url).port);
  writeFileSync(join(one.place.data, 'listening.json'), JSON.stringify({ host: '127.0.0.1', port }));
  expect(await one.link('login-link')).toBe(DEFAULT);
});

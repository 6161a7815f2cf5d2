import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { callerOf, newToken } from './client.ts';
import type { Caller } from './client.ts';
import { factory, factoryJson, newPlace, serve } from './service.ts';
import type { Place, Service } from './service.ts';

/** What somebody typed wrong raises no alarm about backups that are whole. */

let place: Place;
let service: Service;
let caller: Caller;
const urlOf = (name: string): string => pathToFileURL(join(place.dir, name)).href;

beforeAll(async () => {
  place = newPlace();
  place.env['FACTORY_BACKUP_DESTINATIONS'] = urlOf('bucket');
  service = await serve(place);
  const { token } = await newToken(place, 'operator');
  caller = callerOf(() => service.url, token);
  expect((await factory(place, 'backup')).code).toBe(0);
  expect((await factory(place, 'drill')).code).toBe(0);
  expect((await factory(place, 'keys', 'new', '--out', 'other.key')).code).toBe(0);
  writeFileSync(join(place.dir, 'empty.key'), '');
  cpSync(join(place.dir, 'bucket'), join(place.dir, 'copy'), { recursive: true });
  damage('copy');
});
afterAll(async () => {
  await service.stop();
  rmSync(place.dir, { recursive: true, force: true });
});

function damage(name: string): void {
  const folder = join(place.dir, name, 'full/factory');
  for (const file of readdirSync(folder))
    if (file.endsWith('.sqlite.zst.age')) writeFileSync(join(folder, file), 'x');
}

/** All that pages and monitors know of drills and destinations. */
async function told() {
  const health = await caller.get('/api/health/drills');
  const { body } = await caller.get('/api/operations/status');
  const { backups, drillHistory, jobs } = body as {
    backups: { destinations: { error: { code: string; hint: string } | null }[] };
    drillHistory: unknown[];
    jobs: { name: string; last: unknown }[];
  };
  const { last } = jobs.find(({ name }) => name === 'drill') ?? {};
  return { status: health.status, error: backups.destinations[0]?.error ?? null, drillHistory, last };
}

const drill = async (...args: string[]) => {
  const { code, answer } = await factoryJson<{ outcome?: string; error?: { code: string } }>(
    ...([place, 'drill', ...args] as const),
  );
  return { code, said: answer.error?.code ?? answer.outcome };
};

it.each<[string, () => string[], string]>([
  ['a key of another', () => ['--identity', 'other.key'], 'identity-wrong'],
  ['a file without a key', () => ['--identity', 'empty.key'], 'identity-missing'],
  ['no such file', () => ['--identity', 'none.key'], 'backup-key-unreadable'],
  ['a place that nobody sends to', () => ['--from', urlOf('nowhere')], 'backup-none'],
  ['a damaged copy elsewhere', () => ['--from', urlOf('copy')], 'fail'],
])('%s is told to who typed it, and not recorded', async (_what, args, said) => {
  const before = await told();
  expect(before).toMatchObject({ status: 200, error: null });
  expect(await drill(...args())).toEqual({ code: 1, said });
  expect(await told()).toEqual(before);
});

it('a mistyped digest of a prune is refused, and no run of it is kept', async () => {
  expect((await factory(place, 'backups', 'prune', '--apply', 'deadbeef')).code).toBe(4);
  const { body } = await caller.get('/api/operations/runs?job=prune');
  expect((body as { runs: unknown[] }).runs).toEqual([]);
});

it('a damaged backup of a destination of here is recorded, with the command that clears it', async () => {
  damage('bucket');
  expect(await drill('--from', urlOf('bucket'))).toEqual({ code: 1, said: 'fail' });
  const { status, error } = await told();
  expect([status, error?.code]).toEqual([503, 'drill-fail']);
  expect(error?.hint).toContain(`\`npx factory drill --from ${urlOf('bucket')}\``);
});

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { callerOf, newToken } from './client.ts';
import { factory, factoryJson, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

/** Backups of the product's own database are damaged under a running service: nothing that it says is green then. */

interface Run {
  result: { kind: string; backupId: string };
}

async function installation() {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  const service = await serve(place);
  onTestFinished(async () => void (await service.stop()));
  const { token } = await newToken(place, 'operator');
  const caller = callerOf(() => service.url, token);
  const made = await factoryJson<Run>(place, 'jobs', 'run', 'backup');
  expect(made.code).toBe(0);
  return { place, caller, full: made.answer.result.backupId };
}

/** What a monitor, a person and a script are told, as one word each. */
async function told(caller: ReturnType<typeof callerOf>) {
  const [health, metrics, status] = await Promise.all(
    ['/api/health/backups', '/metrics', '/api/operations/status'].map((path) => caller.get(path)),
  );
  const gauge = (name: string): number =>
    Number(new RegExp(`^${name}(?:{.*})? (\\S+)$`, 'm').exec(metrics?.text ?? '')?.[1]);
  return {
    health: (health?.body as { status: string }).status,
    code: health?.status,
    failing: gauge('factory_backup_destination_failing'),
    status: (status?.body as { backups: { status: string } }).backups.status,
  };
}

const GREEN = { health: 'ok', code: 200, failing: 0, status: 'ok' };

function dataOf(place: Place, backupId: string): string {
  const [prefix = '', name = '', stem = ''] = backupId.split('/');
  const folder = join(place.data, 'backups');
  const file = readdirSync(join(folder, prefix, name)).find((one) =>
    new RegExp(`^${stem}\\.(sqlite|diff)\\.zst\\.age$`).test(one),
  );
  return join(folder, prefix, name, file ?? '');
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

let restores = 0;
const restore = async (place: Place): Promise<number | null> =>
  (await factory(place, 'restore', '--to', join(place.dir, `restored-${(restores += 1)}.db`))).code;

it(
  'a damaged full backup is told until a new full one is verified, whatever is checked meanwhile',
  { timeout: 180_000 },
  async () => {
    const { place, caller, full } = await installation();
    expect(await told(caller)).toEqual(GREEN);
    await factory(place, 'login-link');
    const built = await factoryJson<Run>(place, 'jobs', 'run', 'differential');
    expect(built.answer.result.kind).toBe('differential');
    expect(await told(caller)).toEqual(GREEN);

    flip(dataOf(place, full));
    expect((await factory(place, 'backups', 'verify', '--all')).code).toBe(3);
    const red = { health: 'failing', code: 503, failing: 1, status: 'failing' };
    const degraded = { ...red, health: 'degraded', status: 'degraded' };
    expect([red, degraded]).toContainEqual(await told(caller));
    expect((await factory(place, 'backups', 'verify')).code).toBe(3);
    expect([red, degraded]).toContainEqual(await told(caller));
    expect(await restore(place)).not.toBe(0);

    // Nothing changed, and it is made all the same.
    const mended = await factoryJson<Run>(place, 'jobs', 'run', 'differential');
    expect([mended.code, mended.answer.result.kind]).toEqual([0, 'full']);
    expect(await restore(place)).toBe(0);
    expect(await told(caller)).toEqual(GREEN);
  },
);

it('a backup that is gone is no reason to make none', { timeout: 180_000 }, async () => {
  const { place, caller, full } = await installation();
  rmSync(dataOf(place, full));
  expect((await factory(place, 'backups', 'verify', '--all')).code).toBe(3);
  expect(await told(caller)).toMatchObject({ code: 503, failing: 1 });
  const made = await factoryJson<Run>(place, 'jobs', 'run', 'differential');
  expect(made.answer.result).toMatchObject({ kind: 'full' });
  expect(await restore(place)).toBe(0);
  // What lies there and cannot be restored is told until somebody removes it.
  expect(await told(caller)).toMatchObject({ health: 'degraded', failing: 1 });
});

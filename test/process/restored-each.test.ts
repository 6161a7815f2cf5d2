import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { factory, factoryJson, newPlace, serve } from './service.ts';

interface Listed {
  backups: { backupId: string; kind: string; verifiedHow: string | null }[];
}

it('a job restores each backup that it made, and leaves no database behind', async () => {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  await (await serve(place)).stop();
  expect((await factory(place, 'jobs', 'run', 'backup')).code).toBe(0);
  const first = (await factoryJson<Listed>(place, 'backups', 'list')).answer.backups;
  expect(first.map(({ verifiedHow }) => verifiedHow)).toEqual(['restored']);
  // What the first one took is paid back before the next is restored; the night's job has the time.
  rmSync(join(place.data, 'backup/factory/restoring.json'));
  await factory(place, 'login-link');
  expect((await factory(place, 'jobs', 'run', 'differential')).code).toBe(0);
  const both = (await factoryJson<Listed>(place, 'backups', 'list')).answer.backups;
  expect(both.map(({ kind, verifiedHow }) => [kind, verifiedHow])).toEqual([
    ['full', 'restored'],
    ['differential', 'restored'],
  ]);
  const left = readdirSync(join(place.data, 'backup/factory'));
  expect(left.filter((name) => name.startsWith('restoring-'))).toEqual([]);
});

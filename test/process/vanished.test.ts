import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { factory as inProcess } from '../scripts/cli.ts';
import type { Ran } from '../scripts/cli.ts';
import { APP, NAMED, newPairs } from './pairs.ts';

/** Backups that somebody took out of a destination before their time: what is left is whole, and says nothing of it. */

interface Answer {
  backupId: string;
  problems: { destination: string; code: string; message: string }[];
}

async function fourBackups() {
  const { place, db } = newPairs(20, "'a note'");
  const folder = join(place.dir, 'there');
  place.env['FACTORY_BACKUP_DESTINATIONS'] = pathToFileURL(folder).href;
  const run = (...args: string[]): Promise<Ran> => inProcess(place.dir, [...args, '--json'], place.env);
  const ids: string[] = [];
  for (let n = 0; n < 4; n += 1) {
    db.exec('update pair set a = a + 1, b = b - 1');
    const made = await run('backup', ...APP, '--full');
    expect(made.exit).toBe(0);
    ids.push(made.json<Answer>().backupId);
  }
  return {
    ...{ ids, run, url: pathToFileURL(folder).href },
    take(id: string) {
      const [kind = '', name = '', stem = ''] = id.split('/');
      const objects = readdirSync(join(folder, kind, name)).filter((one) => one.startsWith(stem));
      expect(objects.length).toBeGreaterThan(1);
      for (const one of objects) rmSync(join(folder, kind, name, one));
    },
    async told(...args: string[]) {
      const { exit, json } = await run('backups', ...args, ...NAMED);
      return [
        exit,
        ...json<Answer>().problems.map(({ code, message }) => [code, message.match(/full[^ ,]+/g)]),
      ];
    },
  };
}

it('the oldest, and one in the middle, are named by every verb until somebody says that it was on purpose', async () => {
  const { ids, run, url, take, told } = await fourBackups();
  expect(await told('list')).toEqual([0]);
  const [first, , third] = ids;
  take(first!);
  expect(await told('list')).toEqual([3, ['backup-vanished', [first]]]);
  take(third!);
  for (const args of [['list'], ['verify', '--all'], ['list'], ['prune']])
    expect([args, ...(await told(...args))]).toEqual([args, 3, ['backup-vanished', [first, third]]]);
  // Nothing changed, so nothing is sent; what went is forgotten all the same.
  expect((await run('backup', ...APP, '--emptied', url)).exit).toBe(0);
  expect(await told('list')).toEqual([0]);
  take(ids[1]!);
  expect(await told('list')).toEqual([3, ['backup-vanished', [ids[1]]]]);
});

it('what a place of somebody else lacks is no news of this one', async () => {
  const { ids, run, url, take } = await fourBackups();
  take(ids[0]!);
  expect((await run('backups', 'list', ...NAMED, '--from', url)).exit).toBe(0);
});

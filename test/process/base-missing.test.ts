import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fileOf, installation, json } from './people-backups.ts';
import type { Place } from './service.ts';

/** A differential whose full backup is gone restores nothing, and nobody says that it does. */

interface Listed {
  backups: { backupId: string }[];
  problems: { code: string; key: string }[];
}
interface Error {
  error: { code: string; message: string };
}

/** Two full backups, and a differential that rests on the second. */
async function differential() {
  const { made, first, second } = await installation();
  const { backupId, kind } = (await json(made, 'backup')).json<{ backupId: string; kind: string }>();
  expect(kind).toBe('differential');
  const folder = join(made.data, 'backups', 'full', 'factory');
  const aside = join(made.dir, 'aside');
  const move = (from: string, to: string): void => {
    for (const name of readdirSync(from).filter((one) => one.startsWith(basename(second))))
      renameSync(join(from, name), join(to, name));
  };
  mkdirSync(aside);
  const away = (): void => move(folder, aside);
  const back = (): void => move(aside, folder);
  return { made, first, second, backupId, away, back };
}

const observed = async (where: Place) => {
  const url = pathToFileURL(join(where.data, 'backups')).href;
  const seen = await json(where, 'observe', '--from', url);
  return [seen.exit, seen.json<{ status: string }>().status];
};

describe('a differential whose full backup is gone', () => {
  it('is named, passed over, and good again when the full one is back', async () => {
    const { made, first, second, backupId, away, back } = await differential();
    expect(await observed(made)).toEqual([0, 'ok']);
    away();
    const listed = await json(made, 'backups', 'list');
    const { backups, problems } = listed.json<Listed>();
    expect([listed.exit, backups.map((one) => one.backupId), problems]).toEqual([
      ...[3, [first]],
      [
        expect.objectContaining({ code: 'base-missing', key: `${backupId}.manifest.json` }),
        expect.objectContaining({ code: 'backup-vanished', message: expect.stringContaining(second) }),
      ],
    ]);
    expect(await observed(made)).toEqual([1, 'failing']);
    const older = await json(made, 'restore', '--to', 'r.db');
    expect([older.exit, older.json()]).toMatchObject([
      3,
      { backupId: first, passedOver: [{ backupId, code: 'base-missing' }] },
    ]);
    const named = await json(made, 'restore', '--backup', backupId, '--to', 's.db');
    expect([named.exit, named.json<Error>().error.code]).toEqual([1, 'base-missing']);
    expect(named.json<Error>().error.message).toContain(second);

    // Its number is taken all the same.
    rmSync(join(made.data, 'backup'), { recursive: true });
    const next = (await json(made, 'backup', '--full')).json<{ sequence: number }>();
    expect(next.sequence).toBe(4);
    expect(await observed(made)).toEqual([3, 'degraded']);
    back();
    expect(await observed(made)).toEqual([0, 'ok']);
    expect((await json(made, 'restore', '--backup', backupId, '--to', 's.db')).exit).toBe(0);
  });

  it('or lacks one of its objects, rests on nothing either', async () => {
    const { made, second, backupId } = await differential();
    rmSync(fileOf(made, second, '.sqlite.zst.age'));
    const { problems } = (await json(made, 'backups', 'list')).json<Listed>();
    expect(problems.map(({ code, key }) => [key.slice(0, -'.manifest.json'.length), code])).toEqual([
      [backupId, 'base-missing'],
      [second, 'backup-incomplete'],
    ]);
  });
});

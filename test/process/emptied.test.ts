import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Provider, Versioned } from '../helpers/s3-bucket.ts';
import type { S3Double } from '../helpers/s3-double.ts';
import { startS3 } from '../helpers/s3-double.ts';
import { factory as inProcess } from '../scripts/cli.ts';
import type { Ran } from '../scripts/cli.ts';
import { callerOf, newToken } from './client.ts';
import { APP, NAMED, newPairs } from './pairs.ts';
import type { Made } from './pairs.ts';
import { factory, factoryJson, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

/** A destination that holds nothing of what was stored there: it gets nothing, and is named, until somebody says why. */

const run = ({ dir, env }: Place, ...args: string[]): Promise<Ran> =>
  inProcess(dir, [...args, '--json'], env);
const urlOf = (path: string): string => pathToFileURL(path).href;

/** How each destination fared. */
async function backup(place: Place, ...words: string[]): Promise<[exit: number, ...codes: string[]]> {
  const ran = await run(place, 'backup', ...APP, ...words);
  return [ran.exit, ...ran.json<Made>().destinations.map(({ status, error }) => error?.code ?? status)];
}

interface Problems {
  problems: { destination: string; code: string; hint: string }[];
}

/** Two folders with a backup of `app`; `disk` can be taken out of its mount point, and put back. */
async function twoFolders() {
  const { place, db } = newPairs(20, "'a note'");
  const [disk, well] = [join(place.dir, 'disk'), join(place.dir, 'well')];
  place.env['FACTORY_BACKUP_DESTINATIONS'] = `${urlOf(disk)} ${urlOf(well)}`;
  expect(await backup(place)).toEqual([0, 'ok', 'ok']);
  const away = join(place.dir, 'away');
  return {
    ...{ place, disk, well },
    change: () => void db.exec('update pair set a = a + 1, b = b - 1'),
    unmount: () => {
      renameSync(disk, away);
      mkdirSync(disk);
    },
    mount: () => {
      rmSync(disk, { recursive: true });
      renameSync(away, disk);
    },
  };
}

describe('a disk that is not mounted', () => {
  it('gets nothing, however often it is tried, and everything again when it is back', async () => {
    const { place, disk, well, unmount, mount, change } = await twoFolders();
    unmount();
    for (const words of [[], ['--full']]) {
      change();
      expect(await backup(place, ...words)).toEqual([3, 'destination-emptied', 'ok']);
    }
    // Nothing changed since: it is named all the same.
    expect(await backup(place)).toEqual([3, 'destination-emptied', 'ok']);
    expect(readdirSync(disk)).toEqual([]);
    const text = await inProcess(place.dir, ['backup', ...APP, '--full'], place.env);
    expect(text.stdout).toMatch(
      /failed {2}file:.*disk holds none of the backups that were stored there; the last/,
    );
    expect(text.stdout).toContain(`backup --db FILE --name app --emptied ${urlOf(disk)}`);
    for (const verb of ['list', 'verify', 'prune']) {
      const ran = await run(place, 'backups', verb, ...NAMED);
      expect([verb, ran.exit, ran.json<Problems>().problems.map(({ code }) => code)]).toEqual([
        ...[verb, 3],
        ['destination-emptied'],
      ]);
    }
    const restored = await run(place, 'restore', '--to', 'r.db', ...NAMED);
    expect([restored.exit, restored.json()]).toEqual([
      3,
      expect.objectContaining({ notFrom: [expect.objectContaining({ code: 'destination-emptied' })] }),
    ]);
    mount();
    change();
    expect(await backup(place)).toEqual([0, 'ok', 'ok']);
    expect((await run(place, 'backups', 'list', ...NAMED)).exit).toBe(0);
    expect(readdirSync(well).length).toBeGreaterThan(0);
  });

  it('is known by what an older release remembered, and where its mount point is gone as well', async () => {
    const { place, disk, unmount } = await twoFolders();
    rmSync(join(place.data, 'backup/app/stored.json'));
    unmount();
    expect(await backup(place, '--full')).toEqual([3, 'destination-emptied', 'ok']);
    rmSync(disk, { recursive: true });
    const gone = await run(place, 'backup', ...APP, '--full');
    const [first] = gone.json<Made>().destinations;
    expect(first?.error).toMatchObject({
      message: expect.stringContaining('There is no folder'),
      hint: expect.stringContaining('Mount its disk'),
    });
    expect(readdirSync(place.dir)).not.toContain('disk');
  });

  it('is the only one: nothing has a backup of now', async () => {
    const { place, disk, unmount } = await twoFolders();
    place.env['FACTORY_BACKUP_DESTINATIONS'] = urlOf(disk);
    unmount();
    expect(await backup(place, '--full')).toEqual([1, 'destination-emptied']);
    const restored = await run(place, 'restore', '--to', 'r.db', ...NAMED);
    expect([restored.exit, restored.json<{ error: object }>().error]).toMatchObject([
      1,
      { code: 'destination-emptied' },
    ]);
  });
});

describe('a destination that was emptied on purpose', () => {
  it('is begun anew where somebody says so, once', async () => {
    const { place, disk, well, unmount } = await twoFolders();
    unmount();
    expect(await backup(place, '--emptied', urlOf(well))).toEqual([3, 'destination-emptied', 'ok']);
    expect(await backup(place, '--emptied', urlOf(disk))).toEqual([0, 'ok', 'ok']);
    expect(await backup(place)).toEqual([0, 'ok', 'ok']);
    expect((await run(place, 'backups', 'verify', ...NAMED)).exit).toBe(0);
    rmSync(disk, { recursive: true });
    mkdirSync(disk);
    expect(await backup(place)).toEqual([3, 'destination-emptied', 'ok']);
  });

  it('has to be one that is configured', async () => {
    const { place } = await twoFolders();
    for (const wrong of ['file:///elsewhere', 'nonsense'])
      expect((await run(place, 'backup', ...APP, '--emptied', wrong)).exit).toBe(2);
  });
});

describe('nothing is wrong', () => {
  it('with a new destination beside others, or at another address', async () => {
    const { place, disk, well } = await twoFolders();
    const third = urlOf(join(place.dir, 'third'));
    mkdirSync(fileURLToPath(third));
    place.env['FACTORY_BACKUP_DESTINATIONS'] += ` ${third}`;
    expect((await run(place, 'backups', 'list', ...NAMED)).exit).toBe(0);
    expect(await backup(place)).toEqual([0, 'ok', 'ok', 'ok']);
    // What was called `disk` is called otherwise from now on.
    const renamed = join(place.dir, 'renamed');
    renameSync(disk, renamed);
    place.env['FACTORY_BACKUP_DESTINATIONS'] = `${urlOf(renamed)} ${urlOf(well)} ${third}`;
    expect(await backup(place)).toEqual([0, 'ok', 'ok', 'ok']);
    expect((await run(place, 'backups', 'verify', ...NAMED)).exit).toBe(0);
  });

  it('with an empty folder on a new host, although the old one stored backups at that address', async () => {
    const { place, disk, well } = await twoFolders();
    rmSync(disk, { recursive: true });
    mkdirSync(disk);
    // Its keyring came along, and what the old machine remembered did not.
    rmSync(join(place.data, 'backup'), { recursive: true });
    expect(await backup(place)).toEqual([0, 'ok', 'ok']);
    expect(readdirSync(join(disk, 'full/app'))).not.toEqual([]);
    expect(readdirSync(well)).not.toEqual([]);
  });

  it('where the last backup is gone and an earlier one of this installation is there', async () => {
    const { place, disk, change } = await twoFolders();
    change();
    expect(await backup(place, '--full')).toEqual([0, 'ok', 'ok']);
    const folder = join(disk, 'full/app');
    const names = readdirSync(folder).sort();
    const last = names.at(-1)?.split('.')[0] ?? '';
    for (const name of names.filter((one) => one.startsWith(last))) rmSync(join(folder, name));
    expect(await backup(place)).toEqual([0, 'ok', 'ok']);
  });
});

describe('a bucket', () => {
  /** Where versions are kept, everything is hidden and nothing is gone. */
  function empty({ objects, versions }: S3Double, hide: boolean): void {
    const all = versions as Versioned[];
    const at = new Date().toISOString();
    if (hide) all.push(...[...objects.keys()].map((key, n) => ({ key, id: `h${n}`, body: null, at })));
    else all.splice(0);
    objects.clear();
  }

  async function bucketAndFolder(provider: Provider) {
    const server = await startS3({ provider });
    onTestFinished(() => server.close());
    const { place } = newPairs(20, "'a note'");
    const bucket = `s3://backups/team?endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`;
    Object.assign(place.env, {
      ...{ AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' },
      FACTORY_BACKUP_DESTINATIONS: `${bucket} ${urlOf(join(place.dir, 'well'))}`,
    });
    return { server, place, bucket };
  }

  it.each<[string, Provider, boolean]>([
    ['emptied', 'aws', false],
    ['emptied, and keeps versions', 'b2', true],
  ])('that was %s, or holds the backups of others only, gets nothing', async (_, provider, hide) => {
    const { server, place, bucket } = await bucketAndFolder(provider);
    expect(await backup(place)).toEqual([0, 'ok', 'ok']);
    empty(server, hide);
    expect(await backup(place)).toEqual([3, 'destination-emptied', 'ok']);
    expect([...server.objects.keys()]).toEqual([]);
    // Names have the second in them.
    await sleep(1100);
    const other = newPairs(5, "'of another installation'").place;
    Object.assign(other.env, { ...place.env, FACTORY_BACKUP_DESTINATIONS: bucket });
    expect(await backup(other)).toEqual([0, 'ok']);
    const theirs = [...server.objects.keys()];
    expect(await backup(place, '--full')).toEqual([3, 'destination-emptied', 'ok']);
    expect([...server.objects.keys()]).toEqual(theirs);
    const verified = await run(place, 'backups', 'verify', ...NAMED);
    expect([verified.exit, verified.json<Problems>().problems]).toMatchObject([
      3,
      [{ destination: bucket, code: 'destination-emptied', hint: expect.stringContaining('right bucket') }],
    ]);
    expect(await backup(place, '--emptied', bucket)).toEqual([0, 'ok', 'ok']);
  });
});

describe('the service', () => {
  it(
    'is green nowhere while the disk of its backups is away, and again when it is back',
    { timeout: 180_000 },
    async () => {
      const place = newPlace();
      onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
      const disk = join(place.data, 'backups');
      const away = join(place.dir, 'away');
      const service = await serve(place);
      onTestFinished(async () => void (await service.stop()));
      const { token } = await newToken(place, 'operator');
      const caller = callerOf(() => service.url, token);
      const told = async () => {
        const [health, metrics, status] = await Promise.all(
          ['/api/health/backups', '/metrics', '/api/operations/status'].map((path) => caller.get(path)),
        );
        const gauge = (name: string): number =>
          Number(new RegExp(`^${name}(?:{.*})? (\\S+)$`, 'm').exec(metrics?.text ?? '')?.[1]);
        const { backups } = status?.body as { backups: { status: string; destinations: object[] } };
        return {
          code: health?.status,
          ...{
            failing: gauge('factory_backup_destination_failing'),
            overdue: gauge('factory_backup_overdue'),
          },
          ...{ status: backups.status, destination: backups.destinations[0] },
        };
      };
      const doctor = async (): Promise<string | undefined> => {
        const { answer } = await factoryJson<{ checks: { name: string; status: string; detail: string }[] }>(
          place,
          'doctor',
        );
        const check = answer.checks.find(({ name }) => name === 'destination 1');
        return `${check?.status} ${check?.detail}`;
      };
      expect((await factory(place, 'jobs', 'run', 'backup')).code).toBe(0);
      expect(await told()).toMatchObject({ code: 200, failing: 0, overdue: 0, status: 'ok' });
      expect(await doctor()).toMatch(/^warn/);

      renameSync(disk, away);
      mkdirSync(disk);
      // A copy of the keyring is due as well.
      rmSync(join(place.data, 'backup/factory/keyring.json'));
      const RED = {
        ...{ code: 503, failing: 1, overdue: 1, status: 'failing' },
        destination: {
          error: { code: 'destination-emptied' },
          newest: null,
          verified: null,
          total: { backups: 0 },
        },
      };
      expect((await factory(place, 'jobs', 'run', 'verify')).code).toBe(1);
      expect(await told()).toMatchObject(RED);
      for (const job of ['differential', 'backup', 'verify']) {
        expect((await factory(place, 'jobs', 'run', job)).code).toBe(1);
        expect(await told()).toMatchObject(RED);
      }
      expect(await doctor()).toMatch(/^fail .*holds none of the backups/);
      expect(readdirSync(disk)).toEqual([]);

      rmSync(disk, { recursive: true });
      renameSync(away, disk);
      expect((await factory(place, 'jobs', 'run', 'backup')).code).toBe(0);
      expect(await told()).toMatchObject({ code: 200, failing: 0, overdue: 0, status: 'ok' });

      // On purpose: everything goes there anew, the copy of the keyring with it.
      rmSync(disk, { recursive: true });
      mkdirSync(disk);
      expect((await factory(place, 'backup', '--emptied', urlOf(disk))).code).toBe(0);
      expect(readdirSync(disk).sort()).toEqual(['full', 'keyring']);
      expect((await factory(place, 'jobs', 'run', 'differential')).code).toBe(0);
      expect(await told()).toMatchObject({ code: 200, failing: 0, status: 'ok' });
    },
  );
});

import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectCommand, ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { factory as inProcess } from '../scripts/cli.ts';
import { APP, assertRestored, assertRestores, listed, NAMED, newPairs } from '../process/pairs.ts';
import type { Made } from '../process/pairs.ts';
import { factory, factoryJson, launch } from '../process/service.ts';
import type { Place } from '../process/service.ts';
import { credentialsFile, HOST_RIGHTS, startVersity } from './server.ts';
import type { Server, User } from './server.ts';

/** Whole backups, restores and prunes against a server with real signatures. */

const { signal } = new AbortController();
const ROWS = 17_500;

/** Rows that do not compress, so that a full backup goes in parts. */
function installation(server: Server, bucket: string, user?: User) {
  const { place, db } = newPairs(ROWS, 'randomblob(1000)');
  Object.assign(place.env, {
    FACTORY_BACKUP_DESTINATIONS: server.url(bucket),
    FACTORY_BACKUP_CREDENTIALS_1_FILE: credentialsFile(join(place.dir, 'credentials'), user),
    FACTORY_BACKUP_GIVE_UP_SECONDS: '20',
  });
  let turn = 0;
  const change = (): void =>
    void db.prepare('update pair set a = a + 1, b = b - 1 where id % 100 = ?').run((turn += 1) % 100);
  return { place, change };
}

/** The backups that are listed; all restore, and nothing else lies there. */
async function restoring(place: Place): Promise<string[]> {
  const { backups, problems } = await assertRestores(place, ROWS);
  expect(problems).toEqual([]);
  return backups.map(({ backupId }) => backupId);
}

describe('backups in a bucket', () => {
  it('are made in full and by difference, verified and restored', async () => {
    const server = await startVersity();
    await server.bucket('backups', { versioned: true });
    const { place, change } = installation(server, 'backups');
    expect((await factoryJson<Made>(place, 'backup', ...APP)).answer.kind).toBe('full');
    change();
    expect((await factoryJson<Made>(place, 'backup', ...APP)).answer.kind).toBe('differential');
    expect((await factory(place, 'backups', 'verify', '--all', ...NAMED)).code).toBe(0);
    expect(await restoring(place)).toHaveLength(2);
  });

  it('go on where the server was killed in the middle, and nothing half is listed', async () => {
    const server = await startVersity();
    await server.bucket('backups');
    const { place, change } = installation(server, 'backups');
    for (const ms of [0, 500]) {
      const child = launch(place, ['backup', '--full', ...APP, '--json']);
      let ended = false;
      const code = new Promise((resolve) => child.once('close', resolve)).finally(() => (ended = true));
      const before = (await server.destination('backups').list('full/', { signal })).length;
      // Until the first object of this run is there: then it is in the middle of the others.
      while (!ended && (await server.destination('backups').list('full/', { signal })).length === before)
        await sleep(20);
      await sleep(ms / 10);
      await server.kill();
      await sleep(ms);
      await server.start();
      expect(await code).toBe(0);
      change();
    }
    expect(await restoring(place)).toHaveLength(2);
  });

  it('that were cut off by kill -9 of ours are none, and the next run needs no hand', async () => {
    const server = await startVersity();
    await server.bucket('backups', { versioned: true });
    const { place, change } = installation(server, 'backups');
    for (const ms of [500, 800, 1200]) {
      const child = launch(place, ['backup', '--full', ...APP]);
      // It may be done before.
      const ended = new Promise((resolve) => child.once('close', resolve));
      await sleep(ms);
      child.kill('SIGKILL');
      await ended;
      change();
    }
    expect((await factory(place, 'backup', ...APP)).code).toBe(0);
    expect((await restoring(place)).length).toBeGreaterThan(0);
  });

  it('under a lock, by a key that may not delete, are made and restored', async () => {
    const server = await startVersity();
    await server.bucket('locked', { lock: 'COMPLIANCE' });
    const user = await server.user('locked', HOST_RIGHTS);
    const { place } = installation(server, 'locked', user);
    expect((await factoryJson<Made>(place, 'backup', ...APP)).code).toBe(0);
    expect(await restoring(place)).toHaveLength(1);
  });

  it('are pruned by the prune key alone, with every version', async () => {
    const server = await startVersity();
    await server.bucket('kept', { versioned: true });
    const { place } = installation(server, 'kept', await server.user('kept', HOST_RIGHTS));
    expect((await factory(place, 'backup', ...APP)).code).toBe(0);
    const left = 'full/app/20260101T000000Z-000099.key.age';
    await server.destination('kept').put(left, { data: Buffer.from('half') }, { signal });
    const old = new Date(Date.now() - 3 * 86_400_000);
    utimesSync(join(server.data, 'kept/team', left), old, old);
    const prune = async (...args: string[]) => {
      const ran = await inProcess(place.dir, ['backups', 'prune', ...NAMED, ...args, '--json'], place.env);
      return { exit: ran.exit, ...ran.json<{ plan: { leftovers: string[]; digest: string } }>() };
    };
    const { plan } = await prune();
    expect(plan.leftovers).toEqual([left]);
    expect(await prune('--apply', plan.digest)).toMatchObject({
      exit: 4,
      error: { code: 'prune-forbidden' },
    });
    const key = credentialsFile(join(place.dir, 'prune-key'));
    expect((await prune('--apply', plan.digest, '--credentials', key)).exit).toBe(0);
    const versions = new ListObjectVersionsCommand({ Bucket: 'kept', Prefix: `team/${left}` });
    const { Versions = [], DeleteMarkers = [] } = await server.client.send(versions);
    expect([...Versions, ...DeleteMarkers]).toEqual([]);
    expect(await restoring(place)).toHaveLength(1);
  });

  it('that somebody deleted are found with --hidden, as long as the bucket keeps versions', async () => {
    const server = await startVersity();
    await server.bucket('versions', { versioned: true });
    const { place } = installation(server, 'versions');
    const { backupId } = (await factoryJson<Made>(place, 'backup', ...APP)).answer;
    for (const { Key } of (await server.client.send(new ListObjectsV2Command({ Bucket: 'versions' })))
      .Contents ?? [])
      await server.client.send(new DeleteObjectCommand({ Bucket: 'versions', Key }));
    expect((await listed(place)).backups).toEqual([]);
    const words = ['restore', ...NAMED, '--to', 'gone.db', '--json'];
    const gone = await inProcess(place.dir, words, place.env);
    expect([gone.exit, gone.json<{ error: { code: string } }>().error.code]).toEqual([
      ...[1, 'destination-emptied'],
    ]);
    await assertRestored(place, ROWS, ['--hidden', '--backup', backupId]);
  });

  it('are refused by wrong credentials, by name', async () => {
    const server = await startVersity();
    await server.bucket('backups');
    const { place } = installation(server, 'backups', { access: 'nobody', secret: 'x' });
    const { code, answer } = await factoryJson<Made>(place, 'backup', ...APP);
    expect([code, answer.destinations[0]?.error?.code]).toEqual([1, 'destination-credentials']);
  });
});

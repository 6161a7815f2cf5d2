import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { S3Client, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { expect, it, onTestFinished } from 'vitest';
import { startS3 } from '../helpers/s3-double.ts';
import { factory } from '../scripts/cli.ts';
import { APP, assertRestored, listed, NAMED, newPairs } from './pairs.ts';
import type { Made } from './pairs.ts';
import type { Place } from './service.ts';

/** `restore --hidden`: what a delete hid, in a bucket that keeps versions. */

const ROWS = 50;
const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };

async function installation(versioned: boolean) {
  const server = await startS3({ provider: versioned ? 'b2' : 'spaces' });
  onTestFinished(() => server.close());
  const client = new S3Client({
    ...{ endpoint: server.endpoint, region: 'eu', forcePathStyle: true, credentials },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  const { place, db } = newPairs(ROWS, "'a note'");
  Object.assign(place.env, {
    ...{ AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' },
    FACTORY_BACKUP_DESTINATIONS: `s3://backups/team?endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`,
  });
  const remove = async (backupId: string): Promise<void> => {
    for (const Key of [...server.objects.keys()].filter((key) => key.startsWith(`team/${backupId}.`)))
      await client.send(new DeleteObjectCommand({ Bucket: 'backups', Key }));
  };
  const backup = async (): Promise<string> => {
    db.exec('update pair set a = a + 1, b = b - 1');
    const ran = await factory(place.dir, ['backup', '--full', ...APP, '--json'], place.env);
    return ran.json<Made>().backupId;
  };
  return { place, remove, backup };
}

const restore = ({ dir, env }: Place, ...words: string[]) =>
  factory(dir, ['restore', ...NAMED, ...words, '--to', 'r.db', '--json'], env);
const code = (ran: { json<T>(): T }): string => ran.json<{ error: { code: string } }>().error.code;

it('a backup that was deleted is found only where it is asked for, by its id, its time, or as the newest', async () => {
  const { place, remove, backup } = await installation(true);
  const first = await backup();
  const second = await backup();
  const { takenAt } = (await restore(place, '--plan')).json<{ plan: { takenAt: string } }>().plan;
  await remove(second);
  expect((await listed(place)).backups.map(({ backupId }) => backupId)).toEqual([first]);
  const unknown = await restore(place, '--backup', second);
  expect([unknown.exit, code(unknown)]).toEqual([1, 'backup-unknown']);
  await assertRestored(place, ROWS, ['--hidden', '--backup', second]);
  await assertRestored(place, ROWS, ['--hidden', '--at', takenAt]);
  for (const [words, id] of [
    [[], first],
    [['--hidden'], second],
  ] as const) {
    const plan = await restore(place, ...words, '--plan');
    expect([plan.exit, plan.json<{ plan: { backupId: string } }>().plan.backupId]).toEqual([0, id]);
  }
  await remove(first);
  const none = await restore(place);
  expect([none.exit, code(none)]).toEqual([1, 'destination-emptied']);
  await assertRestored(place, ROWS, ['--hidden']);
});

it('a place that keeps no versions has nothing hidden, and says that there is nothing', async () => {
  const { place, remove, backup } = await installation(false);
  await remove(await backup());
  const gone = await restore(place, '--hidden');
  expect([gone.exit, code(gone)]).toEqual([1, 'destination-emptied']);
  const folder = join(place.dir, 'empty');
  mkdirSync(folder);
  const empty = await restore(place, '--hidden', '--from', `file://${folder}`);
  expect([empty.exit, code(empty)]).toEqual([1, 'backup-none']);
});

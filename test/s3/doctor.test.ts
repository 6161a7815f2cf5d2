import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { expect, it, onTestFinished } from 'vitest';
import type { DestinationCheck } from '../../scripts/lib/doctor/destinations.ts';
import { newPlace } from '../process/service.ts';
import { factory } from '../scripts/cli.ts';
import { credentialsFile, HOST_RIGHTS, startVersity } from './server.ts';
import type { Server, User } from './server.ts';

/** Doctor has to say the truth about buckets of every kind. */

async function examine(server: Server, bucket: string, user?: User) {
  const { dir, data, env } = newPlace();
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(data, { recursive: true });
  const ran = await factory(dir, ['doctor', '--json'], {
    ...env,
    FACTORY_BACKUP_DESTINATIONS: server.url(bucket),
    FACTORY_BACKUP_CREDENTIALS_1_FILE: credentialsFile(join(dir, 'credentials'), user),
    FACTORY_BACKUP_GIVE_UP_SECONDS: '4',
  });
  const { checks } = ran.json<{ checks: DestinationCheck[] }>();
  const check = checks.find(({ name }) => name === 'destination 1') as DestinationCheck;
  const kept = JSON.parse(readFileSync(join(data, 'backup/destinations.json'), 'utf8')) as {
    destinations: unknown[];
  };
  expect(kept.destinations[0]).toMatchObject(check.destination);
  return check;
}

const versionsIn = async ({ client }: Server, Bucket: string): Promise<number> =>
  (await client.send(new ListObjectVersionsCommand({ Bucket }))).Versions?.length ?? 0;

it('warns of a bucket without versions, and leaves nothing in it', async () => {
  const server = await startVersity();
  await server.bucket('plain');
  const { status, detail, destination } = await examine(server, 'plain');
  expect([status, detail]).toEqual(['warn', expect.stringContaining('no versions')]);
  expect(destination).toMatchObject({
    ...{ write: true, read: true, delete: true, versioning: 'off', conditionalWrites: 'kept' },
    ...{ lock: 'off', crc32: true },
  });
  expect(Math.abs(destination.clockSkewSeconds ?? 99)).toBeLessThan(10);
  expect(await versionsIn(server, 'plain')).toBe(0);
});

it('warns of a key that may delete versions, and deletes its own', async () => {
  const server = await startVersity();
  await server.bucket('kept', { versioned: true });
  const { status, detail, hint, destination } = await examine(server, 'kept');
  expect([status, detail]).toEqual(['warn', expect.stringContaining('not immutable')]);
  expect(hint).toContain('s3:DeleteObjectVersion');
  expect(destination).toMatchObject({ versioning: 'enabled', deleteVersions: true });
  expect(await versionsIn(server, 'kept')).toBe(0);
});

it('calls a key that cannot delete, under a lock, good', async () => {
  const server = await startVersity();
  await server.bucket('locked', { lock: 'COMPLIANCE' });
  const { status, detail, destination } = await examine(
    server,
    'locked',
    await server.user('locked', HOST_RIGHTS),
  );
  expect([status, detail]).toEqual(['ok', expect.stringContaining('cannot delete, which is good')]);
  expect(detail).toContain('locked for 30 days (compliance)');
  expect(destination).toMatchObject({ delete: false, lock: { mode: 'COMPLIANCE', days: 30 } });
});

it('names what keeps a bucket from being used', async () => {
  const server = await startVersity();
  await server.bucket('plain');
  expect(await examine(server, 'plain', { access: 'nobody', secret: 'x' })).toMatchObject({
    status: 'fail',
    hint: expect.stringContaining('key'),
  });
  expect(await examine(server, 'other')).toMatchObject({ status: 'fail' });
  await server.kill();
  expect(await examine(server, 'plain')).toMatchObject({ status: 'fail' });
});

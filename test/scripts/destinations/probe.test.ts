import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, it, onTestFinished } from 'vitest';
import { PROBE_KEY } from '../../../scripts/lib/destinations/capabilities.ts';
import type { Capabilities } from '../../../scripts/lib/destinations/capabilities.ts';
import { probeDestination } from '../../../scripts/lib/destinations/probe.ts';
import { startS3 } from '../../helpers/s3-double.ts';
import type { Fault, Provider, S3Double } from '../../helpers/s3-double.ts';

/** What doctor finds out of a bucket, where the providers differ and where they are in trouble. */

const KEYS = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
const BUSY: Fault = { kind: 'status', status: 503 };

async function bucket(provider: Provider, options: Parameters<typeof startS3>[0] = {}) {
  const server = await startS3({ provider, ...options });
  onTestFinished(() => server.close());
  const rest = { region: 'eu', forcePathStyle: true, credentialsFile: null, giveUpMs: 8000 };
  const at = { url: 's3://backups/here', bucket: 'backups', prefix: 'here', endpoint: server.endpoint };
  const probe = (): Promise<Capabilities> =>
    probeDestination({ kind: 's3', ...at, ...rest }, KEYS, new Date());
  return { server, probe };
}

const isPut = ({ method }: { method: string }): boolean => method === 'PUT';
const putsOf = ({ asked }: S3Double): number => asked.filter(isPut).length;

it.each<[Provider, Partial<Capabilities>]>([
  ['aws', { conditionalWrites: 'kept', crc32: true, versioning: 'off', deleteVersions: null }],
  ['b2', { conditionalWrites: 'refused', crc32: false, versioning: 'enabled', deleteVersions: true }],
  ['spaces', { conditionalWrites: 'kept', crc32: true, versioning: 'off', deleteVersions: null }],
])('tells what %s does, and leaves nothing there', async (provider, found) => {
  const { server, probe } = await bucket(provider);
  const rest = { error: null, write: true, read: true, delete: true, lock: 'off', expiresAfterDays: null };
  expect(await probe()).toMatchObject({ ...rest, ...found });
  expect(server.versions).toEqual([]);
});

it('takes a conflict for what it is: the condition is kept, and somebody else deleted', async () => {
  const { server, probe } = await bucket('aws');
  const client = new S3Client({
    ...{ endpoint: server.endpoint, region: 'eu', forcePathStyle: true },
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
  });
  // The second write is the one with a condition.
  server.fault = (asked) => (isPut(asked) && putsOf(server) === 2 ? { kind: 'delay', ms: 300 } : undefined);
  const probed = probe();
  while (putsOf(server) < 2) await sleep(5);
  await client.send(new DeleteObjectCommand({ Bucket: 'backups', Key: `here/${PROBE_KEY}` }));
  const { error, conditionalWrites } = await probed;
  expect([error, conditionalWrites]).toEqual([null, 'kept']);
});

it('says of Spaces that it is busy, and not that it refuses, when it is probed too often', async () => {
  let later = 0;
  const { probe } = await bucket('spaces', { now: () => Date.now() + later });
  const [first, second, third] = [await probe(), await probe(), await probe()];
  expect(first.crc32).toBe(true);
  expect(second).toMatchObject({ error: null, write: true, conditionalWrites: 'kept', crc32: null });
  expect(third.error).toMatchObject({
    ...{ code: 'destination-failed', retryable: true },
    message: expect.stringContaining('is busy and asks to come again later'),
  });
  later = 6 * 60_000;
  expect(await probe()).toMatchObject({ error: null, conditionalWrites: 'kept', crc32: true });
}, 30_000);

it('asks a busy bucket again', async () => {
  const { server, probe } = await bucket('b2');
  let n = 0;
  server.fault = () => ((n += 1) % 2 === 1 ? BUSY : undefined);
  expect(await probe()).toMatchObject({
    ...{ error: null, write: true, read: true, delete: true, deleteVersions: true },
    ...{ conditionalWrites: 'refused', crc32: false, versioning: 'enabled', lock: 'off' },
  });
}, 30_000);

it('does not call it good that a bucket is too busy to delete', async () => {
  const { server, probe } = await bucket('aws');
  server.fault = ({ method }) => (method === 'DELETE' ? BUSY : undefined);
  expect((await probe()).delete).toBeNull();
  const forbidden = await bucket('aws', { forbidden: ['DELETE'] });
  expect((await forbidden.probe()).delete).toBe(false);
}, 30_000);

it('says of a bucket whose quota is used up that it is full', async () => {
  const { server, probe } = await bucket('spaces');
  server.fault = (asked) =>
    isPut(asked) ? { kind: 'status', status: 403, code: 'QuotaExceeded' } : undefined;
  expect((await probe()).error).toMatchObject({
    ...{ code: 'destination-full', hint: expect.stringContaining('Raise it at the provider') },
  });
});

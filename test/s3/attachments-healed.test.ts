import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeleteObjectCommand, ListObjectVersionsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { attached, randomText } from '../process/attached.ts';
import { json, place as newInstallation } from '../process/people-backups.ts';
import { emptyFolder } from '../scripts/cli.ts';
import { credentialsFile, HOST_RIGHTS, startVersity } from './server.ts';

/**
 * A bucket that locks what is written, and a host whose key may write, list and read: what somebody put under the digest of
 * an attachment before it was sent is there for good, and is not what is restored.
 */
it('an attachment under whose name something else is locked is mended above it', async () => {
  const server = await startVersity();
  await server.bucket('backups', { lock: 'COMPLIANCE' });
  const host = newInstallation();
  mkdirSync(host.data, { recursive: true });
  const user = await server.user('backups', HOST_RIGHTS);
  Object.assign(host.env, {
    FACTORY_BACKUP_DESTINATIONS: server.url('backups'),
    FACTORY_BACKUP_CREDENTIALS_1_FILE: credentialsFile(join(host.dir, 'credentials'), user),
  });
  await attached(host, ({ add }) => add(randomText()));
  const [file] = readdirSync(join(host.data, 'blobs'), { recursive: true, withFileTypes: true }).filter(
    (one) => one.isFile(),
  );
  const bytes = readFileSync(join(file?.parentPath ?? '', file?.name ?? ''));
  const key = `blobs/factory/${createHash('sha256').update(bytes).digest('hex')}.sealed`;
  const at = { Bucket: 'backups', Key: `team/${key}` };
  const other = randomText(2 * bytes.length).subarray(0, bytes.length);
  const ContentMD5 = createHash('md5').update(other).digest('base64');
  const { VersionId } = await server.client.send(new PutObjectCommand({ ...at, Body: other, ContentMD5 }));

  await json(host, 'backup');
  const told = await json(host, 'backups', 'verify');
  expect([told.exit, told.stdout]).toEqual([3, expect.stringContaining(key)]);
  const mended = await json(host, 'backup');
  expect(mended.json<{ destinations: unknown[] }>().destinations).toEqual([
    expect.objectContaining({ status: 'ok', sentAgain: [key] }),
  ]);
  expect((await json(host, 'backups', 'verify', '--all')).exit).toBe(0);
  await expect(server.client.send(new DeleteObjectCommand({ ...at, VersionId }))).rejects.toThrow();
  const { Versions = [] } = await server.client.send(
    new ListObjectVersionsCommand({ Bucket: 'backups', Prefix: at.Key }),
  );
  expect(Versions.map((one) => one.VersionId)).toContain(VersionId);
  expect(Versions.length).toBe(2);
  // The host's key reads the latest one, another one also what was there before.
  for (const credentials of [undefined, credentialsFile(join(host.dir, 'recovery'))]) {
    if (credentials) host.env['FACTORY_BACKUP_CREDENTIALS_1_FILE'] = credentials;
    const to = join(emptyFolder(), 'restored.db');
    expect((await json(host, 'restore', '--to', to)).exit).toBe(0);
    const [restored] = readdirSync(`${to}.blobs`, { recursive: true, withFileTypes: true }).filter((one) =>
      one.isFile(),
    );
    expect(readFileSync(join(restored?.parentPath ?? '', restored?.name ?? ''))).toEqual(bytes);
  }
});

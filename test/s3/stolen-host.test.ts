import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import Database from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { factory as inProcess } from '../scripts/cli.ts';
import { factory, factoryJson, newPlace } from '../process/service.ts';
import type { Place } from '../process/service.ts';
import { credentialsFile, HOST_RIGHTS, startVersity } from './server.ts';
import type { Server, User } from './server.ts';

/**
 * A production host whose bucket key, signing key and configuration are in a thief's hands, against a server that checks
 * signatures, rights and locks: everything that was there before restores with the recovery key, and without it nothing is
 * read. `test/process/stolen-host.test.ts` has the thousand fakes.
 */

const APP = ['--db', 'app.db', '--name', 'app'];
const NIGHTS = 4;

interface Listed {
  backups: { backupId: string }[];
}

function host(server: Server, user: User) {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  mkdirSync(place.data, { recursive: true });
  const db = new Database(join(place.dir, 'app.db'));
  onTestFinished(() => void db.close());
  db.exec('create table night (n integer)');
  Object.assign(place.env, {
    FACTORY_BACKUP_DESTINATIONS: server.url('backups'),
    FACTORY_BACKUP_CREDENTIALS_1_FILE: credentialsFile(join(place.dir, 'credentials'), user),
  });
  return { place, night: (n: number) => db.prepare('insert into night values (?)').run(n) };
}

/** Every way in which the key could take something away; all of them are refused. */
async function destroy(thief: S3Client, keys: readonly { Key: string; VersionId: string }[]): Promise<void> {
  const Bucket = 'backups';
  const RetainUntilDate = new Date(Date.now() + 1000);
  const refused = /AccessDenied|MethodNotAllowed|InvalidRequest|ObjectLocked/;
  for (const one of keys) {
    const retention = { Bucket, ...one, BypassGovernanceRetention: true };
    await expect(
      thief.send(
        new PutObjectRetentionCommand({ ...retention, Retention: { Mode: 'GOVERNANCE', RetainUntilDate } }),
      ),
    ).rejects.toMatchObject({ name: expect.stringMatching(refused) });
    for (const aim of [{ Key: one.Key }, one])
      await expect(thief.send(new DeleteObjectCommand({ Bucket, ...aim }))).rejects.toMatchObject({
        name: expect.stringMatching(refused),
      });
  }
  const Delete = { Objects: keys.map((one) => ({ ...one })) };
  const many = await thief.send(new DeleteObjectsCommand({ Bucket, Delete })).catch(() => null);
  expect(many?.Deleted ?? []).toEqual([]);
  const VersioningConfiguration = { Status: 'Suspended' as const };
  await expect(
    thief.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration })),
  ).rejects.toThrow();
  await expect(thief.send(new PutBucketPolicyCommand({ Bucket, Policy: '{}' }))).rejects.toThrow();
}

async function versionsIn(server: Server): Promise<{ Key: string; VersionId: string }[]> {
  const { Versions = [] } = await server.client.send(new ListObjectVersionsCommand({ Bucket: 'backups' }));
  return Versions.map(({ Key = '', VersionId = '' }) => ({ Key, VersionId }));
}

async function restores(at: Place, backupId: string, to: string, ...more: string[]): Promise<unknown> {
  const ran = await inProcess(
    at.dir,
    ['restore', '--name', 'app', '--backup', backupId, '--to', to, ...more],
    at.env,
  );
  if (ran.exit !== 0) return ran.stderr;
  const db = new Database(join(at.dir, to), { readonly: true });
  try {
    return db.prepare('select count(*) from night').pluck().get();
  } finally {
    db.close();
  }
}

it('a stolen host takes no backup away and reads none', { timeout: 170_000 }, async () => {
  const server = await startVersity();
  await server.bucket('backups', { lock: 'COMPLIANCE' });
  const user = await server.user('backups', HOST_RIGHTS);
  const { place, night } = host(server, user);
  const nights: string[] = [];
  for (let n = 1; n <= NIGHTS; n += 1) {
    night(n);
    nights.push((await factoryJson<{ backupId: string }>(place, 'backup', '--full', ...APP)).answer.backupId);
  }
  // As the operator has it: the recovery key went to another machine, none is left here, and the signer is in the kit.
  const safe = newPlace();
  onTestFinished(() => rmSync(safe.dir, { recursive: true, force: true }));
  const identity = join(safe.dir, 'recovery.key');
  const key = join(place.data, 'keyring/backup-recovery.key');
  copyFileSync(key, identity);
  for (const name of ['backup-recovery.key', 'backup-drill.key']) rmSync(join(place.data, 'keyring', name));
  Object.assign(safe.env, {
    FACTORY_BACKUP_DESTINATIONS: server.url('backups'),
    // The operator's own key to the bucket may list versions, and so sees what was first written.
    FACTORY_BACKUP_CREDENTIALS_1_FILE: credentialsFile(join(safe.dir, 'credentials')),
  });

  const before = await versionsIn(server);
  const thief = new S3Client({
    ...{ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: { accessKeyId: user.access, secretAccessKey: user.secret },
  });
  onTestFinished(() => thief.destroy());
  await destroy(thief, before);
  // An overwrite only adds a version.
  for (const { Key } of before)
    await thief.send(new PutObjectCommand({ Bucket: 'backups', Key, Body: 'gone' }));
  // With the host's own program and signing key: backups of a database of the thief's.
  const forged = new Database(join(place.dir, 'app.db'));
  forged.exec('delete from night');
  forged.close();
  for (let n = 0; n < 3; n += 1) await factory(place, 'backup', '--full', ...APP);

  const kept = await versionsIn(server);
  expect(kept).toEqual(expect.arrayContaining(before));
  for (const { Key, VersionId } of before.filter((one) => one.Key.endsWith('.zst.age'))) {
    const { Body } = await server.client.send(new GetObjectCommand({ Bucket: 'backups', Key, VersionId }));
    expect(await Body?.transformToString('latin1')).toMatch(/^age-encryption\.org\/v1\n-> X25519 /);
  }
  const here = await inProcess(place.dir, ['keys', 'show', '--json'], place.env);
  expect(here.stdout).not.toContain('AGE-SECRET-KEY');
  const tried = ['restore', '--from', server.url('backups'), '--name', 'app', '--to', 'stolen.db'];
  const unread = await inProcess(place.dir, tried, {
    ...{ ...place.env, FACTORY_BACKUP_CREDENTIALS_1_FILE: join(safe.dir, 'credentials') },
  });
  expect([unread.exit, unread.stderr]).toEqual([1, expect.stringContaining('No age identity')]);
  const listed = await factoryJson<Listed>(safe, 'backups', 'list', '--name', 'app');
  expect(listed.answer.backups.map(({ backupId }) => backupId)).toEqual(expect.arrayContaining(nights));
  for (const [n, backupId] of nights.entries())
    expect(await restores(safe, backupId, `night-${n}.db`, '--identity', identity)).toBe(n + 1);
});

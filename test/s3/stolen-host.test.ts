import { createPrivateKey } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
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
import { readCatalog } from '../../scripts/lib/backup/catalog.ts';
import type { Entry } from '../../scripts/lib/backup/catalog.ts';
import { publicKeyOf } from '../../scripts/lib/backup/manifest.ts';
import { fake, spoil } from '../helpers/forgery.ts';
import type { Thief } from '../helpers/forgery.ts';
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
const FAKES = 40;

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

async function restores(
  at: Place,
  exit: number,
  which: string[],
  to: string,
  ...more: string[]
): Promise<unknown> {
  const ran = await inProcess(at.dir, ['restore', '--name', 'app', ...which, '--to', to, ...more], at.env);
  if (ran.exit !== exit) return `${ran.exit}: ${ran.stderr}`;
  const db = new Database(join(at.dir, to), { readonly: true });
  try {
    return db.prepare('select count(*) from night').pluck().get();
  } finally {
    db.close();
  }
}

/** The recovery key on another machine, none on the host, and the operator's own key to the bucket, which sees versions. */
function operator(server: Server, host: Place): { safe: Place; identity: string } {
  const safe = newPlace();
  onTestFinished(() => rmSync(safe.dir, { recursive: true, force: true }));
  const identity = join(safe.dir, 'recovery.key');
  const keyring = join(host.data, 'keyring');
  copyFileSync(join(keyring, 'backup-recovery.key'), identity);
  for (const name of ['backup-recovery.key', 'backup-drill.key']) rmSync(join(keyring, name));
  Object.assign(safe.env, {
    FACTORY_BACKUP_DESTINATIONS: server.url('backups'),
    FACTORY_BACKUP_CREDENTIALS_1_FILE: credentialsFile(join(safe.dir, 'credentials')),
  });
  return { safe, identity };
}

/** An overwrite only adds a version: each object shortened, then spoiled; and backups that never were. */
async function poison(s3: S3Client, thief: Omit<Thief, 'put'>, entries: readonly Entry[]): Promise<void> {
  const Bucket = 'backups';
  const put = (key: string, Body: Buffer) =>
    s3.send(new PutObjectCommand({ Bucket, Key: `team/${key}`, Body }));
  const stolenAt = thief.now();
  for (const entry of entries) {
    const { data, pages, key: identity } = entry.manifest.objects;
    for (const { key } of [data, identity, entry, ...(pages ? [pages] : [])]) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: `team/${key}` }));
      const whole = Buffer.from((await Body?.transformToByteArray()) ?? []);
      expect(whole.length).toBeGreaterThan(1);
      await put(key, whole.subarray(0, whole.length >> 1));
    }
    await spoil({ ...thief, put }, entry);
  }
  for (let n = 0; n < FAKES; n += 1)
    await fake({ ...thief, put }, entries.at(-1)!, n, { stolenAt, fence: n >= FAKES - 6 });
}

it.each([
  ['under a lock', { lock: 'COMPLIANCE' as const }],
  ['that keeps versions', { versioned: true }],
])(
  'a stolen host takes no backup out of a bucket %s, and reads none',
  { timeout: 170_000 },
  async (_what, kept) => {
    const server = await startVersity();
    await server.bucket('backups', kept);
    const user = await server.user('backups', HOST_RIGHTS);
    const { place, night } = host(server, user);
    const nights: string[] = [];
    for (let n = 1; n <= NIGHTS; n += 1) {
      night(n);
      nights.push(
        (await factoryJson<{ backupId: string }>(place, 'backup', '--full', ...APP)).answer.backupId,
      );
    }
    const { safe, identity } = operator(server, place);
    const signing = createPrivateKey(readFileSync(join(place.data, 'keyring/backup-signing.pem')));
    const shown = await inProcess(place.dir, ['keys', 'show', '--json'], place.env);
    expect(shown.stdout).not.toContain('AGE-SECRET-KEY');
    const [recipient = ''] = /age1[0-9a-z]{58}/.exec(shown.stdout) ?? [];

    const before = await versionsIn(server);
    const stolenAt = new Date().toISOString();
    const { entries } = await readCatalog(server.destination('backups', user), 'app', {
      signal: AbortSignal.timeout(60_000),
    });
    expect(entries.map(({ manifest }) => manifest.backupId)).toEqual(nights);
    const s3 = new S3Client({
      ...{ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true },
      credentials: { accessKeyId: user.access, secretAccessKey: user.secret },
    });
    onTestFinished(() => s3.destroy());
    await destroy(s3, before);
    await poison(s3, { signing, recipient, now: Date.now }, entries);
    // And with the host's own program: backups of a database of the thief's.
    const forged = new Database(join(place.dir, 'app.db'));
    forged.exec('delete from night');
    forged.close();
    for (let n = 0; n < 3; n += 1) await factory(place, 'backup', '--full', ...APP);

    expect(await versionsIn(server)).toEqual(expect.arrayContaining(before));
    // As if the nights lay some hours back: an epoch that begins now puts aside what is younger than an hour.
    const hoursAgo = new Date(Date.now() - 3 * 3_600_000);
    const old = new Set(before.map(({ VersionId }) => VersionId));
    for (const file of readdirSync(server.versions, { recursive: true, withFileTypes: true }))
      if (old.delete(file.name)) utimesSync(join(file.parentPath, file.name), hoursAgo, hoursAgo);
    expect([...old]).toEqual([]);
    for (const { Key, VersionId } of before.filter((one) => one.Key.endsWith('.zst.age'))) {
      const { Body } = await server.client.send(new GetObjectCommand({ Bucket: 'backups', Key, VersionId }));
      expect(await Body?.transformToString('latin1')).toMatch(/^age-encryption\.org\/v1\n-> X25519 /);
    }
    const tried = ['restore', '--from', server.url('backups'), '--name', 'app', '--to', 'stolen.db'];
    const unread = await inProcess(place.dir, tried, {
      ...{ ...place.env, FACTORY_BACKUP_CREDENTIALS_1_FILE: join(safe.dir, 'credentials') },
    });
    expect([unread.exit, unread.stderr]).toEqual([1, expect.stringContaining('No age identity')]);

    // The signer is in the recovery kit.
    const known = ['--identity', identity, '--trust', publicKeyOf(signing)];
    const listed = await factoryJson<Listed>(safe, 'backups', 'list', '--name', 'app');
    expect(listed.answer.backups.map(({ backupId }) => backupId)).toEqual(expect.arrayContaining(nights));
    for (const [n, backupId] of nights.entries())
      expect(await restores(safe, 0, ['--backup', backupId], `night-${n}.db`, ...known)).toBe(n + 1);
    // Whoever knows no more than the time of the theft is told of fakes that claim to be older, and gets the last night.
    expect(await restores(safe, 3, ['--at', stolenAt], 'at.db', ...known)).toBe(NIGHTS);
  },
);

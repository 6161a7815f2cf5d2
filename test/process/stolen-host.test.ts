import { generateKeyPairSync, hash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { identityToRecipient } from 'age-encryption';
import { beforeAll, describe, expect, it } from 'vitest';
import { restoreBest } from '../../scripts/lib/backup/attempt.ts';
import { candidatesOf } from '../../scripts/lib/backup/candidates.ts';
import { readCatalog } from '../../scripts/lib/backup/catalog.ts';
import type { Catalog } from '../../scripts/lib/backup/catalog.ts';
import { publicKeyOf } from '../../scripts/lib/backup/manifest.ts';
import type { Picked, Wanted } from '../../scripts/lib/backup/pick.ts';
import { restoreTo } from '../../scripts/lib/backup/restore.ts';
import type { Fetching } from '../../scripts/lib/backup/restore.ts';
import { ofSigners } from '../../scripts/lib/backup/signers.ts';
import { verifyCiphertext } from '../../scripts/lib/backup/verify.ts';
import type { Destination } from '../../scripts/lib/destinations/destination.ts';
import { s3Destination } from '../../scripts/lib/destinations/s3.ts';
import { destinations } from '../../service/config-values.ts';
import { fake, spoil } from '../helpers/forgery.ts';
import { startS3 } from '../helpers/s3-double.ts';
import type { S3Double } from '../helpers/s3-double.ts';
import { identity, newApp, transfersIn } from './backup-app.ts';
import type { App } from './backup-app.ts';

/**
 * Everything that lies on a production host is in a thief's hands: the bucket's key, which may write, list and read, the
 * key that signs manifests, the public recipients. What was there before has to be restored all the same, by somebody
 * who has the recovery key and the signer's fingerprint.
 */

const DAYS = 30;
const FAKES = 1000;
const DAY = 24 * 3_600_000;
const { signal } = new AbortController();
/** Of the host; the thief has it. */
const signing = generateKeyPairSync('ed25519').privateKey;
const recipient = await identityToRecipient(identity);

let server: S3Double;
let bucket: Destination;
let app: App;
/** By backup id: transfers in it. */
const genuine = new Map<string, number>();
let stolenAt: number;

function bucketAt(endpoint: string): Destination {
  const parsed = destinations(`s3://backups/p?endpoint=${endpoint}&forcePathStyle=true`);
  const [one] = 'value' in parsed ? parsed.value : [];
  if (one?.kind !== 's3') throw new Error('no bucket');
  return s3Destination(one, { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' });
}

/** What a PUT leaves in the bucket; a thousand real ones take long. */
function put(key: string, body: Buffer): void {
  server.objects.set(`p/${key}`, { body, at: new Date(app.clock.now).toISOString() });
}

beforeAll(async () => {
  let now = 0;
  server = await startS3({ versioned: true, forbidden: ['DELETE'], storedAt: () => app?.clock.now ?? now });
  bucket = bucketAt(server.endpoint);
  app = newApp({ kept: true });
  for (let day = 0; day < DAYS; day += 1) {
    app.transfer();
    const { backupId } = await app.backup({ destinations: [bucket], signing });
    genuine.set(backupId, day + 1);
    app.clock.now += DAY;
  }
  stolenAt = app.clock.now;
  app.clock.now += 3_600_000;
  now = app.clock.now;
  const { entries } = await readCatalog(bucket, 'app', { signal });
  const thief = { put, signing, recipient, now: () => app.clock.now };
  for (const entry of entries) await spoil(thief, entry);
  const [model] = entries.slice(-1);
  for (let n = 0; model && n < FAKES; n += 1) {
    const fence = n >= FAKES - 100;
    if (n === FAKES - 100) app.clock.now += 2 * 3_600_000;
    await fake(thief, model, n, { stolenAt, fence });
  }
  const read = await readCatalog(bucket, 'app', { signal });
  catalog = ofSigners([read], [publicKeyOf(signing)])[0] ?? read;
  return async () => {
    await server.close();
    app.db.close();
    rmSync(app.dir, { recursive: true, force: true });
  };
}, 240_000);

/** As the operator reads it: with the signer of the recovery kit. */
let catalog: Catalog;

async function restored(wanted: Wanted) {
  mkdirSync(app.dir, { recursive: true });
  const to = join(app.dir, `restored-${hash('sha256', JSON.stringify(wanted)).slice(0, 12)}.db`);
  const progress = (): void => undefined;
  const job = {
    ...{ identities: [identity], signal, progress, say: progress },
    write: (one: Fetching & Picked) => restoreTo({ ...one, to, progress }),
  };
  const candidates = candidatesOf([{ destination: bucket, catalog }], wanted, app.clock.now + DAY);
  const attempted = await restoreBest(candidates, job);
  return { ...attempted, transfers: transfersIn(to) };
}

describe('with everything of a host, a thief', () => {
  it('may write, and may not delete', async () => {
    const { entries } = catalog;
    await expect(bucket.delete(entries[0]?.key ?? '', { signal })).rejects.toMatchObject({
      code: 'destination-forbidden',
    });
    const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
    const client = new S3Client({
      ...{ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true, credentials },
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });
    const Key = `p/${entries[0]?.manifest.objects.data.key}`;
    await client.send(new PutObjectCommand({ Bucket: 'backups', Key, Body: 'gone again' }));
    expect(server.versions.filter(({ key }) => key === Key)).toHaveLength(3);
  });

  it('hides none of the backups that were there', async () => {
    const { entries } = catalog;
    const ids = entries.map(({ manifest }) => manifest.backupId);
    expect(ids.filter((id) => genuine.has(id))).toEqual([...genuine.keys()]);
  });

  it('keeps none of thirty days from being restored', async () => {
    for (const [backupId, transfers] of genuine) {
      const one = await restored({ backupId });
      expect([one.transfers, one.failed]).toEqual([transfers, []]);
    }
  }, 120_000);

  it('does not make the host see damage in what was there', async () => {
    const { entries } = catalog;
    for (const entry of entries.filter(({ manifest }) => genuine.has(manifest.backupId)).slice(0, 3))
      expect(await verifyCiphertext(bucket, entry, signal)).toBeNull();
  });

  it('does not get between a time before the theft and its backup', async () => {
    const found = await restored({ at: stolenAt - 1 });
    expect(found.transfers).toBe(DAYS);
    expect(found.failed).toEqual([]);
    // Fakes that claim to be older than the theft are told, and not taken.
    expect(found.doubted.length).toBeGreaterThan(0);
  });

  it('gets no fake restored as the newest: the newest that restores is, and the fakes are named', async () => {
    const found = await restored('newest');
    expect(found.transfers).toBe(DAYS);
    expect(found.failed.length).toBeGreaterThan(300);
    expect(found.failed.every(({ backupId }) => !genuine.has(backupId))).toBe(true);
  }, 120_000);
});

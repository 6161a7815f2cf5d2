import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { PROBE_KEY } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { patiently } from './patience.ts';
import { clientConfig, timesOf } from './s3-client.ts';
import type { Env, S3 } from './s3-client.ts';
import { isBusy, s3Error, statusOf } from './s3-errors.ts';
import { removeVersions } from './s3-versions.ts';

/** 503 is routine at B2 and says nothing of what a bucket can do; who asks waits in front of a screen. */
const BUSY_MS = 3000;

interface At {
  client: S3Client;
  Bucket: string;
  Key: string;
  found: Capabilities;
}

/** Fills in what a bucket can do. Errors: what keeps it from being listed, written and read. */
export async function probeBucket(configured: S3, env: Env, found: Capabilities): Promise<void> {
  const { bucket: Bucket, prefix, url } = configured;
  const Key = prefix === '' ? PROBE_KEY : `${prefix}/${PROBE_KEY}`;
  const config = clientConfig(configured, env, timesOf(configured.giveUpMs));
  const at = { client: new S3Client(config), Bucket, Key, found };
  try {
    found.clockSkewSeconds = await skewOf(configured);
    await ask(() => at.client.send(new ListObjectsV2Command({ Bucket, Prefix: Key, MaxKeys: 1 })));
    await tryContent(at);
    await readSettings(at);
    found.conditionalWrites = await tryCondition(at);
    found.crc32 = await accepts(() =>
      new S3Client({ ...config, requestChecksumCalculation: 'WHEN_SUPPORTED' }).send(
        new PutObjectCommand({ Bucket, Key, Body: 'probe' }),
      ),
    );
  } catch (error) {
    throw s3Error('probe', url, error);
  } finally {
    if (found.write) await tryDelete(at).catch(() => undefined);
    at.client.destroy();
  }
}

/** Asks again for a moment where the server is only busy. */
const ask = <T>(work: () => Promise<T>): Promise<T> =>
  patiently(work, {
    ...{ ms: () => BUSY_MS, tryMs: 0, firstPauseMs: 250, mostPauseMs: 1000, worth: isBusy },
    signal: new AbortController().signal,
  });

/** By the Date of any answer: servers refuse signatures that are a quarter of an hour off. */
async function skewOf({ endpoint, region }: S3): Promise<number | null> {
  const address = endpoint ?? `https://s3.${region ?? 'us-east-1'}.amazonaws.com`;
  try {
    const { headers } = await fetch(address, { method: 'HEAD', signal: AbortSignal.timeout(10_000) });
    const date = Date.parse(headers.get('date') ?? '');
    return Number.isNaN(date) ? null : Math.round((date - Date.now()) / 1000);
  } catch {
    // That it does not answer is told by the calls that follow.
    return null;
  }
}

async function tryContent({ client, Bucket, Key, found }: At): Promise<void> {
  const Body = Buffer.from(`probe ${found.at}`);
  const ContentMD5 = createHash('md5').update(Body).digest('base64');
  await ask(() => client.send(new PutObjectCommand({ Bucket, Key, Body, ContentMD5 })));
  found.write = true;
  const { Body: back } = await ask(() => client.send(new GetObjectCommand({ Bucket, Key })));
  found.read = (await back?.transformToString()) === Body.toString();
}

/** What a key may not read stays unknown. */
async function readSettings({ client, Bucket, found }: At): Promise<void> {
  const refused = (error: unknown): number => {
    const status = statusOf(error);
    if (status === null || (status >= 500 && status !== 501)) throw error;
    return status;
  };
  await ask(() => client.send(new GetBucketVersioningCommand({ Bucket }))).then(
    ({ Status }) =>
      (found.versioning = Status === 'Enabled' ? 'enabled' : Status === 'Suspended' ? 'suspended' : 'off'),
    refused,
  );
  await ask(() => client.send(new GetObjectLockConfigurationCommand({ Bucket }))).then(
    ({ ObjectLockConfiguration: { Rule } = {} }) => {
      const { Mode, Days, Years } = Rule?.DefaultRetention ?? {};
      found.lock = Mode ? { mode: Mode, days: Days ?? 365 * (Years ?? 0) } : 'off';
    },
    (error: unknown) => void (refused(error) === 404 && (found.lock = 'off')),
  );
  await ask(() => client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))).then(
    ({ Rules = [] }) => {
      const days = Rules.filter(({ Status }) => Status === 'Enabled').map(
        ({ Expiration }) => Expiration?.Days,
      );
      const least = Math.min(...days.filter((each) => each !== undefined));
      found.expiresAfterDays = Number.isFinite(least) ? least : null;
    },
    refused,
  );
}

async function tryCondition({ client, Bucket, Key }: At): Promise<Capabilities['conditionalWrites']> {
  try {
    const command = new PutObjectCommand({ Bucket, Key, Body: 'probe', IfNoneMatch: '*' });
    await ask(() => client.send(command));
    return 'ignored';
  } catch (error) {
    // A conflict: somebody else probed and deleted meanwhile. Only who looks at the condition sees that.
    if (statusOf(error) === 412 || (error as Error).name === 'ConditionalRequestConflict') return 'kept';
    return isNoAnswer(error) ? 'unknown' : 'refused';
  }
}

/** Null: it did not say. */
async function accepts(work: () => Promise<unknown>): Promise<boolean | null> {
  try {
    await ask(work);
    return true;
  } catch (error) {
    return isNoAnswer(error) ? null : false;
  }
}

const isNoAnswer = (error: unknown): boolean => statusOf(error) === null || isBusy(error);

async function tryDelete({ client, Bucket, Key, found }: At): Promise<void> {
  found.delete = await accepts(() => client.send(new DeleteObjectCommand({ Bucket, Key })));
  if (found.versioning === 'off') return;
  await removeVersions({ client, ask, Bucket, Key, signal: AbortSignal.timeout(15_000) });
  const command = new ListObjectVersionsCommand({ Bucket, Prefix: Key });
  const { Versions = [] } = await ask(() => client.send(command));
  found.deleteVersions = Versions.length === 0;
}

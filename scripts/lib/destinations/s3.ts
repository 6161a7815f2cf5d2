import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import type { Destination as Configured } from '../../../service/config.ts';
import { FactoryError } from '../../../service/errors.ts';
import type { Content, Destination, Limits, Stored } from './destination.ts';

/**
 * An S3-compatible bucket. Settings for what Backblaze B2 and DigitalOcean Spaces really take: no checksum trailers
 * (their servers refuse them, or store the framing), bodies of known length with our own Content-MD5, which Object Lock
 * asks for. No conditional writes: B2 rejects them, so a key is looked at before it is written, and keys are unique.
 */

type S3 = Extract<Configured, { kind: 's3' }>;

/** Parts have to be 5 MiB or more; 10,000 of these are 156 GiB. */
const PART_BYTES = 16 * 1024 * 1024;
/**
 * A dead or silent endpoint is given up within a minute: three tries of at most these two, and the pauses between them.
 * A slow one that goes on is not.
 */
const TIMES = { connectMs: 5000, silentMs: 15_000 };
const ATTEMPTS = 3;

export function s3Destination(
  configured: S3,
  env: NodeJS.ProcessEnv | Record<string, string | undefined>,
  times: typeof TIMES = TIMES,
): Destination {
  const { url, bucket: Bucket, prefix } = configured;
  const client = new S3Client(clientConfig(configured, env, times));
  const keyOf = (key: string): string => (prefix === '' ? key : `${prefix}/${key}`);
  const call = async <T>(what: string, key: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw s3Error(what, `${url} ${key}`, error);
    }
  };

  /** By listing: a HEAD that is refused says nothing of why, and a key that may not read could not ask. */
  async function exists(Key: string, { signal }: Limits): Promise<boolean> {
    const first = { Bucket, Prefix: Key, MaxKeys: 1 };
    const { Contents } = await client.send(new ListObjectsV2Command(first), { abortSignal: signal });
    return Contents?.[0]?.Key === Key;
  }

  async function putWhole(Key: string, Body: Buffer, { signal }: Limits): Promise<void> {
    const sized = { ContentLength: Body.length, ContentMD5: md5(Body) };
    await client.send(new PutObjectCommand({ Bucket, Key, Body, ...sized }), { abortSignal: signal });
  }

  async function putParts(
    Key: string,
    content: { path: string; bytes: number },
    limits: Limits,
  ): Promise<void> {
    const abortSignal = limits.signal;
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }), {
      abortSignal,
    });
    const file = await open(content.path);
    try {
      const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
      for (let at = 0; at < content.bytes; at += PART_BYTES) {
        const Body = Buffer.allocUnsafe(Math.min(PART_BYTES, content.bytes - at));
        await file.read(Body, 0, Body.length, at);
        const PartNumber = Parts.length + 1;
        const part = {
          Bucket,
          Key,
          UploadId,
          PartNumber,
          Body,
          ContentLength: Body.length,
          ContentMD5: md5(Body),
        };
        const { ETag } = await client.send(new UploadPartCommand(part), { abortSignal });
        Parts.push({ ETag, PartNumber });
      }
      const complete = { Bucket, Key, UploadId, MultipartUpload: { Parts } };
      await client.send(new CompleteMultipartUploadCommand(complete), { abortSignal });
    } catch (error) {
      // Parts that were sent cost money until somebody removes them. A key that may not do that leaves it to the bucket.
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
  }

  return {
    url,

    put: (key, content, limits) =>
      call('write', key, async () => {
        const Key = keyOf(key);
        if (await exists(Key, limits)) throw objectExists(`${url} ${key}`);
        if ('path' in content && content.bytes > PART_BYTES) await putParts(Key, content, limits);
        else await putWhole(Key, await bytesOf(content), limits);
      }),

    get: (key, { signal }) =>
      call('read', key, async () => {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: keyOf(key) }), {
          abortSignal: signal,
        });
        return Body as Readable;
      }),

    list: (below, { signal }) =>
      call('list', below, async () => {
        const stored: Stored[] = [];
        let ContinuationToken: string | undefined;
        do {
          const page = await client.send(
            new ListObjectsV2Command({
              Bucket,
              Prefix: keyOf(below),
              ...(ContinuationToken && { ContinuationToken }),
            }),
            { abortSignal: signal },
          );
          for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
            const key = prefix === '' ? Key : Key.slice(prefix.length + 1);
            stored.push({ key, bytes: Size, storedAt: (LastModified ?? new Date(0)).toISOString() });
          }
          ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
        } while (ContinuationToken !== undefined);
        return stored;
      }),

    delete: (key, { signal }) =>
      call('delete', key, async () => {
        await client.send(new DeleteObjectCommand({ Bucket, Key: keyOf(key) }), { abortSignal: signal });
      }),
  };
}

function clientConfig(
  { endpoint, region, forcePathStyle, credentialsFile }: S3,
  env: Record<string, string | undefined>,
  { connectMs, silentMs }: typeof TIMES,
): S3ClientConfig {
  return {
    ...(endpoint === null ? {} : { endpoint }),
    region: region ?? env['AWS_REGION'] ?? 'us-east-1',
    forcePathStyle,
    credentials: credentialsFrom(credentialsFile, env),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: ATTEMPTS,
    // Of silence, not of the whole request: a part can take minutes on a thin line.
    requestHandler: { connectionTimeout: connectMs, socketTimeout: silentMs },
  };
}

/** A file as AWS's tools write it: `aws_access_key_id = …` and `aws_secret_access_key = …`, whatever profile is above. */
function credentialsFrom(
  file: string | null,
  env: Record<string, string | undefined>,
): { accessKeyId: string; secretAccessKey: string } {
  const text = file === null ? '' : readCredentials(file);
  const found = (name: string): string | undefined =>
    file === null
      ? env[name.toUpperCase()]
      : new RegExp(`^\\s*${name}\\s*=\\s*(\\S+)\\s*$`, 'mi').exec(text)?.[1];
  const [accessKeyId, secretAccessKey] = [found('aws_access_key_id'), found('aws_secret_access_key')];
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey };
  throw new FactoryError({
    code: 'destination-credentials',
    op: 'read credentials',
    target: file ?? 'AWS_ACCESS_KEY_ID',
    message:
      file === null
        ? 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set.'
        : `${file} holds no pair of keys.`,
    hint: 'Set them, or name a file with aws_access_key_id and aws_secret_access_key: FACTORY_BACKUP_CREDENTIALS_1_FILE.',
  });
}

function readCredentials(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new FactoryError({
      code: 'destination-credentials',
      op: 'read credentials',
      target: file,
      message: `${file} cannot be read: ${(cause as Error).message}.`,
      hint: 'Check the path and that this user may read it.',
      cause,
    });
  }
}

async function bytesOf(content: Content): Promise<Buffer> {
  if ('data' in content) return content.data;
  const file = await open(content.path);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

const md5 = (data: Buffer): string => createHash('md5').update(data).digest('base64');

function statusOf(error: unknown): number | null {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? null;
}

function objectExists(target: string): FactoryError {
  return new FactoryError({
    code: 'destination-object-exists',
    op: 'write in destination',
    target,
    message: `${target} exists already and is not replaced.`,
    hint: 'Look who else writes there: each installation needs a prefix of its own.',
  });
}

/** What the answer means, by its status and name. */
function s3Error(what: string, target: string, cause: unknown): unknown {
  if (cause instanceof FactoryError) return cause;
  const { name, message } = cause as Error;
  const [code, why, hint] = meaning(statusOf(cause), name, message);
  const retryable = code === 'destination-failed' || code === 'destination-timeout';
  return new FactoryError({
    code,
    op: `${what} in destination`,
    target,
    message: `${target} ${why}.`,
    hint,
    retryable,
    cause,
  });
}

function meaning(
  status: number | null,
  name: string,
  message: string,
): [code: string, why: string, hint: string] {
  if (name === 'RequestTimeTooSkewed')
    return [
      'destination-clock',
      'refuses this machine: its clock is wrong',
      'Set the clock: timedatectl set-ntp true.',
    ];
  if (name === 'NoSuchBucket')
    return ['destination-missing', 'names no bucket that is there', 'Check the name, region and endpoint.'];
  if (name === 'InvalidAccessKeyId' || name === 'SignatureDoesNotMatch')
    return [
      'destination-credentials',
      'does not know these credentials',
      'Check the key, and that it is of this provider.',
    ];
  if (status === 404)
    return ['destination-object-missing', 'is not there', 'Look what `backups list` shows.'];
  if (status === 403)
    return [
      'destination-forbidden',
      `is forbidden to this key (${name})`,
      'Give the key the right to list, read and write in this bucket.',
    ];
  if (name === 'AbortError' || name === 'TimeoutError')
    return [
      'destination-timeout',
      'did not answer in time',
      'Look at the network and the provider; the next run tries again.',
    ];
  return [
    'destination-failed',
    `answers ${status ?? 'nothing'}: ${message || name}`,
    'Look at the network and the provider; the next run tries again.',
  ];
}

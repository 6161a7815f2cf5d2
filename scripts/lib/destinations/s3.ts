import { readFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
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
import type { _Object, ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import type { Destination, Limits, Putting, Stored } from './destination.ts';
import { wholeFile } from './growing.ts';
import type { Growing } from './growing.ts';
import { patiently } from './patience.ts';
import { clientConfig, timesOf } from './s3-client.ts';
import type { Env, S3, Times } from './s3-client.ts';
import { removeVersions } from './s3-versions.ts';
import { isBusy, isPassing, objectExists, s3Error, statusOf } from './s3-errors.ts';
import { listVersions } from './s3-history.ts';
import { measured, PART_BYTES, sendParts } from './s3-parts.ts';

/**
 * An S3-compatible bucket. Bodies have a known length and our own Content-MD5, which Object Lock asks for. No
 * conditional writes: B2 rejects them, so a key is looked at before it is written, and keys are unique.
 */

const MOST_PAUSE_MS = 5000;
/** For a part of a busy server, as B2 asks for. */
const PART_PAUSES_MS = { first: 1000, most: 3_600_000 };

export function s3Destination(configured: S3, env: Env, some: Partial<Times> = {}): Destination {
  const { url, bucket: Bucket, prefix } = configured;
  const times = { ...timesOf(configured.giveUpMs), ...some };
  const client = new S3Client(clientConfig(configured, env, times));
  const keyOf = (key: string): string => (prefix === '' ? key : `${prefix}/${key}`);
  const nameOf = (key: string): string => (prefix === '' ? key : key.slice(prefix.length + 1));

  const call = async <T>(what: string, key: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw s3Error(what, `${url} ${key}`, error);
    }
  };
  const rules = { tryMs: times.silentMs, worth: isPassing };
  /** A dead or silent server is given up in time; one that is only busy now and then is asked again until it answers. */
  const ask = <T>(work: () => Promise<T>, { signal }: Limits): Promise<T> =>
    patiently(work, {
      ...rules,
      ...{ ms: () => times.giveUpMs, firstPauseMs: times.pauseMs, mostPauseMs: MOST_PAUSE_MS, signal },
    });
  const askForPart = <T>(work: () => Promise<T>, { signal }: Limits): Promise<T> =>
    patiently(work, {
      ...{ ...rules, ms: (error) => (isBusy(error) ? times.partMs : times.giveUpMs), signal },
      ...{ firstPauseMs: Math.max(times.pauseMs, PART_PAUSES_MS.first), mostPauseMs: PART_PAUSES_MS.most },
    });

  async function page(Prefix: string, more: object, limits: Limits): Promise<ListObjectsV2CommandOutput> {
    const command = new ListObjectsV2Command({ Bucket, Prefix, ...more });
    return ask(() => client.send(command, { abortSignal: limits.signal }), limits);
  }

  /**
   * Bytes of the object of a key; null: there is none. By listing: a HEAD that is refused says nothing of why, and a key
   * that may not read could not ask.
   */
  async function sizeAt(Key: string, limits: Limits): Promise<number | null> {
    const { Contents: [first] = [] } = await page(Key, { MaxKeys: 1 }, limits);
    return first?.Key === Key ? (first.Size ?? 0) : null;
  }

  async function putWhole(Key: string, Body: Buffer, limits: Limits): Promise<void> {
    const command = new PutObjectCommand({ Bucket, Key, ...measured(Body) });
    await ask(() => client.send(command, { abortSignal: limits.signal }), limits);
  }

  /** In parts, which are an object only when the file is approved. */
  async function putParts(Key: string, file: Growing, limits: Limits): Promise<void> {
    const create = new CreateMultipartUploadCommand({ Bucket, Key });
    const { UploadId } = await ask(() => client.send(create, { abortSignal: limits.signal }), limits);
    try {
      const Parts = await sendParts(
        file,
        async (PartNumber, part, signal) => {
          const command = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, ...part });
          const { ETag } = await askForPart(() => client.send(command, { abortSignal: signal }), { signal });
          return { ETag, PartNumber };
        },
        limits.signal,
      );
      await file.approved;
      const { bytes } = await file.until(0);
      const complete = new CompleteMultipartUploadCommand({
        ...{ Bucket, Key, UploadId, MultipartUpload: { Parts } },
      });
      await ask(() => client.send(complete, { abortSignal: limits.signal }), limits).catch(
        async (error: unknown) => {
          // Its answer was lost: asked again, the server knows no such upload, and has the object.
          if (statusOf(error) !== 404 || (await sizeAt(Key, limits)) !== bytes) throw error;
        },
      );
    } catch (error) {
      // Parts that were sent cost money until somebody removes them. A key that may not do that leaves it to the bucket.
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => undefined);
      throw error;
    }
  }

  async function putGrowing(Key: string, file: Growing, limits: Limits): Promise<void> {
    const { bytes } = await file.until(PART_BYTES + 1);
    if (bytes > PART_BYTES) return putParts(Key, file, limits);
    await file.approved;
    await putWhole(Key, await readFile(file.path), limits);
  }

  const write = (key: string, content: Growing | { data: Buffer }, limits: Putting): Promise<void> =>
    call('write', key, async () => {
      const Key = keyOf(key);
      const isTaken = limits.replace !== true && (await sizeAt(Key, limits)) !== null;
      if (isTaken) throw objectExists(`${url} ${key}`);
      await ('data' in content ? putWhole(Key, content.data, limits) : putGrowing(Key, content, limits));
    });

  return {
    url,

    put: (key, content, limits) =>
      write(key, 'data' in content ? content : wholeFile(content.path, content.bytes), limits),

    putGrowing: write,

    get: (key, limits) =>
      call('read', key, async () => {
        const command = new GetObjectCommand({ Bucket, Key: keyOf(key), VersionId: limits.version });
        const { Body } = await ask(() => client.send(command, { abortSignal: limits.signal }), limits);
        return told(Body as Readable, (error) => s3Error('read', `${url} ${key}`, error));
      }),

    list: (below, limits) =>
      call('list', below, async () => {
        const stored: Stored[] = [];
        let ContinuationToken: string | undefined;
        do {
          const found = await page(keyOf(below), ContinuationToken ? { ContinuationToken } : {}, limits);
          stored.push(...(found.Contents ?? []).map((one) => storedOf(one, nameOf)));
          ContinuationToken = found.IsTruncated ? found.NextContinuationToken : undefined;
        } while (ContinuationToken !== undefined);
        return stored;
      }),

    history: (below, limits) =>
      call('list versions', below, () =>
        listVersions(
          (command) => ask(() => client.send(command, { abortSignal: limits.signal }), limits),
          { Bucket, Prefix: keyOf(below) },
          nameOf,
        ),
      ),

    delete: (key, limits) =>
      call('delete', key, async () => {
        const Key = keyOf(key);
        const command = new DeleteObjectCommand({ Bucket, Key });
        const { signal } = limits;
        const { DeleteMarker } = await ask(() => client.send(command, { abortSignal: signal }), limits);
        if (DeleteMarker)
          await removeVersions({ client, ask: (work) => ask(work, limits), Bucket, Key, signal });
      }),
  };
}

function storedOf({ Key = '', Size = 0, LastModified }: _Object, nameOf: (key: string) => string): Stored {
  return { key: nameOf(Key), bytes: Size, storedAt: (LastModified ?? new Date(0)).toISOString() };
}

/** The same bytes; a connection that breaks is told as what it is, and not as damage of what was read. */
function told(source: Readable, tell: (error: unknown) => Error): Readable {
  const out = new PassThrough({ highWaterMark: 1024 * 1024 });
  source.on('error', (error) => out.destroy(tell(error)));
  out.on('close', () => source.destroy());
  return source.pipe(out);
}

import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { CompletedPart, S3ClientConfig } from '@aws-sdk/client-s3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startS3 } from './s3-double.ts';
import type { Provider, S3Double } from './s3-double.ts';

/** In what the providers of the double differ: each claim of its comment, as a client meets it. */

const MIB = 1024 * 1024;
const at = { Bucket: 'backups', Key: 'x' };

async function double(
  provider: Provider,
  options: Parameters<typeof startS3>[0] = {},
  config: S3ClientConfig = {},
): Promise<{ server: S3Double; client: S3Client }> {
  const server = await startS3({ provider, ...options });
  const client = new S3Client({
    ...{ endpoint: server.endpoint, region: 'eu', forcePathStyle: true, maxAttempts: 1 },
    ...{ credentials: { accessKeyId: 'key', secretAccessKey: 'secret' } },
    // It talks of streams that it will not send again.
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    ...config,
  });
  onTestFinished(async () => {
    client.destroy();
    await server.close();
  });
  return { server, client };
}

/** What a request is answered: its status, or the name of what it is refused with. */
async function told(request: Promise<{ $metadata: { httpStatusCode?: number | undefined } }>) {
  return request.then(
    ({ $metadata }) => $metadata.httpStatusCode,
    (error: Error) => error.name,
  );
}

const PROVIDERS = ['aws', 'b2', 'spaces'] as const;

describe('a write on condition that nothing is there', () => {
  it.each<[Provider, (number | string)[]]>([
    ['aws', [200, 'PreconditionFailed']],
    ['b2', ['NotImplemented', 'NotImplemented']],
    ['spaces', [200, 'PreconditionFailed']],
  ])('to %s', async (provider, answers) => {
    const { server, client } = await double(provider);
    const write = (Body: string) =>
      told(client.send(new PutObjectCommand({ ...at, Body, IfNoneMatch: '*' })));
    expect([await write('1'), await write('2')]).toEqual(answers);
    expect(server.objects.get('x')?.body.toString()).toBe(provider === 'b2' ? undefined : '1');
  });

  it('to aws while somebody deletes it', async () => {
    const { server, client } = await double('aws');
    await client.send(new PutObjectCommand({ ...at, Body: '1' }));
    server.fault = ({ method }) => (method === 'PUT' ? { kind: 'delay', ms: 300 } : undefined);
    const write = () => told(client.send(new PutObjectCommand({ ...at, Body: '2', IfNoneMatch: '*' })));
    const first = write();
    while (!server.asked.slice(1).some(({ method }) => method === 'PUT')) await sleep(5);
    await client.send(new DeleteObjectCommand(at));
    // Whoever comes again after a conflict is answered.
    expect([await first, await write()]).toEqual(['ConditionalRequestConflict', 200]);
  });
});

describe('checksums that the SDK adds by itself', () => {
  const config = { requestChecksumCalculation: 'WHEN_SUPPORTED' } as const;

  it.each<[Provider, number | string]>([
    ['aws', 200],
    ['b2', 'InvalidArgument'],
    ['spaces', 200],
  ])('to %s', async (provider, answer) => {
    const { client } = await double(provider, {}, config);
    expect(await told(client.send(new PutObjectCommand({ ...at, Body: 'x' })))).toBe(answer);
    const upload = new CreateMultipartUploadCommand({ ...at, ChecksumAlgorithm: 'CRC32' });
    expect(await told(client.send(upload))).toBe(answer);
  });

  it.each(PROVIDERS)('are refused after a body in chunks by %s', async (provider) => {
    const { server, client } = await double(provider, {}, config);
    const Body = Readable.from([Buffer.from('x')]);
    const answer = await told(client.send(new PutObjectCommand({ ...at, Body, ContentLength: 1 })));
    expect(answer).toBe(provider === 'b2' ? 'InvalidArgument' : 'MissingContentLength');
    expect(server.objects.size).toBe(0);
  });
});

describe('what is deleted', () => {
  it.each<Provider>(['aws', 'spaces'])('is gone from %s', async (provider) => {
    const { server, client } = await double(provider);
    await client.send(new PutObjectCommand({ ...at, Body: '1' }));
    const { DeleteMarker } = await client.send(new DeleteObjectCommand(at));
    expect([DeleteMarker, server.versions]).toEqual([undefined, []]);
  });

  it('is only hidden in b2, until its versions are deleted', async () => {
    const { server, client } = await double('b2');
    for (const Body of ['1', '2']) await client.send(new PutObjectCommand({ ...at, Body }));
    const { DeleteMarker, VersionId: mark } = await client.send(new DeleteObjectCommand(at));
    expect([DeleteMarker, await told(client.send(new GetObjectCommand(at)))]).toEqual([true, 'NoSuchKey']);
    const { Versions = [], DeleteMarkers = [] } = await client.send(
      new ListObjectVersionsCommand({ Bucket: 'backups' }),
    );
    expect(DeleteMarkers.map(({ VersionId, IsLatest }) => [VersionId, IsLatest])).toEqual([[mark, true]]);
    const [newer, older] = Versions.map(({ VersionId }) => VersionId);
    const hidden = await client.send(new GetObjectCommand({ ...at, VersionId: older }));
    expect(await hidden.Body?.transformToString()).toBe('1');
    await client.send(new DeleteObjectCommand({ ...at, VersionId: newer }));
    await client.send(new DeleteObjectCommand({ ...at, VersionId: mark }));
    expect(server.objects.get('x')?.body.toString()).toBe('1');
    await client.send(new DeleteObjectCommand({ ...at, VersionId: older }));
    expect([server.versions, server.objects.size]).toEqual([[], 0]);
  });
});

describe('an object that is written often', () => {
  it.each<[Provider, number | string]>([
    ['aws', 200],
    ['b2', 200],
    ['spaces', 'SlowDown'],
  ])('in %s', async (provider, sixth) => {
    let later = 0;
    const { client } = await double(provider, { now: () => Date.now() + later });
    const write = (Key: string) => told(client.send(new PutObjectCommand({ ...at, Key, Body: 'x' })));
    for (let n = 0; n < 5; n += 1) expect(await write('x')).toBe(200);
    expect([await write('x'), await write('y')]).toEqual([sixth, 200]);
    later = 4 * 60_000;
    expect(await write('x')).toBe(sixth);
    later = 5 * 60_000 + 1000;
    expect(await write('x')).toBe(200);
  });
});

describe.each(PROVIDERS)('an upload in parts to %s', (provider) => {
  async function upload(sizes: readonly number[]) {
    const { server, client } = await double(provider);
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(at));
    const Parts: CompletedPart[] = [];
    for (const [n, size] of sizes.entries()) {
      const part = { UploadId, PartNumber: n + 1, Body: Buffer.alloc(size, n) };
      const { ETag } = await client.send(new UploadPartCommand({ ...at, ...part }));
      Parts.push({ ETag, PartNumber: n + 1 });
    }
    const complete = (parts: CompletedPart[]) =>
      told(
        client.send(
          new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts: parts } }),
        ),
      );
    return { server, Parts, complete };
  }

  it('takes a small part only as the last one', async () => {
    const small = await upload([5 * MIB - 1, 5 * MIB]);
    expect([await small.complete(small.Parts), small.server.objects.size]).toEqual(['EntityTooSmall', 0]);
    const { server, Parts, complete } = await upload([5 * MIB, 1]);
    expect(await complete(Parts)).toBe(200);
    expect(server.objects.get('x')?.body.length).toBe(5 * MIB + 1);
  });

  it('becomes what its end names, and not what was sent', async () => {
    const { server, Parts, complete } = await upload([5 * MIB, 7]);
    expect(
      await complete(Parts.map((part) => ({ ...part, ETag: '"0123456789abcdef0123456789abcdef"' }))),
    ).toBe('InvalidPart');
    expect(await complete(Parts.slice(1))).toBe(200);
    expect(server.objects.get('x')?.body.length).toBe(7);
  });
});

import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Destination } from '../../../scripts/lib/destinations/destination.ts';
import { folderDestination } from '../../../scripts/lib/destinations/folder.ts';
import { s3Destination } from '../../../scripts/lib/destinations/s3.ts';
import type { Times } from '../../../scripts/lib/destinations/s3-client.ts';
import { startS3 } from '../../helpers/s3-double.ts';
import type { Provider, S3Double } from '../../helpers/s3-double.ts';

const { signal } = new AbortController();
const limits = { signal };
const KEYS = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'factory-destination-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function bucketAt(
  double: S3Double,
  options: {
    prefix?: string;
    env?: Record<string, string>;
    bucket?: string;
    times?: Partial<Times>;
    endpoint?: string;
  } = {},
): Destination {
  const { prefix = 'here', env = KEYS, bucket = 'backups', times, endpoint = double.endpoint } = options;
  const rest = { region: 'eu', forcePathStyle: true, credentialsFile: null, giveUpMs: 20_000 };
  const url = `s3://${bucket}/${prefix}`;
  return s3Destination({ kind: 's3', url, bucket, prefix, endpoint, ...rest }, env, {
    pauseMs: 20,
    ...times,
  });
}

async function double(
  provider: Provider = 'aws',
  options: Parameters<typeof startS3>[0] = {},
): Promise<S3Double> {
  const server = await startS3({ provider, ...options });
  onTestFinished(() => server.close());
  return server;
}

const KINDS: [string, () => Promise<Destination>][] = [
  ['a folder', async () => folderDestination('file:///x', join(folder(), 'not/yet/there'))],
  ...(['aws', 'b2', 'spaces'] as const).map((provider): [string, () => Promise<Destination>] => [
    `a bucket (${provider})`,
    async () => bucketAt(await double(provider)),
  ]),
];

describe.each(KINDS)('%s', (_kind, make) => {
  const read = async (destination: Destination, key: string): Promise<string> =>
    (await buffer(await destination.get(key, limits))).toString();

  it('gives back what was written, from memory and from a file', async () => {
    const destination = await make();
    const path = join(folder(), 'file');
    writeFileSync(path, 'from a file');
    await destination.put('a/b/one', { data: Buffer.from('from memory') }, limits);
    await destination.put('a/two', { path, bytes: 11 }, limits);
    expect(await read(destination, 'a/b/one')).toBe('from memory');
    expect(await read(destination, 'a/two')).toBe('from a file');
  });

  it('lists what is below a prefix by key, with sizes and its own time', async () => {
    const destination = await make();
    for (const key of ['full/app/2', 'full/app/1', 'full/other/1', 'diff/app/1'])
      await destination.put(key, { data: Buffer.from(key) }, limits);
    const listed = await destination.list('full/app/', limits);
    expect(listed.map(({ key, bytes }) => [key, bytes])).toEqual([
      ['full/app/1', 10],
      ['full/app/2', 10],
    ]);
    for (const { storedAt } of listed)
      expect(Math.abs(Date.parse(storedAt) - Date.now())).toBeLessThan(60_000);
    expect(await destination.list('nothing/', limits)).toEqual([]);
  });

  it('never replaces an object', async () => {
    const destination = await make();
    await destination.put('x', { data: Buffer.from('first') }, limits);
    await expect(destination.put('x', { data: Buffer.from('second') }, limits)).rejects.toMatchObject({
      code: 'destination-object-exists',
    });
    expect(await read(destination, 'x')).toBe('first');
  });

  it('says that an object is missing, and removes one twice without complaint', async () => {
    const destination = await make();
    await destination.put('x', { data: Buffer.from('1') }, limits);
    await destination.delete('x', limits);
    await destination.delete('x', limits);
    await expect(destination.get('x', limits)).rejects.toMatchObject({ code: 'destination-object-missing' });
  });
});

describe('a bucket that cannot be used', () => {
  it.each([
    ['is not there', { bucket: 'nobucket' }, 'The bucket nobucket does not exist.'],
    [
      'does not know the key',
      { env: { ...KEYS, AWS_ACCESS_KEY_ID: 'wrong' } },
      'The store refuses these credentials.',
    ],
  ])('because it %s says so in one sentence, without its address', async (_why, options, message) => {
    const destination = bucketAt(await double(), options);
    await expect(destination.list('full/notes/', limits)).rejects.toMatchObject({ message });
  });
});

describe('a folder', () => {
  it('keeps no part of what could not be written', async () => {
    const dir = folder();
    const destination = folderDestination(pathToFileURL(dir).href, dir);
    const missing = { path: join(dir, 'is-not-there'), bytes: 5 };
    await expect(destination.put('full/a', missing, limits)).rejects.toMatchObject({
      code: 'destination-object-missing',
    });
    expect(readdirSync(join(dir, 'full'))).toEqual([]);
  });

  it('gives its files to their owner alone', async () => {
    const dir = folder();
    await folderDestination('file:///x', dir).put('full/a', { data: Buffer.from('1') }, limits);
    expect(statSync(join(dir, 'full/a')).mode & 0o777).toBe(0o600);
  });
});

describe('a bucket', () => {
  it('gets a large file in parts of known length', async () => {
    const server = await double('b2');
    const path = join(folder(), 'large');
    const content = Buffer.alloc(40 * 1024 * 1024, 'x');
    writeFileSync(path, content);
    await bucketAt(server).put('large', { path, bytes: content.length }, limits);
    expect(server.objects.get('here/large')?.body.equals(content)).toBe(true);
    expect(server.asked.filter(({ query }) => query.has('partNumber'))).toHaveLength(5);
  });

  it('whose answer to the end of a large file was lost has the file', async () => {
    const server = await double('b2');
    const path = join(folder(), 'large');
    writeFileSync(path, Buffer.alloc(20 * 1024 * 1024, 'x'));
    let lost = 0;
    server.fault = ({ method, query }) =>
      method === 'POST' && query.has('uploadId') && (lost += 1) === 1 ? { kind: 'lost-reply' } : undefined;
    await bucketAt(server).put('large', { path, bytes: 20 * 1024 * 1024 }, limits);
    expect([lost, server.objects.get('here/large')?.body.length]).toEqual([2, 20 * 1024 * 1024]);
  });

  it('that is busy for longer than a dead one may be is waited for between parts', async () => {
    const server = await double('b2');
    const path = join(folder(), 'large');
    writeFileSync(path, Buffer.alloc(20 * 1024 * 1024, 'x'));
    let tries = 0;
    server.fault = ({ query }) =>
      query.get('partNumber') === '2' && (tries += 1) < 3 ? { kind: 'status', status: 503 } : undefined;
    const times = { giveUpMs: 5000, silentMs: 4500, partMs: 60_000 };
    await bucketAt(server, { times }).put('large', { path, bytes: 20 * 1024 * 1024 }, limits);
    expect(server.objects.has('here/large')).toBe(true);
  });

  it('is listed over many pages', async () => {
    const server = await double();
    for (let n = 0; n < 2500; n += 1)
      server.objects.set(`here/full/${String(n).padStart(4, '0')}`, {
        body: Buffer.alloc(1),
        at: new Date().toISOString(),
      });
    expect(await bucketAt(server).list('full/', limits)).toHaveLength(2500);
  });

  it('without a prefix is used as a whole', async () => {
    const server = await double();
    await bucketAt(server, { prefix: '' }).put('full/x', { data: Buffer.from('1') }, limits);
    expect([...server.objects.keys()]).toEqual(['full/x']);
  });

  it('is asked again where it is busy or a connection breaks', async () => {
    const server = await double();
    const faults = [{ kind: 'status', status: 503 }, { kind: 'drop' }, undefined] as const;
    let n = 0;
    server.fault = ({ method }) => (method === 'PUT' ? faults[n++ % faults.length] : undefined);
    await bucketAt(server).put('x', { data: Buffer.from('1') }, limits);
    expect(server.objects.get('here/x')?.body.toString()).toBe('1');
  });

  it('that hides what is deleted is rid of every version, also where it is busy', async () => {
    const server = await double('b2');
    const destination = bucketAt(server);
    await destination.put('x', { data: Buffer.from('1') }, limits);
    await destination.put('xy', { data: Buffer.from('2') }, limits);
    server.objects.set('here/x', { body: Buffer.from('over it'), at: new Date().toISOString() });
    let n = 0;
    server.fault = () => ((n += 1) % 2 === 1 ? { kind: 'status', status: 503 } : undefined);
    await destination.delete('x', limits);
    expect(server.versions.map(({ key }) => key)).toEqual(['here/xy']);
  });

  it('that is silent or not there is given up, and told apart from a refusal', async () => {
    const server = await double();
    server.fault = () => ({ kind: 'delay', ms: 5000 });
    const silent = bucketAt(server, { times: { giveUpMs: 3000, silentMs: 200 } });
    const away = bucketAt(server, {
      endpoint: 'http://127.0.0.1:9',
      times: { giveUpMs: 3000, silentMs: 500 },
    });
    for (const destination of [silent, away]) {
      const started = performance.now();
      await expect(destination.list('full/', limits)).rejects.toMatchObject({
        code: expect.stringMatching(/^destination-(timeout|failed)$/),
        retryable: true,
      });
      expect(performance.now() - started).toBeLessThan(4500);
    }
  });

  it('that is slow and goes on is waited for', async () => {
    const server = await double();
    server.fault = ({ method }) => (method === 'PUT' ? { kind: 'delay', ms: 600 } : undefined);
    await bucketAt(server).put('x', { data: Buffer.from('1') }, limits);
    expect(server.objects.has('here/x')).toBe(true);
  });

  it.each<[string, Parameters<typeof startS3>[0], Parameters<typeof bucketAt>[1], string]>([
    ['a wrong key', {}, { env: { ...KEYS, AWS_ACCESS_KEY_ID: 'other' } }, 'destination-credentials'],
    ['a wrong bucket', {}, { bucket: 'elsewhere' }, 'destination-missing'],
    ['a clock that is off', { now: () => Date.now() + 3_600_000 }, {}, 'destination-clock'],
    ['a key that may not write', { forbidden: ['PUT'] }, {}, 'destination-forbidden'],
  ])('says what is wrong: %s', async (_what, options, at, code) => {
    const destination = bucketAt(await double('aws', options), at);
    await expect(destination.put('x', { data: Buffer.from('1') }, limits)).rejects.toMatchObject({
      code,
      hint: expect.stringMatching(/\.$/),
    });
  });

  it('needs credentials, and says where they belong', async () => {
    const server = await double();
    expect(() => bucketAt(server, { env: {} })).toThrow(
      expect.objectContaining({ code: 'destination-credentials' }),
    );
  });
});

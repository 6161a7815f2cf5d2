import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Destination } from '../../scripts/lib/destinations/destination.ts';
import { HOST_RIGHTS, startVersity } from './server.ts';

/** Single calls: signatures, parts, versions and locks as a server has them that was not written for us. */

const limits = { signal: new AbortController().signal };
const MIB = 1024 * 1024;

const read = async (destination: Destination, key: string): Promise<string> =>
  (await buffer(await destination.get(key, limits))).toString();

function large(bytes: number): { path: string; bytes: number } {
  const dir = mkdtempSync(join(tmpdir(), 'factory-large-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'large');
  writeFileSync(path, Buffer.alloc(bytes, 'abcdefg'));
  return { path, bytes };
}

describe('a bucket', () => {
  it('takes, lists, gives back and removes objects, and replaces none', async () => {
    const server = await startVersity();
    await server.bucket('plain');
    const destination = server.destination('plain');
    for (const key of ['full/a/1', 'full/a/2', 'diff/a/1'])
      await destination.put(key, { data: Buffer.from(key) }, limits);
    expect((await destination.list('full/a/', limits)).map(({ key, bytes }) => [key, bytes])).toEqual([
      ['full/a/1', 8],
      ['full/a/2', 8],
    ]);
    expect(await read(destination, 'diff/a/1')).toBe('diff/a/1');
    await expect(destination.put('full/a/1', { data: Buffer.from('x') }, limits)).rejects.toMatchObject({
      code: 'destination-object-exists',
    });
    await destination.delete('full/a/1', limits);
    await destination.delete('full/a/1', limits);
    await expect(destination.get('full/a/1', limits)).rejects.toMatchObject({
      code: 'destination-object-missing',
    });
  });

  it('gets a large file in parts, whole', async () => {
    const server = await startVersity();
    await server.bucket('plain');
    const file = large(40 * MIB);
    const destination = server.destination('plain');
    await destination.put('large', file, limits);
    const content = await buffer(await destination.get('large', limits));
    expect(content.equals(Buffer.alloc(file.bytes, 'abcdefg'))).toBe(true);
  });

  it('whose server is killed in the middle of an upload has it all the same, once it is back', async () => {
    const server = await startVersity();
    await server.bucket('plain');
    const file = large(64 * MIB);
    const destination = server.destination('plain', undefined, { giveUpMs: 30_000 });
    const sent = destination.put('large', file, limits);
    const under = { Bucket: 'plain', Prefix: 'team/' };
    for (let n = 0; n < 500; n += 1) {
      const { Uploads = [] } = await server.client.send(new ListMultipartUploadsCommand(under));
      if (Uploads.length > 0) break;
      await sleep(5);
    }
    await server.kill();
    await server.start();
    await sent;
    const [stored] = await destination.list('large', limits);
    expect(stored?.bytes).toBe(file.bytes);
  });

  it('whose server stays away is given up, and has no part of the file', async () => {
    const server = await startVersity();
    await server.bucket('plain');
    await server.kill();
    const started = performance.now();
    const destination = server.destination('plain', undefined, { giveUpMs: 2000, silentMs: 500 });
    await expect(destination.put('large', large(20 * MIB), limits)).rejects.toMatchObject({
      code: 'destination-failed',
      retryable: true,
    });
    expect(performance.now() - started).toBeLessThan(10_000);
    await server.start();
    expect(await server.destination('plain').list('', limits)).toEqual([]);
  });

  it('tells wrong credentials and a missing bucket apart', async () => {
    const server = await startVersity();
    await server.bucket('plain');
    const strange = server.destination('plain', { access: 'nobody', secret: 'x' });
    await expect(strange.list('', limits)).rejects.toMatchObject({ code: 'destination-credentials' });
    const wrong = server.destination('plain', { access: 'root', secret: 'x' });
    await expect(wrong.list('', limits)).rejects.toMatchObject({ code: 'destination-credentials' });
    await expect(server.destination('none').list('', limits)).rejects.toMatchObject({
      code: 'destination-missing',
    });
  });
});

describe('what a key that was stolen can do', () => {
  it('is not to delete; what it overwrites is only hidden by a version', async () => {
    const server = await startVersity();
    await server.bucket('kept', { versioned: true });
    const host = server.destination('kept', await server.user('kept', HOST_RIGHTS));
    await host.put('full/a/1', { data: Buffer.from('backup') }, limits);
    await expect(host.delete('full/a/1', limits)).rejects.toMatchObject({ code: 'destination-forbidden' });
    expect(await read(host, 'full/a/1')).toBe('backup');
    // Around the product, as a thief would.
    const put = new PutObjectCommand({ Bucket: 'kept', Key: 'team/full/a/1', Body: 'poison' });
    await server.client.send(put);
    const { Versions = [] } = await server.client.send(
      new ListObjectVersionsCommand({ Bucket: 'kept', Prefix: 'team/full/a/1' }),
    );
    expect(Versions).toHaveLength(2);
  });

  it.each(['GOVERNANCE', 'COMPLIANCE'] as const)('under a %s lock not even the owner', async (lock) => {
    const server = await startVersity();
    await server.bucket('locked', { lock });
    const destination = server.destination('locked');
    await destination.put('full/a/1', { data: Buffer.from('backup') }, limits);
    const { Versions = [] } = await server.client.send(new ListObjectVersionsCommand({ Bucket: 'locked' }));
    expect(Versions).toHaveLength(1);
    const { Key, VersionId } = Versions[0] ?? {};
    const destroy = new DeleteObjectCommand({ Bucket: 'locked', Key, VersionId });
    await expect(server.client.send(destroy)).rejects.toMatchObject({ name: 'AccessDenied' });
    // A delete without a version hides it, and the version stays.
    await destination.delete('full/a/1', limits);
    const after = await server.client.send(new ListObjectVersionsCommand({ Bucket: 'locked' }));
    expect(after.Versions?.map((one) => one.VersionId)).toEqual([VersionId]);
  });
});

import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { GrowingFile } from '../../../scripts/lib/destinations/growing.ts';
import { PART_BYTES } from '../../../scripts/lib/destinations/s3-parts.ts';
import { s3Destination } from '../../../scripts/lib/destinations/s3.ts';
import { startS3 } from '../../helpers/s3-double.ts';

/** Files that are sent while they are written. */

const { signal } = new AbortController();
const MOST = 10 * PART_BYTES;
const refusal = new Error('the check refused it');

function newFile(content: Buffer): GrowingFile {
  const dir = mkdtempSync(join(tmpdir(), 'factory-growing-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const file = new GrowingFile(join(dir, 'data.age'), MOST);
  writeFileSync(file.path, content);
  return file;
}

/** A bucket, and the moments at which its server is asked to take a part. */
async function bucket() {
  const server = await startS3({ provider: 'b2' });
  onTestFinished(() => server.close());
  const taken = new Map([1, 2, 3, 4].map((part) => [part, Promise.withResolvers<void>()]));
  server.fault = ({ query }) => void taken.get(Number(query.get('partNumber')))?.resolve();
  const destination = s3Destination(
    {
      ...{ kind: 's3', url: 's3://backups/here', bucket: 'backups', prefix: 'here', region: 'eu' },
      ...{ endpoint: server.endpoint, forcePathStyle: true, credentialsFile: null, giveUpMs: 20_000 },
    },
    { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' },
  );
  const send = async (file: GrowingFile): Promise<void> => destination.putGrowing?.('x', file, { signal });
  const part = async (number: number): Promise<void> => taken.get(number)?.promise;
  return { server, send, part };
}

describe('a growing file', () => {
  it('is waited for until there is enough of it, or all', async () => {
    const file = new GrowingFile('x', MOST);
    const [five, nine] = [file.until(5), file.until(9)];
    file.note(5);
    expect(await five).toEqual({ bytes: 5, whole: false });
    file.note(7, true);
    expect(await nine).toEqual({ bytes: 7, whole: true });
    expect(await file.until(100)).toEqual({ bytes: 7, whole: true });
  });

  it('is waited for no longer once it is refused', async () => {
    const file = new GrowingFile('x', MOST);
    const waiting = file.until(5);
    file.refuse(refusal);
    await expect(waiting).rejects.toBe(refusal);
    await expect(file.until(6)).rejects.toBe(refusal);
    await expect(file.approved).rejects.toBe(refusal);
  });
});

describe('a bucket', () => {
  it('gets the parts of a file that is still written, and has an object when it is approved', async () => {
    const content = randomBytes(3 * PART_BYTES + 5);
    const { server, send, part } = await bucket();
    const file = newFile(content.subarray(0, 2 * PART_BYTES + 1));
    const sent = send(file);
    file.note(2 * PART_BYTES + 1);
    await Promise.all([part(1), part(2)]);
    appendFileSync(file.path, content.subarray(2 * PART_BYTES + 1));
    file.note(content.length, true);
    await Promise.all([part(3), part(4)]);
    expect(server.objects.size).toBe(0);
    file.approve();
    await sent;
    expect(server.objects.get('here/x')?.body.equals(content)).toBe(true);
  });

  it('keeps no part of a file that is refused while it is sent', async () => {
    const { server, send, part } = await bucket();
    const file = newFile(randomBytes(2 * PART_BYTES));
    const sent = send(file);
    file.note(2 * PART_BYTES);
    await Promise.all([part(1), part(2)]);
    file.refuse(refusal);
    await expect(sent).rejects.toMatchObject({ cause: refusal });
    expect(server.objects.size).toBe(0);
    const last = server.asked.at(-1);
    expect([last?.method, last?.query.has('uploadId')]).toEqual(['DELETE', true]);
  });

  it.each([0, 1])('is sent nothing of a small file that is refused after %i bytes of it', async (bytes) => {
    const { server, send } = await bucket();
    const file = newFile(randomBytes(1));
    const sent = send(file);
    file.note(bytes, bytes > 0);
    file.refuse(refusal);
    await expect(sent).rejects.toMatchObject({ cause: refusal });
    expect(server.asked.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  it.each([1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])('has all of a file of %i bytes', async (bytes) => {
    const content = randomBytes(bytes);
    const { server, send } = await bucket();
    const file = newFile(content);
    const sent = send(file);
    file.note(bytes, true);
    file.approve();
    await sent;
    expect(server.objects.get('here/x')?.body.equals(content)).toBe(true);
  });
});

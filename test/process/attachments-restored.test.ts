import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDatabase } from '../helpers/postgres.ts';
import { callerOf, newToken } from './client.ts';
import type { Caller } from './client.ts';
import { factory, factoryJson, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

/** Files of conversations through backup and restore, as they are typed. */

let place: Place;
beforeEach(() => {
  place = newPlace({ files: {} });
});
afterEach(() => rmSync(place.dir, { recursive: true, force: true }));

interface Files {
  call: Caller;
  /** Adds a file to a new session; answers both ids. */
  add(content: Buffer): Promise<Added>;
  /** Its status, and its content. */
  get(added: Added): Promise<[number, string]>;
}
interface Added {
  session: string;
  file: string;
}

async function served<T>(at: Place, work: (files: Files) => Promise<T>): Promise<T> {
  const service = await serve(at);
  try {
    const { token } = await newToken(at, 'owner');
    const call = callerOf(() => service.url, token);
    return await work({
      call,
      async add(content) {
        const { body: session } = await call.post('/api/sessions', { title: 'With a file' });
        const headers = { 'content-type': 'application/octet-stream' };
        const body = new Uint8Array(content);
        const sent = await call.send('POST', `/api/sessions/${session.id}/attachments`, { headers, body });
        expect(sent.status).toBe(201);
        const parts = [{ type: 'attachment', attachmentId: sent.body.id }];
        const named = await call.post(`/api/sessions/${session.id}/messages`, { role: 'user', parts });
        expect(named.status).toBe(201);
        return { session: session.id, file: sent.body.id };
      },
      async get({ session, file }) {
        const { status, text } = await call.get(`/api/sessions/${session}/attachments/${file}`);
        return [status, text];
      },
    });
  } finally {
    await service.stop();
  }
}

const content = (size = 3000): Buffer => Buffer.from(randomBytes(size).toString('hex'));
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name));
const blobs = () => filesIn(join(place.data, 'blobs'));
const sent = (end: string) =>
  filesIn(join(place.data, 'backups', 'blobs', 'factory')).filter((path) => path.endsWith(end));
const restoreInPlace = () =>
  factoryJson<{ error?: { code: string; message: string } }>(
    place,
    ...['restore', '--in-place', '--confirm', `${hostname()}/factory.db`],
  );
const undo = () => factory(place, 'restore', '--undo', '--confirm', `${hostname()}/factory.db`);

/** Each starts the product several times. */
const LONG = { timeout: 180_000 };

describe('attachments', LONG, () => {
  it('come back with the database, are sent once, and an undo has the later ones', async () => {
    const [first, second] = [content(), content()];
    const a = await served(place, ({ add }) => add(first));
    expect((await factory(place, 'backup')).code).toBe(0);
    expect([sent('.sealed').length, sent('.list').length]).toEqual([1, 1]);
    const b = await served(place, ({ add }) => add(second));
    expect((await factory(place, 'backup')).code).toBe(0);
    expect([sent('.sealed').length, sent('.list').length]).toEqual([2, 2]);
    for (const path of sent('.sealed'))
      expect(readFileSync(path).includes(first.subarray(0, 32))).toBe(false);
    const c = await served(place, ({ add }) => add(content()));
    for (const path of blobs()) unlinkSync(path);

    const restored = await restoreInPlace();
    expect(restored.code, JSON.stringify(restored.answer)).toBe(0);
    await served(place, async ({ get }) => {
      expect(await get(a)).toEqual([200, first.toString()]);
      expect(await get(b)).toEqual([200, second.toString()]);
      expect((await get(c))[0]).toBe(404);
    });
  });

  it.each(['sqlite', 'postgres'])('are fetched by a drill, byte by byte: %s', async (engine) => {
    const env: Record<string, string> =
      engine === 'postgres' ? { FACTORY_DATABASE_URL: await createDatabase() } : {};
    place = { ...place, env: { ...place.env, ...env } };
    await served(place, ({ add }) => add(content()));
    expect((await factory(place, 'backup')).code).toBe(0);
    const drill = async () => {
      const { answer } = await factoryJson<{ outcome: string; checks: { name: string }[] }>(place, 'drill');
      return [answer.outcome, answer.checks.find(({ name }) => name === 'attachments')];
    };
    const one = '1 of conversations, each with the bytes that the backup names.';
    expect(await drill()).toEqual(['pass', { name: 'attachments', status: 'pass', detail: one }]);
    const [path = ''] = sent('.sealed');
    const bytes = readFileSync(path);
    bytes[100]! ^= 1;
    writeFileSync(path, bytes);
    expect(await drill()).toEqual(['fail', expect.objectContaining({ status: 'fail' })]);
  });

  it('of before are back after an undo, also where a sweep took them away', async () => {
    const later = content();
    await served(place, ({ add }) => add(content()));
    expect((await factory(place, 'backup')).code).toBe(0);
    const after = await served(place, ({ add }) => add(later));
    expect((await restoreInPlace()).code).toBe(0);
    for (const path of blobs()) unlinkSync(path);
    const undone = await undo();
    expect(undone.code, undone.stderr).toBe(0);
    await served(place, async ({ get }) => expect(await get(after)).toEqual([200, later.toString()]));
  });

  it('go into a folder beside a new file', async () => {
    await served(place, ({ add }) => add(content()));
    expect((await factory(place, 'backup')).code).toBe(0);
    const to = join(place.dir, 'new.db');
    expect((await factory(place, 'restore', '--to', to)).code).toBe(0);
    const read = (paths: string[]) => paths.map((path) => readFileSync(path).toString('base64'));
    expect(read(filesIn(`${to}.blobs`))).toEqual(read(blobs()));
    const again = await factory(place, 'restore', '--to', `${to}.blobs/../new.db`);
    expect(again.code).not.toBe(0);
  });

  it('are read on a machine that has nothing but the destination and the keys', async () => {
    const file = content();
    const added = await served(place, ({ add }) => add(file));
    expect((await factory(place, 'backup')).code).toBe(0);
    const url = `file://${join(place.data, 'backups')}`;
    const bare = newPlace({ files: {}, env: { FACTORY_BACKUP_DESTINATIONS: url } });
    mkdirSync(bare.data, { recursive: true });
    const from = ['--from', url, '--identity', join(place.data, 'keyring/backup-recovery.key')];
    const keys = await factory(bare, 'keys', 'restore', ...from);
    expect(keys.code, keys.stderr).toBe(0);
    const signer = (await factoryJson<{ signer: string }>(place, 'keys', 'show')).answer;
    const restored = await factory(
      bare,
      ...['restore', ...from, '--in-place', '--confirm', `${hostname()}/factory.db`],
    );
    expect(restored.code, `${restored.stderr} ${JSON.stringify(signer)}`).toBe(0);
    await served(bare, async ({ get }) => expect(await get(added)).toEqual([200, file.toString()]));
    rmSync(bare.dir, { recursive: true, force: true });
  });

  it('stay deleted after a restore', async () => {
    const added = await served(place, ({ add }) => add(content()));
    expect((await factory(place, 'backup')).code).toBe(0);
    await served(place, ({ call }) => call.send('DELETE', `/api/sessions/${added.session}`));
    expect(blobs()).toEqual([]);
    expect((await restoreInPlace()).code).toBe(0);
    await served(place, async ({ get }) => expect((await get(added))[0]).toBe(410));
    expect(blobs()).toEqual([]);
  });
});

describe('an attachment that is damaged or lost', LONG, () => {
  it.each([
    ['changed', (path: string) => writeFileSync(path, flipped(readFileSync(path)))],
    ['missing', (path: string) => unlinkSync(path)],
  ])('%s in the destination is found by a check, and nothing is replaced', async (_, harm) => {
    await served(place, ({ add }) => add(content()));
    expect((await factory(place, 'backup')).code).toBe(0);
    const [path = ''] = sent('.sealed');
    harm(path);
    expect((await factory(place, 'backups', 'verify')).code).not.toBe(0);
    // What this machine still has whole is not fetched; what it lost is.
    for (const one of blobs()) unlinkSync(one);
    const restored = await restoreInPlace();
    expect(restored.answer.error?.code).toMatch(/^(backup-damaged|destination-object-missing)$/);
    // The new database would have begun an epoch.
    expect(existsSync(join(place.data, 'keyring/epoch.json'))).toBe(false);
    expect(readdirSync(place.data)).not.toContain('blobs.restoring');
    const to = join(place.dir, 'new.db');
    expect((await factory(place, 'restore', '--to', to)).code).toBe(1);
    expect(readdirSync(place.dir).filter((name) => name.startsWith('new.db'))).toEqual([]);
  });

  it('on this machine makes the backup fail, and names it', async () => {
    await served(place, ({ add }) => add(content()));
    const [path = ''] = blobs();
    unlinkSync(path);
    const { code, answer } = await factoryJson<{ error: { code: string; message: string } }>(place, 'backup');
    expect([code, answer.error.code]).toEqual([1, 'attachment-missing']);
    expect(answer.error.message).toContain(path.split('/').at(-1));
  });
});

/** One bit, in the middle. */
function flipped(bytes: Buffer): Buffer {
  const at = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return bytes;
}

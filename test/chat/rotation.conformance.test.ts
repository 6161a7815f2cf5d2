import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createAttachmentFiles } from '../../service/chat/attachments/attachment-files.ts';
import { folderBlobs } from '../../service/chat/attachments/blobs.ts';
import { keyFileBytes } from '../../service/chat/keys/key-file.ts';
import { openChatKeys } from '../../service/chat/keys/keys.ts';
import { openedKeys } from '../../service/chat/keys/opened-keys.ts';
import { createRotations, type RotationView } from '../../service/chat/keys/rotation.ts';
import { createLogger } from '../../service/logger.ts';
import { installationId } from '../../service/storage/open.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { rawSql } from '../storage/engine.ts';
import { clientOf } from './client.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);
const ROTATION = '/api/governance/key-rotation';

const rotations = () => service.context.chat.governance.rotations;
const keyringDir = () => join(service.dataDir, 'keyring');
const held = () =>
  openedKeys(
    keyFileBytes(join(keyringDir(), 'chat-keys.db')),
    readFileSync(join(keyringDir(), 'chat-root.key')),
  ).contents;
const shown = async () => (await call<{ rotation: RotationView | null }>('GET', ROTATION)).body.rotation;

async function rotate(): Promise<RotationView> {
  expect((await call('POST', ROTATION)).status).toBe(202);
  await rotations().idle();
  return (await shown())!;
}

async function read(session: string): Promise<string> {
  const answer = await fetch(`${service.url}/api/sessions/${session}/export`, {
    headers: { Authorization: `Bearer ${service.owner}` },
  });
  expect(answer.status).toBe(200);
  return answer.text();
}

/** The keys that rows name, of all that is sealed with a content key. */
async function used(): Promise<number[]> {
  const { storage } = service.context;
  const [messages, titles, files] = await Promise.all([
    storage.read.query((db) => db.selectFrom('chat_messages').select('key_id').where('body', 'is not', null)),
    storage.read.query((db) =>
      db.selectFrom('chat_sessions').select('key_id').where('title', 'is not', null),
    ),
    storage.read.query((db) => db.selectFrom('chat_attachments').select('key_id')),
  ]);
  return [...messages, ...titles, ...files].map(({ key_id }) => key_id);
}

async function write(session: string, message: object): Promise<void> {
  expect((await call('POST', `/api/sessions/${session}/messages`, message)).status).toBe(201);
}

/** A session with everything that is sealed in one. */
async function filled(): Promise<string> {
  const { id } = await begin({ subjectId: 'Ada', title: 'About Ada' });
  await say(id, 'first');
  await write(id, {
    role: 'assistant',
    subjectId: 'Bob',
    parts: [
      { type: 'text', text: 'a text that is long enough to be compressed. '.repeat(30) },
      { type: 'tool-call', toolCallId: 'c1', name: 'search', input: { query: 'x' } },
    ],
  });
  await write(id, {
    role: 'tool',
    parts: [{ type: 'tool-result', toolCallId: 'c1', name: 'search', output: { lines: ['one', 'two'] } }],
  });
  const sent = await fetch(`${service.url}/api/sessions/${id}/attachments?name=notes.txt`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${service.owner}` },
    body: 'what is in the file',
  });
  const { id: attachmentId } = (await sent.json()) as { id: string };
  await write(id, {
    role: 'user',
    parts: [{ type: 'attachment', attachmentId }],
  });
  await say(id, 'deleted later');
  expect((await call('DELETE', `/api/sessions/${id}/messages/${id}.5`)).status).toBe(204);
  return id;
}

describe('a rotation of keys', () => {
  it('seals all that is there with keys that no copy from before holds, and reads the same', async () => {
    expect(await shown()).toBeNull();
    const id = await filled();
    const [before, text] = [held(), await read(id)];
    expect(text).toContain('tool-result');
    const done = await rotate();
    expect(done).toMatchObject({ state: 'done', sealed: 6, unreadable: 0 });
    expect(done.finishedAt).not.toBeNull();
    expect(await read(id)).toBe(text);
    const now = await used();
    expect(now).toHaveLength(6);
    expect(now.filter((key) => before.has(key))).toEqual([]);
    // Backups from before are sealed with the older keys.
    expect([...before.keys()].filter((key) => !held().has(key))).toEqual([]);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('has nothing more to do after it was done, and can be done again', async () => {
    const id = await filled();
    await rotate();
    const text = await read(id);
    const again = await rotate();
    expect(again.sealed).toBe((await used()).length);
    expect(await read(id)).toBe(text);
  });

  it('knows what was sent before it by its idempotency key', async () => {
    const { id } = await begin();
    const first = await say(id, 'once', 'key-1');
    await rotate();
    const again = await say(id, 'once', 'key-1');
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body).toEqual(first.body);
    expect((await say(id, 'other', 'key-1')).status).toBe(422);
  });

  it('goes on while others write, and leaves none of theirs with an older key', async () => {
    const { id } = await begin({ title: 'Busy' });
    for (let n = 0; n < 30; n += 1) await say(id, `before ${n}`);
    const before = held();
    const writing = (async () => {
      for (let n = 0; n < 30; n += 1) await say(id, `meanwhile ${n}`);
    })();
    await rotate();
    await writing;
    expect((await used()).filter((key) => before.has(key))).toEqual([]);
    expect(await read(id)).toContain('meanwhile 29');
  });

  it('is whole after a stop in the middle, and goes on where it was', async () => {
    const { id } = await begin();
    const lines = Array.from({ length: 450 }, (_, n) => ({
      role: 'user',
      parts: [{ type: 'text', text: `line ${n}` }],
    }));
    expect((await call('POST', `/api/sessions/${id}/messages:batch`, { messages: lines })).status).toBe(201);
    const [before, text] = [held(), await read(id)];
    const { context } = service;
    const open = async () => {
      const installation = await installationId(context.storage.read);
      const keys = openChatKeys({ keyringDir: keyringDir(), installation, expected: true });
      const logger = createLogger('silent');
      const deps = { ...context, logger, projectId: 'default', keys };
      const blobs = folderBlobs(join(service.dataDir, 'blobs'));
      return { keys, rotations: createRotations(deps, createAttachmentFiles({ ...deps, blobs })) };
    };
    const first = await open();
    await first.rotations.begin({
      ...{ kind: 'person', id: 'p', personId: 'p', roles: ['owner'], permissions: new Set() },
    } as never);
    while ((first.rotations.show()?.sealed ?? 0) === 0) await sleep(1);
    await first.rotations.stop();
    first.keys.close();
    const left = (await used()).filter((key) => before.has(key)).length;
    expect(left).toBeGreaterThan(0);
    expect(await read(id)).toBe(text);
    const second = await open();
    expect(second.rotations.show()?.state).toBe('running');
    second.rotations.resume();
    await second.rotations.idle();
    expect(second.rotations.show()).toMatchObject({ state: 'done', unreadable: 0 });
    expect((await used()).filter((key) => before.has(key))).toEqual([]);
    second.keys.close();
    expect(await read(id)).toBe(text);
  });

  it('passes over a row that was altered by hand, and says so', async () => {
    const [good, bad] = [(await begin()).id, (await begin()).id];
    await say(good, 'stays readable');
    await say(bad, 'is altered');
    const url = service.context.config.databaseUrl;
    await rawSql(
      url,
      `update chat_messages set body = ${url.startsWith('sqlite:') ? "x'00'" : "'\\x00'"}
       where session = (select number from chat_sessions where id = '${bad}')`,
    );
    const done = await rotate();
    expect(done).toMatchObject({ state: 'done', unreadable: 1 });
    expect(await read(good)).toContain('stays readable');
    expect((await call<{ code: string }>('GET', `/api/sessions/${bad}/messages`)).status).toBe(500);
    expect((await call('DELETE', `/api/sessions/${bad}`)).status).toBe(204);
  });

  it('is begun by whoever governs, and seen by auditors', async () => {
    const auditor = await service.token({ role: 'auditor' });
    expect((await call('POST', ROTATION, undefined, auditor)).status).toBe(403);
    expect((await call('GET', ROTATION, undefined, auditor)).status).toBe(200);
    const planner = await service.token({ role: 'planner' });
    expect((await call('POST', ROTATION, undefined, planner)).status).toBe(403);
  });
});

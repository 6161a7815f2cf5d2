import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { openRunbook, type Shell } from '../helpers/runbook.ts';
import { callerOf, newToken } from './client.ts';
import type { Caller } from './client.ts';
import { factory, factoryJson, newPlace, serve, tryServe } from './service.ts';
import type { Place } from './service.ts';

/** runbooks/lost-key.md, command by command: an installation that lost its keyring goes on, and takes it in when it is found. */

async function served<T>(at: Place, work: (call: Caller) => Promise<T>): Promise<T> {
  const service = await serve(at);
  try {
    const { token } = await newToken(at, 'owner');
    return await work(callerOf(() => service.url, token));
  } finally {
    await service.stop();
  }
}

interface Shown {
  messages: { parts: { text: string }[]; subjectId: string; unreadable?: true; keysLostAt?: string }[];
}

async function begin(call: Caller, input: object, ...texts: string[]): Promise<string> {
  const begun = await call.post('/api/sessions', input);
  expect(begun.status).toBe(201);
  const { id } = begun.body as { id: string };
  for (const text of texts)
    expect(
      (await call.post(`/api/sessions/${id}/messages`, { role: 'user', parts: [{ type: 'text', text }] }))
        .status,
    ).toBe(201);
  return id;
}

const session = async (call: Caller, id: string) =>
  (await call.get(`/api/sessions/${id}`)).body as {
    title: string | null;
    subjectId: string;
    keysLostAt?: string;
  };
const shown = async (call: Caller, id: string): Promise<Shown['messages']> =>
  ((await call.get(`/api/sessions/${id}/messages`)).body as Shown).messages;
const textsOf = async (call: Caller, id: string) =>
  (await shown(call, id)).map(({ parts }) => parts[0]?.text);

async function audited(at: Place): Promise<void> {
  const { answer } = await factoryJson<{ ok: boolean; problems: unknown[] }>(at, 'verify-audit');
  expect(answer).toMatchObject({ ok: true, problems: [] });
}

async function erase(call: Caller, subjectId: string): Promise<void> {
  const { body, status } = await call.post('/api/governance/erasures', { subjectId, reason: 'Asked for' });
  expect(status).toBe(202);
  const { id } = body as { id: string };
  await expect
    .poll(async () => (await call.get(`/api/governance/erasures/${id}`)).body)
    .toMatchObject({ status: 'done' });
}

/** An installation with conversations and a backup, and its keyring as it was. */
async function installation() {
  const place = newPlace({ files: {} });
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  place.env['FACTORY_BACKUP_DESTINATIONS'] = pathToFileURL(join(place.dir, 'bucket')).href;
  const shell: Shell = { dir: place.dir, env: place.env };
  const ids = await served(place, async (call) => {
    await begin(call, { subjectId: 'Bob' }, 'of Bob');
    await erase(call, 'Bob');
    return {
      ada: await begin(call, { title: 'About Ada', subjectId: 'Ada' }, 'first', 'second'),
      gone: await begin(call, { title: 'Goes', subjectId: 'Cleo' }, 'goes meanwhile'),
    };
  });
  const kept = join(place.dir, 'found');
  const keyring = join(place.data, 'keyring');
  mkdirSync(kept);
  for (const name of ['chat-root.key', 'chat-keys.db']) cpSync(join(keyring, name), join(kept, name));
  return { place, shell, keyring, ...ids };
}

it.each([
  ['with everything in it', () => true],
  ['with the keys of conversations alone', (name: string) => name.startsWith('chat-')],
])('lost-key.md, where the keyring is lost %s', { timeout: 240_000 }, async (_case, isLost) => {
  const { place, shell, keyring, ada, gone } = await installation();
  expect(await factory(place, 'keys', 'lost')).toMatchObject({ code: 4 });
  for (const name of readdirSync(keyring).filter(isLost))
    rmSync(join(keyring, name), { recursive: true, force: true });
  const started = await tryServe(place);
  if ('stop' in started) await started.stop();
  expect(started).toMatchObject({ code: 1 });

  const runbook = openRunbook('runbooks/lost-key.md');
  const [plan] = await runbook.run('Go on without it', shell);
  expect(plan?.stdout).toMatch(
    /3 messages, 2 titles, 0 files[^]*in 2 sessions, and the names of \d subjects/,
  );
  expect(plan?.stdout).toContain(`${ada}  general, 2 messages`);
  // Applied once, it is not there to be applied again.
  expect(await factory(place, 'keys', 'lost')).toMatchObject({ code: 4 });

  const now = await served(place, async (call) => {
    const lost = await session(call, ada);
    expect(lost).toMatchObject({ title: null, keysLostAt: expect.stringMatching(/^20/) as string });
    expect(await shown(call, ada)).toMatchObject(
      Array.from({ length: 2 }, () => ({ parts: [], unreadable: true, keysLostAt: lost.keysLostAt })),
    );
    expect((await call.get('/api/sessions')).status).toBe(200);
    expect((await call.get('/api/governance/holds')).status).toBe(200);
    expect((await call.get('/api/search?q=first')).body).toMatchObject({ results: [] });
    expect((await call.send('DELETE', `/api/sessions/${gone}`)).status).toBe(204);
    const fresh = await begin(call, { title: 'Goes on', subjectId: 'Ada' }, 'new words');
    expect(await textsOf(call, fresh)).toEqual(['new words']);
    const erased = await begin(call, { subjectId: 'Dan' }, 'of Dan');
    await erase(call, 'Dan');
    expect((await call.get(`/api/sessions/${erased}/messages`)).status).toBe(410);
    return { fresh };
  });
  const safe = await runbook.run('Make it safe again', shell);
  expect(safe[0]?.code).toBe(0);
  await audited(place);
  const drill = await factoryJson<{ outcome: string }>(place, 'drill');
  expect(drill.answer.outcome).toBe('pass');

  const [found] = await runbook.run('The old keyring was found', shell);
  expect(found?.stdout).toMatch(/has the keys of \d subjects and \d content keys that are not here/);
  expect(await factory(place, 'keys', 'found', '--from', 'found')).toMatchObject({ code: 4 });
  await served(place, async (call) => {
    expect(await textsOf(call, ada)).toEqual(['first', 'second']);
    const back = await session(call, ada);
    expect(back).toMatchObject({
      title: 'About Ada',
      subjectId: expect.stringMatching(/^Ada \(until 20/) as string,
    });
    expect(back.keysLostAt).toBeUndefined();
    expect(await textsOf(call, now.fresh)).toEqual(['new words']);
    expect((await call.get(`/api/sessions/${gone}/messages`)).status).toBe(410);
    await erase(call, back.subjectId);
    expect((await call.get(`/api/sessions/${ada}/messages`)).status).toBe(410);
    expect(await textsOf(call, now.fresh)).toEqual(['new words']);
  });
  await audited(place);
  expect(runbook.unrun()).toEqual([]);
});

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { callerOf, newToken } from './client.ts';
import type { Caller } from './client.ts';
import { factory, factoryJson, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

/** Conversations through backup, restore and drill, as they are typed: what was deleted stays deleted. */

let place: Place;
beforeEach(() => {
  place = newPlace({ files: {} });
});
afterEach(() => rmSync(place.dir, { recursive: true, force: true }));

async function served<T>(at: Place, work: (call: Caller) => Promise<T>): Promise<T> {
  const service = await serve(at);
  try {
    const { token } = await newToken(at, 'owner');
    return await work(callerOf(() => service.url, token));
  } finally {
    await service.stop();
  }
}

const text = (value: string) => ({ role: 'user', parts: [{ type: 'text', text: value }] });

async function begin(call: Caller, title: string, ...texts: string[]): Promise<string> {
  const { id } = (await call.post('/api/sessions', { title })).body as { id: string };
  for (const one of texts) await call.post(`/api/sessions/${id}/messages`, text(one));
  return id;
}

const textsOf = async (call: Caller, id: string): Promise<unknown[]> => {
  const { messages } = (await call.get(`/api/sessions/${id}/messages`)).body as {
    messages: { parts: { text: string }[] }[];
  };
  return messages.map(({ parts }) => parts[0]?.text);
};

const restoreInPlace = () => factory(place, 'restore', '--in-place', '--confirm', `${hostname()}/factory.db`);

interface Failed {
  error: { code: string };
}

interface Drill {
  outcome: string;
  checks: { name: string; status: string; detail: string }[];
}

describe('a database from before a deletion', () => {
  it('comes back without what was deleted since, and with everything else', async () => {
    const { kept, gone } = await served(place, async (call) => ({
      kept: await begin(call, 'Kept', 'stays', 'goes'),
      gone: await begin(call, 'Gone', 'never again'),
    }));
    expect((await factory(place, 'backup')).code).toBe(0);
    await served(place, async (call) => {
      expect((await call.send('DELETE', `/api/sessions/${kept}/messages/${kept}.2`)).status).toBe(204);
      expect((await call.send('DELETE', `/api/sessions/${gone}`)).status).toBe(204);
    });
    const drill = await factoryJson<Drill>(place, 'drill');
    expect(drill.answer).toMatchObject({ outcome: 'pass' });
    const check = (name: string) => drill.answer.checks.find((one) => one.name === name)?.detail;
    expect(check('read: sessions')).toBe('The newest of 2, 1 message.');
    expect(check('deleted stays deleted')).toMatch(/^2 entries/);

    expect((await restoreInPlace()).code).toBe(0);
    await served(place, async (call) => {
      expect(await textsOf(call, kept)).toEqual(['stays']);
      expect((await call.get(`/api/sessions/${kept}/messages/${kept}.2`)).status).toBe(410);
      expect((await call.get(`/api/sessions/${gone}`)).status).toBe(410);
      expect((await call.post(`/api/sessions/${gone}/messages`, text('late'))).status).toBe(410);
    });
    expect((await factory(place, 'verify-audit')).code).toBe(0);
  });

  it('cannot be read even where nothing is replayed: the keys of a deleted session are gone', async () => {
    const id = await served(place, (call) => begin(call, 'Gone', 'never again'));
    expect((await factory(place, 'backup')).code).toBe(0);
    await served(place, (call) => call.send('DELETE', `/api/sessions/${id}`));
    expect((await restoreInPlace()).code).toBe(0);
    // As an intruder would: the journal begins anew, and says that nothing was deleted.
    const journal = join(place.data, 'keyring/erasure-journal.jsonl');
    writeFileSync(journal, `${readFileSync(journal, 'utf8').split('\n')[0]}\n`);
    const cut = await factoryJson<Failed>(place, 'serve');
    expect([cut.code, cut.answer.error.code]).toEqual([1, 'journal-cut']);
    const keys = new Database(join(place.data, 'keyring/chat-keys.db'));
    keys.exec(`delete from about where key = 'finished'`);
    keys.close();
    await served(place, async (call) => {
      const answer = await call.get(`/api/sessions/${id}/messages`);
      expect(answer).toMatchObject({ status: 200, body: { messages: [{ unreadable: true, parts: [] }] } });
      expect(answer.text).not.toContain('never again');
    });
  });
});

describe('a machine that has the keyring from its copy only', () => {
  it('reads what was not deleted, and refuses to start without the keys', async () => {
    const id = await served(place, (call) => begin(call, 'Carried over', 'from the old machine'));
    expect((await factory(place, 'backup')).code).toBe(0);
    const url = `file://${join(place.data, 'backups')}`;
    const bare = newPlace({ files: {}, env: { FACTORY_BACKUP_DESTINATIONS: url } });
    const key = join(place.data, 'keyring/backup-recovery.key');
    const from = ['--from', url, '--identity', key];
    mkdirSync(bare.data);
    const restored = await factory(bare, 'restore', ...from, '--to', join(bare.data, 'factory.db'));
    expect(restored.code, restored.stderr).toBe(0);
    const keyless = await factoryJson<Failed>(bare, 'serve');
    expect(keyless.answer.error.code).toMatch(/-missing$/);
    rmSync(join(bare.data, 'keyring'), { recursive: true, force: true });
    expect((await factory(bare, 'keys', 'restore', ...from)).code).toBe(0);
    await served(bare, async (call) => expect(await textsOf(call, id)).toEqual(['from the old machine']));
    rmSync(bare.dir, { recursive: true, force: true });
  });
});

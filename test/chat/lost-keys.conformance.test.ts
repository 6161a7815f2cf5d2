import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, it, onTestFinished } from 'vitest';
import { DEFAULT_CLASS } from '../../service/chat/policy.ts';
import type { Config } from '../../service/config.ts';
import { giveUp, planFound, planLoss, takeIn } from '../../service/lost-keys.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

/** Keys of conversations that are lost for good, and found again one day; the process test has the audit log's. */

const AT = '2026-05-01T08:00:00.000Z';
const CHAT_FILES = ['chat-root.key', 'chat-keys.db', 'erasure-journal.jsonl'];

async function place() {
  const folder = mkdtempSync(join(tmpdir(), 'factory-lost-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const keyring = join(folder, 'keyring');
  const databaseUrl =
    inject('engine') === 'postgres' ? await createDatabase() : `sqlite:${join(folder, 'factory.db')}`;
  const env = { FACTORY_KEYRING_DIR: keyring };
  let config: Config | undefined;
  return {
    folder,
    keyring,
    config: () => config!,
    async served<T>(work: (service: TestService) => Promise<T>): Promise<T> {
      const service = await startService({ databaseUrl, env });
      config = service.context.config;
      try {
        return await work(service);
      } finally {
        await service.close();
      }
    },
  };
}

const lose = (keyring: string): void => {
  for (const name of readdirSync(keyring).filter((one) => one.startsWith('chat-')))
    rmSync(join(keyring, name));
};
const keyIds = async ({ context }: TestService): Promise<number[]> => {
  const rows = await context.storage.read.query((db) =>
    db.selectFrom('chat_messages').select('key_id').where('body', 'is not', null).orderBy('number'),
  );
  return rows.map(({ key_id }) => Number(key_id));
};
const audited = async ({ context }: TestService): Promise<void> =>
  expect(await context.verifyAudit()).toMatchObject({ ok: true, problems: [] });

/** A session, and a message that waits in quarantine in another. */
async function speak(service: TestService) {
  const { call, begin, say } = clientOf(() => service);
  const sensitive = { ...DEFAULT_CLASS.sensitive, secrets: 'quarantine' };
  const { body } = await call<{ general: object }>('GET', '/api/governance/policies');
  await call('PUT', '/api/governance/policies', {
    ...{ general: body.general, classes: { held: { ...DEFAULT_CLASS, sensitive } } },
  });
  const { id: ada } = await begin({ title: 'About Ada', subjectId: 'Ada' });
  await say(ada, 'first');
  const file = await call<{ id: string }>('POST', `/api/sessions/${ada}/attachments`, 'a file', undefined, {
    'Content-Type': 'text/plain',
  });
  const parts = [{ type: 'attachment', attachmentId: file.body.id, mediaType: 'text/plain' }];
  await call('POST', `/api/sessions/${ada}/messages`, { role: 'user', parts });
  const { id: held } = await begin({ class: 'held', subjectId: 'Cleo' });
  const waiting = await call<{ quarantineId: string }>('POST', `/api/sessions/${held}/messages`, {
    ...{ role: 'user', parts: [{ type: 'text', text: `ghp_${'a1B2'.repeat(9)}` }] },
  });
  const { id: gone } = await begin({ subjectId: 'Dan' });
  await call('DELETE', `/api/sessions/${gone}`);
  return { ada, held, original: waiting.body.quarantineId, gone, file: file.body.id };
}

it('goes on without what was sealed, and takes the old keys in beside the new ones', async () => {
  const at = await place();
  const { ada, held, original, gone } = await at.served(speak);
  await expect(planLoss(at.config())).rejects.toMatchObject({ code: 'keys-not-lost' });
  const found = join(at.folder, 'found');
  cpSync(at.keyring, found, { recursive: true });
  lose(at.keyring);
  await expect(at.served(speak)).rejects.toMatchObject({ code: 'chat-keys-missing' });

  const plan = await planLoss(at.config());
  expect(plan).toMatchObject({
    ...{ log: false, lost: ['chat-root.key', 'chat-keys.db'] },
    counts: { messages: 3, titles: 1, attachments: 1, quarantined: 1 },
    sessions: [{ id: ada, class: 'general', messages: 2 }, { id: held }],
  });
  const aside = (await giveUp(at.config(), plan, AT)) ?? '';
  expect(existsSync(join(aside, 'erasure-journal.jsonl'))).toBe(true);

  const fresh = await at.served(async (service) => {
    const { call, begin, say, messages } = clientOf(() => service);
    expect((await call('GET', `/api/sessions/${ada}`)).body).toMatchObject({ title: null, keysLostAt: AT });
    const unreadable = { parts: [], unreadable: true, keysLostAt: AT };
    expect((await messages(ada)).messages).toMatchObject([unreadable, unreadable]);
    const page = await fetch(`${service.url}/sessions/${ada}`, {
      headers: { Cookie: await service.cookie() },
    });
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('given up as lost')]);
    const journal = readFileSync(join(at.keyring, 'erasure-journal.jsonl'), 'utf8');
    expect(journal).toContain(gone);
    expect((await call('GET', `/api/sessions/${gone}`)).status).toBe(410);

    const { id } = await begin({ title: 'Goes on', subjectId: 'Ada' });
    await say(id, 'new words');
    const ids = await keyIds(service);
    expect(ids.at(-1)).toBeGreaterThan(Math.max(...ids.slice(0, -1)) + 1000);
    await call('POST', '/api/governance/key-rotation', {});
    await service.context.chat.governance.rotations.idle();
    expect((await messages(id)).messages[0]?.parts).toEqual([{ type: 'text', text: 'new words' }]);

    const planOf = (subjectId: string) => call('POST', '/api/governance/erasure-plans', { subjectId });
    expect((await planOf('Cleo')).body).toMatchObject({
      ...{ status: 404, detail: expect.stringContaining('The keys of 3 subjects are lost') },
    });
    expect((await planOf('Ada')).body).toMatchObject({ lostSubjects: 3, erased: { total: { messages: 1 } } });

    const reject = `/api/governance/quarantine/${original}/reject`;
    expect((await call('POST', reject, { reason: 'Nobody can read it' })).status).toBe(204);
    const other = await call<{ id: string }>('POST', '/api/governance/holds', {
      reason: 'r',
      sessionId: held,
    });
    expect((await call('DELETE', `/api/sessions/${held}`)).status).toBe(409);
    await call('DELETE', `/api/governance/holds/${other.body.id}`);
    expect((await call('DELETE', `/api/sessions/${held}`)).status).toBe(204);
    await audited(service);
    return id;
  });

  const back = await planFound(at.config(), found);
  expect(back.subjects.length).toBeGreaterThanOrEqual(2);
  const renamed = await takeIn(at.config(), found, back, AT);
  expect(renamed.map(({ name }) => name)).toEqual([`Ada (until ${AT})`]);
  await at.served(async (service) => {
    const { call, messages } = clientOf(() => service);
    const session = await call<{ keysLostAt?: string }>('GET', `/api/sessions/${ada}`);
    expect(session.body).toMatchObject({ title: 'About Ada', subjectId: `Ada (until ${AT})` });
    expect(session.body.keysLostAt).toBeUndefined();
    expect((await messages(ada)).messages[0]?.parts).toEqual([{ type: 'text', text: 'first' }]);
    expect((await messages(fresh)).messages[0]?.parts).toEqual([{ type: 'text', text: 'new words' }]);
    // What was deleted meanwhile has lost its keys again.
    const again = await planFound(at.config(), found);
    expect(again.subjects).toEqual([]);
    expect(again.contents.length).toBeGreaterThan(0);
    expect((await call('GET', `/api/sessions/${held}`)).status).toBe(410);
    await audited(service);
  });
});

it('is done again where it was cut off, and refuses keys of another installation', async () => {
  const at = await place();
  const { ada } = await at.served(speak);
  lose(at.keyring);
  await giveUp(at.config(), await planLoss(at.config()), AT);
  // As if it had ended before its last step.
  rmSync(join(at.keyring, 'chat-keys.db'));
  const plan = await planLoss(at.config());
  expect(plan.lost).toEqual(['chat-keys.db', 'erasure-journal.jsonl']);
  await giveUp(at.config(), plan, '2026-05-01T08:00:01.000Z');
  await at.served(async (service) => {
    const { call } = clientOf(() => service);
    expect((await call('GET', `/api/sessions/${ada}`)).status).toBe(200);
    await audited(service);
  });

  const other = await place();
  await other.served(speak);
  await expect(planFound(at.config(), other.keyring)).rejects.toMatchObject({ code: 'chat-keys-foreign' });
  await expect(planFound(at.config(), at.keyring)).rejects.toMatchObject({ code: 'keys-known' });
  const bare = join(at.folder, 'bare');
  cpSync(at.keyring, bare, {
    recursive: true,
    filter: (from) => !CHAT_FILES.some((name) => from.endsWith(name)),
  });
  await expect(planFound(at.config(), bare)).rejects.toMatchObject({ code: 'chat-keys-missing' });
});

/** What a service answers whose keys were given up as lost, and from what it was exported before. */
async function afterLoss<T>(work: (lost: AfterLoss) => Promise<T>): Promise<T> {
  const at = await place();
  const { exported, ...said } = await at.served(async (service) => {
    const ids = await speak(service);
    const answer = await fetch(`${service.url}/api/sessions/${ids.ada}/export`, {
      headers: { Authorization: `Bearer ${service.owner}` },
    });
    return { ...ids, exported: await answer.text() };
  });
  lose(at.keyring);
  await giveUp(at.config(), await planLoss(at.config()), AT);
  return at.served((service) => work({ service, exported, ...said }));
}

interface AfterLoss {
  service: TestService;
  exported: string;
  ada: string;
  held: string;
  original: string;
  file: string;
}

it('answers whatever needs lost keys with 410 and the next step', async () => {
  await afterLoss(async ({ service, exported, ada, held, original, file }) => {
    const { call } = clientOf(() => service);
    const said = { role: 'user', parts: [{ type: 'text', text: 'more' }] };
    const [session, waiting] = [`/api/sessions/${ada}`, `/api/governance/quarantine/${original}`];
    const asText = { 'Content-Type': 'text/plain' };
    const lines = { 'Content-Type': 'application/x-ndjson' };
    const owner = undefined;
    const refused: [string, string, unknown?, Record<string, string>?][] = [
      ['POST', `${session}/messages`, said],
      ['POST', `${session}/messages`, said, { 'Idempotency-Key': 'again' }],
      ['POST', `${session}/messages`, { ...said, subjectId: 'Somebody new' }],
      ['POST', `${session}/messages:batch`, { messages: [said] }],
      ['GET', `${session}/export`],
      ['GET', `${session}/export?format=openai`],
      ['POST', `${session}/attachments`, 'a file', asText],
      ['GET', `${session}/attachments/${file}`],
      ['POST', '/api/sessions/import', exported, lines],
      ['GET', `${waiting}/original`],
      ['POST', `${waiting}/release`, { reason: 'r' }],
    ];
    for (const [method, path, body, headers] of refused) {
      const answer = await call<{ code: string; hint: string }>(method, path, body, owner, headers);
      expect([method, path, answer.status, answer.body.code, answer.body.hint]).toEqual([
        ...[method, path, 410],
        ...[expect.stringMatching(/^(content|subject)-key-gone$/), expect.stringContaining('keys found')],
      ]);
    }
    await audited(service);
    expect((await call('GET', `/api/sessions/${held}`)).status).toBe(200);
    expect((await call('GET', '/api/search?q=first')).body).toMatchObject({ results: [] });

    const headers = { Cookie: await service.cookie() };
    const page = await (await fetch(`${service.url}/sessions/${ada}`, { headers })).text();
    expect(page).toContain('Nothing can be written here any more');
    expect(page).not.toContain('<textarea');
    const _csrf = /name="_csrf" value="([^"]+)"/.exec(page)?.[1] ?? '';
    const forms = [`/sessions/${ada}/messages`, `/governance/quarantine/${original}/read`];
    for (const path of forms) {
      const answer = await fetch(`${service.url}${path}`, {
        ...{ method: 'POST', headers: { ...headers, Origin: service.url } },
        body: new URLSearchParams({ _csrf, text: 'more' }),
      });
      expect([path, answer.status, await answer.text()]).toEqual([
        ...[path, path.startsWith('/sessions') ? 410 : 409],
        expect.stringContaining('given up as lost'),
      ]);
    }
  });
});

it('finds whom a session is about by the id that it shows where the key of the name was lost', async () => {
  await afterLoss(async ({ service, ada }) => {
    const { call, begin } = clientOf(() => service);
    const { subjectId } = (await call<{ subjectId: string }>('GET', `/api/sessions/${ada}`)).body;
    const plans = '/api/governance/erasure-plans';
    const unknown = await call<{ hint: string }>('POST', plans, { subjectId: 'Ada' });
    expect([unknown.status, unknown.body.hint]).toEqual([404, expect.stringContaining('the id that')]);
    expect((await call('POST', plans, { subjectId })).body).toMatchObject({
      erased: { total: { sessions: 1, messages: 2, attachments: 1 } },
    });
    const report = await fetch(`${service.url}/api/governance/subjects/report?subjectId=${subjectId}`, {
      headers: { Authorization: `Bearer ${service.owner}` },
    });
    expect([report.status, await report.text()]).toEqual([200, expect.stringContaining('"unreadable":true')]);
    expect((await call('POST', '/api/sessions', { subjectId })).status).toBe(410);
    const held = await call<{ id: string }>('POST', '/api/governance/holds', { reason: 'r', subjectId });
    expect((await call('DELETE', `/api/sessions/${ada}`)).status).toBe(409);
    await call('DELETE', `/api/governance/holds/${held.body.id}`);

    const asked = await call<{ id: string }>('POST', '/api/governance/erasures', {
      subjectId,
      reason: 'Asked',
    });
    expect(asked.status).toBe(202);
    await expect
      .poll(async () => (await call('GET', `/api/governance/erasures/${asked.body.id}`)).body)
      .toMatchObject({ status: 'done' });
    expect((await call('GET', `/api/sessions/${ada}`)).status).toBe(410);
    // Another subject, by a name that looks like an id.
    const name = '01890000-0000-7000-8000-000000000000';
    expect((await call('GET', `/api/sessions/${(await begin({ subjectId: name })).id}`)).body).toMatchObject({
      subjectId: name,
    });
    await audited(service);
  });
});

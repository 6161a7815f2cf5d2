import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Certificate } from '../../service/chat/erasure/erasure.ts';
import type { ErasurePlan } from '../../service/chat/erasure/plan.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { rawSql } from '../storage/engine.ts';
import { clientOf } from './client.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
});
afterAll(() => service.close());

const { call, begin, say, messages } = clientOf(() => service);

interface Erasure {
  id: string;
  status: string;
  certificate: Certificate | null;
}

/** Asked for, and carried out as far as it can be. */
async function erase(subjectId: string): Promise<Erasure> {
  const asked = await call<Erasure>('POST', '/api/governance/erasures', {
    subjectId,
    reason: `asked by ${subjectId}`,
  });
  expect(asked.status).toBe(202);
  return settled(asked.body.id);
}

async function settled(id: string): Promise<Erasure> {
  await service.context.chat.governance.erasures.idle();
  return (await call<Erasure>('GET', `/api/governance/erasures/${id}`)).body;
}

const about = (session: string, subjectId: string, text: string) =>
  call('POST', `/api/sessions/${session}/messages`, {
    role: 'user',
    subjectId,
    parts: [{ type: 'text', text }],
  });

const texts = async (session: string) =>
  (await messages(session)).messages.map(({ parts }) => parts[0]?.text);

/** The check that an auditor makes, in a process of its own. */
function verifyCertificate(certificate: unknown, key = service.context.audit.vkey) {
  const path = join(service.dataDir, 'certificate.json');
  writeFileSync(path, JSON.stringify(certificate));
  const script = join(import.meta.dirname, '../../scripts/verify-certificate.mjs');
  const { status: exit, stdout } = spawnSync(process.execPath, [script, path, '--key', key, '--json'], {
    encoding: 'utf8',
  });
  return { exit, ...(JSON.parse(stdout) as { ok: boolean; problems: string[] }) };
}

describe('an erasure', () => {
  it('takes what is about the subject alone, and leaves the rest of what others share', async () => {
    const own = await begin({ subjectId: 'Ada', title: 'About Ada', class: 'support' });
    await say(own.id, 'Ada writes');
    const shared = await begin({ subjectId: 'Ada', title: 'Ada and Bob' });
    await say(shared.id, 'of Ada');
    await about(shared.id, 'Bob', 'of Bob');
    const foreign = await begin({ subjectId: 'Bob', title: 'Bob only' });
    await say(foreign.id, 'Bob again');
    await about(foreign.id, 'Ada', 'Ada visits');
    const only = await begin({ subjectId: 'Bob' });
    await about(only.id, 'Ada', 'nothing but Ada');

    const done = await erase('Ada');
    expect(done).toMatchObject({ status: 'done' });
    expect((await call('GET', `/api/sessions/${own.id}`)).status).toBe(410);
    expect((await call('GET', `/api/sessions/${only.id}`)).status).toBe(410);
    expect(await texts(shared.id)).toEqual(['of Bob']);
    expect(await texts(foreign.id)).toEqual(['Bob again']);
    expect((await call('GET', `/api/sessions/${shared.id}`)).body).toMatchObject({
      title: null,
      subjectId: null,
    });
    expect((await call('GET', `/api/sessions/${foreign.id}`)).body).toMatchObject({ title: 'Bob only' });
    expect(done.certificate).toMatchObject({
      status: 'done',
      erased: {
        total: { sessions: 2, messages: 4, titles: 2 },
        byClass: { support: { sessions: 1, messages: 1, titles: 1 }, general: { sessions: 1, messages: 3 } },
      },
      backups: { windowHours: 0 },
    });
    expect(JSON.stringify(done)).not.toContain('Ada');
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('refuses what is written about the subject later, for ever', async () => {
    const { id } = await begin({ subjectId: 'Late' });
    await say(id, 'x');
    const other = await begin({ subjectId: 'Somebody' });
    await erase('Late');
    expect((await say(id, 'late')).status).toBe(410);
    expect(await about(other.id, 'Late', 'late')).toMatchObject({
      status: 410,
      body: { code: 'subject-erased' },
    });
    expect((await call('POST', '/api/sessions', { subjectId: 'Late' })).status).toBe(410);
    const again = await call<Erasure>('POST', '/api/governance/erasures', {
      subjectId: 'Late',
      reason: 'again',
    });
    expect(again).toMatchObject({ status: 202, body: { status: 'done' } });
    expect(
      (await call('POST', '/api/governance/erasures', { subjectId: 'Nobody', reason: 'x' })).status,
    ).toBe(404);
  });

  it('is certified so that one file can check it anywhere', async () => {
    const { id } = await begin({ subjectId: 'Certified' });
    await say(id, 'x');
    const { certificate } = await erase('Certified');
    expect(verifyCertificate(certificate)).toMatchObject({ exit: 0, ok: true, problems: [] });
    const changed = { ...certificate, erased: { ...certificate!.erased, total: { messages: 0 } } };
    expect(verifyCertificate(changed)).toMatchObject({ exit: 1, ok: false });
    const { proof } = (await erase('Ada')).certificate!;
    expect(verifyCertificate({ ...certificate, proof })).toMatchObject({ exit: 1, ok: false });
    const other = await startService({ engine: inject('engine') });
    expect(verifyCertificate(certificate, other.context.audit.vkey)).toMatchObject({ exit: 1, ok: false });
    await other.close();
  });

  it('leaves what is held until its release, and then takes it', async () => {
    const { id } = await begin({ subjectId: 'Held', title: 'Held back', class: 'legal' });
    await say(id, 'evidence');
    const loose = await begin({ subjectId: 'Held' });
    await say(loose.id, 'goes at once');
    const hold = await call<{ id: string }>('POST', '/api/governance/holds', {
      class: 'legal',
      reason: 'case 7',
    });
    const waiting = await erase('Held');
    expect(waiting).toMatchObject({
      status: 'partial-held',
      certificate: { status: 'partial-held', backups: { unreadableFrom: null } },
    });
    expect(waiting.certificate?.kept).toContainEqual({
      what: 'messages',
      count: 1,
      why: 'held',
      holds: [hold.body.id],
    });
    expect(verifyCertificate(waiting)).toMatchObject({ exit: 0 });
    expect(await texts(id)).toEqual(['evidence']);
    expect((await call('GET', `/api/sessions/${loose.id}`)).status).toBe(410);
    expect((await say(id, 'more')).status).toBe(410);
    expect((await call('DELETE', `/api/governance/holds/${hold.body.id}`)).status).toBe(204);
    const done = await settled(waiting.id);
    expect(done).toMatchObject({
      status: 'done',
      certificate: { erased: { total: { messages: 2, sessions: 2 } } },
    });
    expect(verifyCertificate(done)).toMatchObject({ exit: 0 });
    expect((await call('GET', `/api/sessions/${id}`)).status).toBe(410);
  });

  it('takes 5,000 messages, in steps', async () => {
    const { id } = await begin({ subjectId: 'Many' });
    for (let batch = 0; batch < 5; batch += 1)
      await call('POST', `/api/sessions/${id}/messages:batch`, {
        messages: Array.from({ length: 1000 }, (_, n) => ({
          role: 'user',
          parts: [{ type: 'text', text: `message ${batch} ${n}` }],
        })),
      });
    expect(await erase('Many')).toMatchObject({
      status: 'done',
      certificate: { erased: { total: { messages: 5000 } } },
    });
  });
});

describe('a plan of an erasure', () => {
  const PLANS = '/api/governance/erasure-plans';
  const plan = (subjectId: string, as?: string) => call<ErasurePlan>('POST', PLANS, { subjectId }, as);
  const upload = async (session: string, subjectId: string) => {
    const path = `${service.url}/api/sessions/${session}/attachments?subjectId=${subjectId}`;
    const headers = { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'text/plain' };
    const sent = await fetch(path, { method: 'POST', headers, body: `a file of ${subjectId}` });
    expect(sent.status).toBe(201);
    return (await sent.json()) as { id: string };
  };
  const totalOf = ({ certificate }: Erasure) => certificate?.erased.total;

  it('counts all that goes as the certificate will, of each class, and changes nothing', async () => {
    const own = await begin({ subjectId: 'Planned', title: 'All of it', class: 'support' });
    await say(own.id, 'of Planned');
    const { id: attachmentId } = await upload(own.id, 'Planned');
    const parts = [{ type: 'attachment', attachmentId }];
    expect((await call('POST', `/api/sessions/${own.id}/messages`, { role: 'user', parts })).status).toBe(
      201,
    );
    const shared = await begin({ subjectId: 'Planned', title: 'With Bea' });
    await about(shared.id, 'Bea', 'of Bea');
    await say(shared.id, 'of Planned');
    const foreign = await begin({ subjectId: 'Bea', title: 'Bea only' });
    await about(foreign.id, 'Planned', 'visits');
    await upload(foreign.id, 'Planned');
    await begin({ subjectId: 'Planned' });
    const before = await call<ErasurePlan>('POST', PLANS, { subjectId: 'Planned' });
    expect(before).toMatchObject({
      status: 200,
      body: {
        erasure: null,
        erased: {
          total: { sessions: 3, messages: 4, attachments: 2, quarantined: 0, titles: 2 },
          byClass: { support: { sessions: 1, messages: 2, attachments: 1, titles: 1 } },
        },
        held: { messages: 0, attachments: 0, sessions: 0, holds: [] },
        staying: 1,
      },
    });
    expect(before.body.sample.map(({ id, goes }) => [id, goes])).toEqual([
      ...[
        [own.id, true],
        [shared.id, false],
        [foreign.id, true],
      ],
      [expect.any(String), true],
    ]);
    expect(await plan('Planned')).toEqual({ ...before, headers: expect.anything() });
    expect(await texts(own.id)).toContain('of Planned');
    expect(totalOf(await erase('Planned'))).toEqual(before.body.erased.total);
    expect(await plan('Planned')).toMatchObject({ status: 410, body: { code: 'subject-erased' } });
  });

  it('counts what holds keep, and names them', async () => {
    const { id } = await begin({ subjectId: 'Kept', title: 'Kept back', class: 'kept' });
    await say(id, 'kept');
    await upload(id, 'Kept');
    await say((await begin({ subjectId: 'Kept', title: 'Goes' })).id, 'goes');
    const hold = await call<{ id: string }>('POST', '/api/governance/holds', { class: 'kept', reason: 'x' });
    await call('POST', '/api/governance/holds', { class: 'of nobody', reason: 'y' });
    const { body } = await plan('Kept');
    expect(body).toMatchObject({
      erased: { total: { sessions: 1, messages: 1, attachments: 0, titles: 1 } },
      held: { messages: 1, attachments: 1, sessions: 1, quarantined: 0, holds: [hold.body.id] },
      staying: 1,
    });
    expect(body.sample.map(({ held }) => held)).toEqual([3, 0]);
    const waiting = await erase('Kept');
    expect(totalOf(waiting)).toEqual(body.erased.total);
    expect(waiting.certificate?.kept).toContainEqual({
      ...{ what: 'attachments', count: 1, why: 'held', holds: [hold.body.id] },
    });
    const again = (await plan('Kept')).body;
    expect(again).toMatchObject({
      erasure: waiting.id,
      erased: { total: { messages: 0 } },
      held: body.held,
    });
    await call('DELETE', `/api/governance/holds/${hold.body.id}`);
    await settled(waiting.id);
  });

  it('keeps a message with its file that is held, as the erasure does', async () => {
    const { id } = await begin({ subjectId: 'With file' });
    const { id: attachmentId } = await upload(id, 'With file');
    const to = new Date();
    while (Date.now() <= to.getTime()) await nextTurn();
    const parts = [{ type: 'attachment', attachmentId }];
    await call('POST', `/api/sessions/${id}/messages`, { role: 'user', parts });
    await say(id, 'goes');
    const held = { reason: 'the file', sessionId: id, to: to.toISOString() };
    const hold = await call<{ id: string }>('POST', '/api/governance/holds', held);
    const { body } = await plan('With file');
    expect(body).toMatchObject({
      erased: { total: { messages: 1, attachments: 0, sessions: 0 } },
      held: { messages: 1, attachments: 1, holds: [hold.body.id] },
    });
    const waiting = await erase('With file');
    expect(totalOf(waiting)).toEqual(body.erased.total);
    await call('DELETE', `/api/governance/holds/${hold.body.id}`);
    await settled(waiting.id);
  });

  it('refuses a subject that nothing is about, and is for those who manage', async () => {
    expect(await plan('Nobody at all')).toMatchObject({ status: 404, body: { code: 'not-found' } });
    expect(await plan('Nobody at all', await service.token({ role: 'auditor' }))).toMatchObject({
      status: 403,
    });
    expect(await plan('')).toMatchObject({ status: 400 });
  });
});

describe('a report on a subject', () => {
  it('has what an erasure takes away, and is recorded', async () => {
    const own = await begin({ subjectId: 'Reported', title: 'Everything' });
    await say(own.id, 'first');
    const foreign = await begin({ subjectId: 'Else' });
    await say(foreign.id, 'not theirs');
    await about(foreign.id, 'Reported', 'second');
    const content = 'what a file says';
    const headers = { Authorization: `Bearer ${service.owner}` };
    const sent = await fetch(`${service.url}/api/sessions/${own.id}/attachments?name=notes.md`, {
      ...{ method: 'POST', body: content, headers: { ...headers, 'Content-Type': 'text/markdown' } },
    });
    const file = (await sent.json()) as { id: string; sha256: string };
    await call('POST', `/api/sessions/${own.id}/messages`, {
      ...{ role: 'user', parts: [{ type: 'attachment', attachmentId: file.id }] },
    });
    const path = '/api/governance/subjects/report?subjectId=Reported';
    const answer = await fetch(`${service.url}${path}`, {
      headers: { Authorization: `Bearer ${service.owner}` },
    });
    const lines = (await answer.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ type }) => type)).toEqual([
      'subject',
      'session',
      'message',
      'message',
      'attachment',
      'session',
      'message',
      'end',
    ]);
    const attachment = lines.find(({ type }) => type === 'attachment')!;
    expect(attachment).toMatchObject({
      ...{ id: file.id, session: own.id, message: `${own.id}.2`, name: 'notes.md', bytes: content.length },
      ...{ mediaType: 'text/markdown', sha256: createHash('sha256').update(content).digest('hex') },
    });
    const got = await fetch(`${service.url}${attachment['path'] as string}`, { headers });
    expect([got.status, await got.text()]).toEqual([200, content]);
    expect(JSON.stringify(lines)).toContain('Everything');
    expect(JSON.stringify(lines)).not.toContain('not theirs');
    expect(lines.at(-1)).toMatchObject({ sessions: 2, messages: 3, attachments: 1 });
    const { certificate } = await erase('Reported');
    expect(certificate?.erased.total).toMatchObject({ messages: 3 });
    expect((await call('GET', path)).status).toBe(410);
    const auditor = await service.token({ role: 'auditor' });
    expect((await call('GET', path, undefined, auditor)).status).toBe(403);
    const { entries } = (
      await call<{ entries: { leaf: { action: string } }[] }>(
        'GET',
        '/api/audit/entries?action=governance.subject-report',
      )
    ).body;
    expect(entries).toHaveLength(1);
  });
});

describe('after an erasure', () => {
  it('a scan of all that there is finds none of 1,000 planted markers', { timeout: 60_000 }, async () => {
    const marker = (n: number) => `zq${n}marker${(n * 7919) % 1000}qz`;
    const name = `${marker(0)}@example.org`;
    const made = [];
    for (let s = 0; s < 10; s += 1)
      made.push(await begin({ subjectId: name, title: `${marker(1 + s)} title`, class: `c${s % 3}` }));
    for (let n = 11; n < 1000; n += 1) {
      const parts =
        n % 3 === 0
          ? [{ type: 'tool-result', toolCallId: 'c', name: 'run', output: { text: marker(n) } }]
          : [{ type: 'text', text: `${marker(n)} ${'words '.repeat(n % 50)}` }];
      const key: Record<string, string> = n % 2 === 0 ? { 'Idempotency-Key': marker(n) } : {};
      const to = made[n % 10]!.id;
      expect(
        (await call('POST', `/api/sessions/${to}/messages`, { role: 'tool', parts }, undefined, key)).status,
      ).toBe(201);
    }
    for (const [n, { id }] of made.entries()) {
      const path = `${service.url}/api/sessions/${id}/attachments?name=${marker(n)}.txt`;
      const headers = { Authorization: `Bearer ${service.owner}`, 'Content-Type': 'text/plain' };
      const sent = await fetch(path, { method: 'POST', headers, body: `${marker(n)} file ${n}` });
      expect(sent.status).toBe(201);
    }
    expect(files(join(service.dataDir, 'blobs')).length).toBeGreaterThan(0);
    await service.context.chat.search.state();
    const indexed = files(join(service.dataDir, 'search')).filter(({ bytes }) => bytes.includes(marker(500)));
    expect(indexed.length).toBeGreaterThan(0);
    expect(await erase(name)).toMatchObject({
      status: 'done',
      certificate: { erased: { total: { sessions: 10 } } },
    });
    const found = [...files(service.dataDir), ...(await tables())].filter(({ bytes }) =>
      /zq\d+marker/.test(bytes.toString('latin1')),
    );
    expect(files(join(service.dataDir, 'blobs'))).toEqual([]);
    expect(found.map(({ where }) => where)).toEqual([]);
    const subject = (
      await service.context.storage.read.query((db) => db.selectFrom('chat_subjects').selectAll())
    ).filter(({ state }) => state === 'erased');
    expect(subject.every(({ name: kept }) => kept === null)).toBe(true);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  interface Place {
    where: string;
    bytes: Buffer;
  }

  /** Every file of the installation: database, write-ahead log, keyring, journal, checkpoints. */
  function files(folder: string): Place[] {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((path) => join(folder, path))
      .filter((path) => statSync(path).isFile())
      .map((where) => ({ where, bytes: readFileSync(where) }));
  }

  async function tables(): Promise<Place[]> {
    if (service.context.storage.engine === 'sqlite') return [];
    const url = service.context.config.databaseUrl;
    const names = await rawSql(
      url,
      "select table_name from information_schema.tables where table_schema = 'public'",
    );
    const places: Place[] = [];
    for (const { table_name: table } of names) {
      const rows = await rawSql(url, `select t::text as row from ${String(table)} t`);
      // Bytes are shown in hex.
      const text = rows.map(({ row }) => String(row)).join('\n');
      const bytes = Buffer.concat([Buffer.from(text), Buffer.from(text.replace(/\\\\x/g, ''), 'hex')]);
      places.push({ where: String(table), bytes });
    }
    return places;
  }
});

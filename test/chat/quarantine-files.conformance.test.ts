import { createHash, randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Finding } from '../../service/chat/types.ts';
import { manualClock } from '../../service/clock.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';
import { PLACEHOLDER, QUARANTINE, quarantineOf, quarantinePeople, RULE, text } from './quarantine-client.ts';
import type { QuarantinePeople } from './quarantine-client.ts';

/** Files that wait in quarantine. */

const DAY_MS = 86_400_000;
const clock = manualClock('2026-05-01T08:00:00.000Z');

let service: TestService;
let people: QuarantinePeople;
beforeAll(async () => {
  service = await startService({ engine: inject('engine'), clock });
  people = await quarantinePeople(service);
  await policies();
});
afterAll(() => service.close());

const { call, begin } = clientOf(() => service);
const { policies, secret, session, send, shown, waitsIn, decide, original, held, everything, actions } =
  quarantineOf(
    () => service,
    () => people,
    78,
  );

describe('a file', () => {
  interface Sent {
    id: string;
    bytes: number;
    sha256: string;
    name: string | null;
    findings?: Finding[];
    quarantineId?: string;
    code?: string;
  }
  const attach = (session: string, content: string, query = '') =>
    call<Sent>(...(['POST', `/api/sessions/${session}/attachments${query}`, content, undefined] as const), {
      'Content-Type': 'text/plain',
    });
  const fetched = async (path: string, as = service.owner) => {
    const answer = await fetch(`${service.url}${path}`, { headers: { Authorization: `Bearer ${as}` } });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  const content = (session: string, id: string) => fetched(`/api/sessions/${session}/attachments/${id}`);
  const named = (session: string, id: string, more: object = {}) =>
    send(session, [{ type: 'attachment', attachmentId: id }], more);
  const sha256 = (of: string): string => createHash('sha256').update(of).digest('hex');
  const blobs = (): string[] =>
    readdirSync(join(service.dataDir, 'blobs'), { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map(({ name }) => name);
  const rows = async (table: 'chat_quarantine' | 'chat_attachments', id: string) =>
    service.context.storage.read.query((db) => db.selectFrom(table).selectAll().where('id', '=', id));

  /** One that waits, in a session of its own, named by a message unless told otherwise. */
  async function heldFile(input: object = {}, more: object | null = {}) {
    const { id: sessionId } = await session(input);
    const token = secret();
    const { status, body } = await attach(sessionId, `it is ${token}\n`, '?name=notes.txt');
    expect(status).toBe(201);
    if (more !== null) expect((await named(sessionId, body.id, more)).status).toBe(201);
    return { sessionId, token, sent: body, id: body.id };
  }

  it('is sealed apart; a short text stands for it, and its sender knows its digest again', async () => {
    const { sessionId, token, sent, id } = await heldFile();
    const whole = `it is ${token}\n`;
    expect(sent).toMatchObject({
      ...{ quarantineId: id, bytes: whole.length, sha256: sha256(whole), name: PLACEHOLDER },
      findings: [{ rule: RULE, action: 'quarantine', part: 0, start: 6, end: 6 + token.length }],
    });
    const shown = await content(sessionId, id);
    expect([shown.status, shown.text]).toEqual([200, PLACEHOLDER]);
    expect(shown.headers.get('content-digest')).toContain(
      Buffer.from(sha256(PLACEHOLDER), 'hex').toString('base64'),
    );
    expect(await everything()).not.toContain(token);
    const [one] = await waitsIn(sessionId);
    expect(one).toMatchObject({
      id,
      kind: 'file',
      messageId: `${sessionId}.1`,
      role: 'user',
      state: 'waiting',
    });
    const about = await fetched(`${QUARANTINE}/${id}/original`, people.first);
    expect(JSON.parse(about.text)).toEqual({
      id,
      file: { name: 'notes.txt', mediaType: 'text/plain', sha256: sha256(whole), bytes: whole.length },
    });
    expect((await fetched(`${QUARANTINE}/${id}/original/content`, people.auditor)).status).toBe(403);
    expect((await fetched(`${QUARANTINE}/${id}/original/content`, people.first)).text).toBe(whole);
    const leaves = await service.context.storage.read.query((db) =>
      db.selectFrom('audit_entries').select('leaf'),
    );
    expect(
      leaves.filter(({ leaf }) => leaf.includes('governance.quarantine-read') && leaf.includes(id)),
    ).toHaveLength(2);
    const message = await held();
    expect(
      (await fetched(`${QUARANTINE}/${message.quarantineId}/original/content`, people.first)).status,
    ).toBe(404);
  });

  it('is held back by its name, too, and by what stands anywhere in a long one', async () => {
    const { id } = await session();
    const token = secret();
    const byName = await attach(id, 'nothing in it', `?name=${token}.txt`);
    expect(byName.body).toMatchObject({ name: PLACEHOLDER, findings: [{ rule: RULE }] });
    const line = 'nothing is in this line at all\n';
    const long = `${line.repeat(9000)}${token}\n${line.repeat(9000)}`;
    const inside = await attach(id, long);
    expect(inside.body.findings).toMatchObject([{ rule: RULE, start: line.length * 9000 }]);
    expect(inside.body.findings).toHaveLength(1);
    expect((await fetched(`${QUARANTINE}/${inside.body.id}/original/content`, people.first)).text).toBe(long);
    // What would be taken out of a message keeps a file out, whatever else is in it.
    const both = await attach(id, `${secret()} for ada@lovelace.dev`);
    expect([both.status, both.body.code]).toEqual([422, 'sensitive-data-blocked']);
  });

  it('takes two people to be let in, and is then the file that was sent, with new keys, too', async () => {
    const { sessionId, token, id } = await heldFile();
    await call('POST', '/api/governance/key-rotation', {});
    await service.context.chat.governance.rotations.idle();
    expect((await content(sessionId, id)).text).toBe(PLACEHOLDER);
    expect((await decide(id, 'release', people.first)).status).toBe(202);
    expect((await decide(id, 'release', people.first)).body.code).toBe('second-person-needed');
    expect((await content(sessionId, id)).text).toBe(PLACEHOLDER);
    expect((await decide(id, 'release', people.second)).status).toBe(204);
    const now = await content(sessionId, id);
    expect(now.text).toBe(`it is ${token}\n`);
    expect(now.headers.get('content-disposition')).toContain('notes.txt');
    expect([await waitsIn(sessionId), await rows('chat_quarantine', id)]).toEqual([[], []]);
    expect(await actions(id)).toEqual(['quarantined', 'quarantine-approved', 'quarantine-released']);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('goes for good when it is rejected, with its key; a backup from before brings nothing back', async () => {
    const { sessionId, id } = await heldFile();
    const { read, write } = service.context.storage;
    const [[waited], [file]] = [await rows('chat_quarantine', id), await rows('chat_attachments', id)];
    const blob = (file as { blob: string }).blob;
    expect(blobs()).toContain(blob);
    const [last] = await read.query((db) =>
      db.selectFrom('chat_journal').select((e) => e.fn.max('seq').as('seq')),
    );
    expect((await decide(id, 'reject', people.first)).status).toBe(204);
    expect([(await content(sessionId, id)).status, (await shown(sessionId)).length]).toEqual([404, 1]);
    await expect.poll(blobs).not.toContain(blob);

    // As a backup from before has them: there, but never to be read again.
    await write(async (tx) => {
      await tx.query((db) =>
        db
          .insertInto('chat_attachments')
          .values(file as never)
          .returning('id'),
      );
      await tx.query((db) =>
        db
          .insertInto('chat_quarantine')
          .values(waited as never)
          .returning('id'),
      );
      await tx.query((db) =>
        db
          .deleteFrom('chat_journal')
          .where('seq', '>', Number(last?.seq ?? 0))
          .returning('seq'),
      );
    });
    expect((await original(id)).body.code).toBe('content-key-gone');
    await service.context.chat.replay();
    expect([await rows('chat_quarantine', id), await rows('chat_attachments', id)]).toEqual([[], []]);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('is kept by a hold, and goes with its message, its session and by the sweep', async () => {
    const kept = await heldFile();
    const placed = await call<{ id: string }>('POST', '/api/governance/holds', {
      ...{ reason: 'r', sessionId: kept.sessionId },
    });
    expect((await decide(kept.id, 'reject', people.first)).body.code).toBe('on-hold');
    expect(
      (await call('DELETE', `/api/sessions/${kept.sessionId}/messages/${kept.sessionId}.1`)).status,
    ).toBe(409);
    await call('DELETE', `/api/governance/holds/${placed.body.id}`);
    const [whole, unnamed] = [await heldFile(), await heldFile({}, null)];
    expect((await waitsIn(unnamed.sessionId))[0]).toMatchObject({
      kind: 'file',
      messageId: null,
      role: null,
    });
    await call('DELETE', `/api/sessions/${kept.sessionId}/messages/${kept.sessionId}.1`);
    await call('DELETE', `/api/sessions/${whole.sessionId}`);
    for (let hour = 0; hour <= 25; hour += 1) {
      await service.context.chat.sweep.run();
      clock.advance(60 * 60 * 1000);
    }
    for (const { id } of [kept, whole, unnamed])
      expect([await rows('chat_quarantine', id), await rows('chat_attachments', id)]).toEqual([[], []]);
  });

  it('is of the subject of the message that names it, and goes with that one alone', async () => {
    const [mine, other] = [`subject ${randomUUID()}`, `other ${randomUUID()}`];
    const moved = await heldFile({ subjectId: mine }, { subjectId: other });
    await send(moved.sessionId, text('of the first'), {});
    const own = await heldFile({ subjectId: mine });
    const erase = async (subjectId: string) => {
      const made = await call<{ id: string }>('POST', '/api/governance/erasures', { subjectId, reason: 'r' });
      const state = async () => (await call('GET', `/api/governance/erasures/${made.body.id}`)).body;
      await expect.poll(state).toMatchObject({ status: 'done' });
      return (await state()) as { certificate: { erased: { total: object } } };
    };
    expect((await erase(mine)).certificate.erased.total).toMatchObject({ attachments: 1, quarantined: 1 });
    expect(await rows('chat_quarantine', own.id)).toEqual([]);
    expect((await fetched(`${QUARANTINE}/${moved.id}/original/content`, people.first)).text).toBe(
      `it is ${moved.token}\n`,
    );
    await erase(other);
    expect(await rows('chat_quarantine', moved.id)).toEqual([]);
  });

  it('by retention with its kind, and waits for nobody while it lies in the bin', async () => {
    const { sessionId, id } = await heldFile();
    clock.advance(40 * DAY_MS);
    await policies({}, { attachment: { days: 30, binDays: 10 } });
    const apply = async () => {
      const { body } = await call<{ id: string; digest: string }>(
        ...(['POST', '/api/governance/retention-plans', {}] as const),
      );
      await call('POST', `/api/governance/retention-plans/${body.id}/apply`, { digest: body.digest });
      const state = async () =>
        (await call<{ state: string }>('GET', `/api/governance/retention-plans/${body.id}`)).body.state;
      await expect.poll(state).toBe('applied');
    };
    await apply();
    expect([await waitsIn(sessionId), (await rows('chat_quarantine', id)).length]).toEqual([[], 1]);
    clock.advance(12 * DAY_MS);
    await apply();
    expect([await rows('chat_quarantine', id), await rows('chat_attachments', id)]).toEqual([[], []]);
    await policies({}, { attachment: { days: null, binDays: 14 } });
  });

  it('is exported as what stands for it, and held back when it is imported', async () => {
    const out = (id: string) => fetched(`/api/sessions/${id}/export`).then(({ text: lines }) => lines);
    const put = (lines: string) =>
      call<{ sessions: { id: string; created: boolean }[] }>(
        ...(['POST', '/api/sessions/import', lines, undefined] as const),
        { 'Content-Type': 'application/x-ndjson' },
      );
    const { sessionId, token } = await heldFile();
    const lines = await out(sessionId);
    expect(lines).toContain(Buffer.from(PLACEHOLDER).toString('base64'));
    expect(lines).not.toContain(Buffer.from(token).toString('base64').slice(0, 20));
    const elsewhere = lines
      .replaceAll(sessionId, randomUUID())
      .replaceAll(/"id":"[^"]*","seq":1/g, () => `"id":"${randomUUID()}","seq":1`);
    expect((await put(elsewhere)).status).toBe(201);

    const open = await begin({ class: 'open' });
    const whole = `it is ${token}\n`;
    const plain = await attach(open.id, whole, '?name=notes.txt');
    await named(open.id, plain.body.id);
    const [id, file] = [randomUUID(), randomUUID()];
    const moved = (await out(open.id))
      .replace('"class":"open"', '"class":"held"')
      .replaceAll(open.id, id)
      .replaceAll(plain.body.id, file);
    expect((await put(moved)).body.sessions).toMatchObject([{ created: true }]);
    expect((await content(id, file)).text).toBe(PLACEHOLDER);
    expect((await waitsIn(id)).map(({ kind }) => kind)).toEqual(['file']);
    // Again: the same session, whether it is compared as it was sent or as it is shown.
    for (const again of [moved, await out(id)])
      expect((await put(again)).body.sessions).toMatchObject([{ created: false }]);
    for (const as of [people.first, people.second]) await decide(file, 'release', as);
    expect((await content(id, file)).text).toBe(whole);
    expect((await put(await out(id))).body.sessions).toMatchObject([{ created: false }]);
  });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { DEFAULT_CLASS } from '../../service/chat/policy.ts';
import type { QuarantineView } from '../../service/chat/quarantine/quarantine.ts';
import { manualClock } from '../../service/clock.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';
import {
  PLACEHOLDER,
  QUARANTINE,
  quarantineOf,
  quarantinePeople,
  reason,
  RULE,
  text,
} from './quarantine-client.ts';
import type { Appended, QuarantinePeople } from './quarantine-client.ts';

/** Messages and titles that wait in quarantine; files have a test of their own. */

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
const {
  policies,
  secret,
  session,
  send,
  shown,
  waiting,
  waitsIn,
  decide,
  original,
  held,
  everything,
  actions,
} = quarantineOf(
  () => service,
  () => people,
  77,
);

describe('what is held back', () => {
  it('has its place in the session, and is neither there nor anywhere else to be read', async () => {
    const { id } = await session();
    const token = secret();
    await send(id, text('before'));
    const { status, body } = await send(id, text(`it is ${token}, for ada@lovelace.dev`));
    await send(id, text('after'));
    expect(status).toBe(201);
    expect(body).toMatchObject({
      seq: 2,
      findings: [{ rule: RULE, action: 'quarantine', part: 0, start: 6 }, { action: 'redact' }],
    });
    const all = await shown(id);
    expect(all.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(all[1]).toMatchObject({ parts: text(PLACEHOLDER), findings: body.findings });
    expect(await everything()).not.toContain(token);
    const [one] = await waitsIn(id);
    expect(one).toMatchObject({
      ...{ id: body.quarantineId, kind: 'message', messageId: `${id}.2`, class: 'held', role: 'user' },
      ...{ state: 'waiting', approvedBy: null, findings: body.findings, createdAt: clock.iso() },
    });
    expect(JSON.stringify(one)).not.toContain(token);
    expect(await actions(one?.id ?? '')).toEqual(['quarantined']);
  });

  it('keeps the calls of tools together: what was said waits, which call it is does not', async () => {
    const { id } = await session();
    const token = secret();
    const tool = { toolCallId: 'c1', name: 'shell' };
    const parts = [
      { type: 'tool-call', ...tool, arguments: { run: `use ${token}` } },
      { type: 'tool-result', ...tool, output: { log: 'done' }, isError: false },
    ];
    const { body } = await send(id, parts, { role: 'assistant' });
    expect((await shown(id))[0]?.parts).toEqual([
      { type: 'tool-call', ...tool },
      { type: 'tool-result', ...tool, output: PLACEHOLDER },
    ]);
    expect((await original(body.quarantineId ?? '')).body.parts).toEqual(parts);
  });

  it('is one message for its idempotency key, before and after the decision', async () => {
    const { id } = await session();
    const token = secret();
    const first = await send(id, text(`it is ${token}`), {}, 'k1');
    const again = await send(id, text(`it is ${token}`), {}, 'k1');
    expect([again.status, again.body]).toEqual([200, first.body]);
    expect((await send(id, text(`it is ${secret()}`), {}, 'k1')).body.code).toBe('idempotency-key-reused');
    expect(await waitsIn(id)).toHaveLength(1);
    await decide(first.body.quarantineId ?? '', 'release', people.first);
    await decide(first.body.quarantineId ?? '', 'release', people.second);
    const after = await send(id, text(`it is ${token}`), {}, 'k1');
    expect(after).toMatchObject({ status: 200, body: { seq: 1, findings: [{ action: 'allow' }] } });
    expect(after.body.quarantineId).toBeUndefined();
    expect(await shown(id)).toHaveLength(1);
  });

  it('counts with what it holds, and a batch is kept as a whole', async () => {
    const { id } = await session();
    const long = `${'word '.repeat(200)}${secret()}`;
    const batch = [
      { role: 'user', parts: text('fine') },
      { role: 'user', parts: text(long) },
    ];
    const { status, body } = await call<{ messages: Appended[] }>(
      ...(['POST', `/api/sessions/${id}/messages:batch`, { messages: batch }] as const),
    );
    expect([status, body.messages.map(({ quarantineId }) => quarantineId !== undefined)]).toEqual([
      201,
      [false, true],
    ]);
    const bytes = async () => (await call<{ bytes: number }>('GET', `/api/sessions/${id}`)).body.bytes;
    const before = await bytes();
    expect(before).toBeGreaterThan(long.length);
    const one = body.messages[1]?.quarantineId ?? '';
    await decide(one, 'release', people.first);
    await decide(one, 'release', people.second);
    expect((await shown(id))[1]?.parts).toEqual(text(long));
    expect(await bytes()).toBe(before);
  });

  it('is a title as well: a placeholder is the title until it is let in', async () => {
    const token = secret();
    const begun = (title: string) =>
      call<{ id: string; title: string; code?: string }>(
        ...(['POST', '/api/sessions', { class: 'held', title }, undefined] as const),
        { 'Idempotency-Key': 'title-1' },
      );
    const { body } = await begun(`for ${token}`);
    expect(body.title).toBe(PLACEHOLDER);
    expect(await everything()).not.toContain(token);
    expect((await begun(`for ${token}`)).status).toBe(200);
    expect((await begun(`for ${secret()}`)).body.code).toBe('idempotency-key-reused');
    const [one] = await waitsIn(body.id);
    expect(one).toMatchObject({ kind: 'title', messageId: null, role: null });
    expect((await original(one!.id)).body).toEqual({ id: one!.id, title: `for ${token}` });
    await decide(one!.id, 'release', people.first);
    expect((await decide(one!.id, 'release', people.second)).status).toBe(204);
    const now = await call<{ title: string }>('GET', `/api/sessions/${body.id}`);
    expect(now.body.title).toBe(`for ${token}`);
    expect((await begun(`for ${token}`)).status).toBe(200);
  });
});

describe('a release', () => {
  it('takes two people, and puts the original in its place', async () => {
    const { id, token, quarantineId } = await held();
    const asked = await decide(quarantineId, 'release', people.first);
    expect(asked).toMatchObject({ status: 202, body: { state: 'approved', reason, releasableFrom: null } });
    expect((await shown(id))[0]?.parts).toEqual(text(PLACEHOLDER));
    clock.advance(DAY_MS);
    expect(await decide(quarantineId, 'release', people.first)).toMatchObject({
      status: 409,
      body: { code: 'second-person-needed' },
    });
    expect((await decide(quarantineId, 'release', people.second)).status).toBe(204);
    expect((await shown(id))[0]).toMatchObject({
      parts: text(`it is ${token}`),
      findings: [{ rule: RULE, action: 'allow' }],
    });
    expect(await waitsIn(id)).toEqual([]);
    expect((await decide(quarantineId, 'release', people.second)).status).toBe(404);
    expect(await actions(quarantineId)).toEqual([
      ...['quarantined', 'quarantine-approved', 'quarantine-released'],
    ]);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('is for those who govern; who looks on sees rules and places, and whoever reads it is recorded', async () => {
    const { token, quarantineId } = await held();
    const planner = await service.token({ role: 'planner' });
    const list = (as: string) => call('GET', QUARANTINE, undefined, as);
    expect([(await list(planner)).status, (await list(people.auditor)).status]).toEqual([403, 200]);
    for (const as of [planner, people.auditor]) {
      expect((await decide(quarantineId, 'release', as)).status).toBe(403);
      expect((await decide(quarantineId, 'reject', as)).status).toBe(403);
      expect((await original(quarantineId, as)).status).toBe(403);
    }
    const leaves = async () => {
      const { read } = service.context.storage;
      const rows = await read.query((db) => db.selectFrom('audit_entries').select('leaf'));
      return rows.filter(
        ({ leaf }) => leaf.includes('governance.quarantine-read') && leaf.includes(quarantineId),
      ).length;
    };
    expect(await leaves()).toBe(0);
    expect((await original(quarantineId)).body.parts).toEqual(text(`it is ${token}`));
    await original(quarantineId);
    expect(await leaves()).toBe(2);
    expect((await decide(quarantineId, 'release', '')).status).toBe(401);
    const bare = await call('POST', `${QUARANTINE}/${quarantineId}/release`, {}, people.first);
    expect(bare.status).toBe(400);
  });

  it('is no way around break-glass', async () => {
    const planner = await service.token({ role: 'planner' });
    const { id } = await begin({ class: 'held' }, planner);
    const token = secret();
    const { body } = await call<Appended>(
      ...(['POST', `/api/sessions/${id}/messages`, { role: 'user', parts: text(token) }, planner] as const),
    );
    await policies({ breakGlass: true });
    expect(await original(body.quarantineId ?? '')).toMatchObject({
      status: 409,
      body: { code: 'break-glass-needed' },
    });
    await policies({ breakGlass: false });
    clock.advance(DAY_MS);
    expect((await original(body.quarantineId ?? '')).status).toBe(200);
  });

  it('counts after a waiting time where there is one person', async () => {
    const alone = await startService({ engine: inject('engine'), clock });
    const client = clientOf(() => alone);
    const { body } = await client.call<{ general: object }>('GET', '/api/governance/policies');
    const sensitive = { ...DEFAULT_CLASS.sensitive, secrets: 'quarantine' };
    await client.call('PUT', '/api/governance/policies', {
      ...{ general: body.general, classes: { held: { ...DEFAULT_CLASS, sensitive } } },
    });
    const { id } = await client.begin({ class: 'held' });
    const token = secret();
    const { body: sent } = await client.call<Appended>('POST', `/api/sessions/${id}/messages`, {
      ...{ role: 'user', parts: text(token) },
    });
    const release = () =>
      client.call<QuarantineView & { code?: string }>('POST', `${QUARANTINE}/${sent.quarantineId}/release`, {
        reason,
      });
    const from = new Date(clock.now() + 300_000).toISOString();
    expect(await release()).toMatchObject({ status: 202, body: { releasableFrom: from } });
    expect(await release()).toMatchObject({ status: 409, body: { code: 'quarantine-waits', from } });
    clock.advance(300_000);
    expect((await release()).status).toBe(204);
    expect((await client.messages(id)).messages[0]?.parts).toEqual(text(token));
    await alone.close();
  });
});

describe('a rejection', () => {
  it('removes the original for good, with its key, and leaves the placeholder', async () => {
    const { id, quarantineId } = await held();
    const { read, write } = service.context.storage;
    const [kept] = await read.query((db) =>
      db.selectFrom('chat_quarantine').selectAll().where('id', '=', quarantineId),
    );
    const [last] = await read.query((db) =>
      db.selectFrom('chat_journal').select((e) => e.fn.max('seq').as('seq')),
    );
    expect((await decide(quarantineId, 'reject', people.first)).status).toBe(204);
    expect((await shown(id))[0]).toMatchObject({ parts: text(PLACEHOLDER), findings: [{ action: 'block' }] });
    expect([await waitsIn(id), (await original(quarantineId)).status]).toEqual([[], 404]);
    expect(await actions(quarantineId)).toEqual(['quarantined', 'quarantine-rejected']);

    // As a backup from before has it: there, but never to be read again.
    await write((tx) => tx.query((db) => db.insertInto('chat_quarantine').values(kept!).returning('id')));
    expect((await original(quarantineId)).body.code).toBe('content-key-gone');
    // And gone again, before anything is served.
    await write((tx) =>
      tx.query((db) =>
        db
          .deleteFrom('chat_journal')
          .where('seq', '>', Number(last?.seq ?? 0))
          .returning('seq'),
      ),
    );
    await service.context.chat.replay();
    expect(await waitsIn(id)).toEqual([]);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('is refused while a hold keeps it, also after somebody asked for its release', async () => {
    const { id, token, quarantineId } = await held();
    const placed = await call<{ id: string }>('POST', '/api/governance/holds', {
      reason: 'r',
      sessionId: id,
    });
    await decide(quarantineId, 'release', people.first);
    expect(await decide(quarantineId, 'reject', people.second)).toMatchObject({
      status: 409,
      body: { code: 'on-hold' },
    });
    expect((await original(quarantineId)).body.parts).toEqual(text(`it is ${token}`));
    expect(await actions(quarantineId)).toEqual(['quarantined', 'quarantine-approved']);
    await call('DELETE', `/api/governance/holds/${placed.body.id}`);
    expect((await decide(quarantineId, 'reject', people.second)).status).toBe(204);
  });
});

describe('what is held back goes', () => {
  const left = async (quarantineId: string): Promise<number> => {
    const { read } = service.context.storage;
    const rows = await read.query((db) =>
      db.selectFrom('chat_quarantine').select('id').where('id', '=', quarantineId),
    );
    return rows.length;
  };

  it('with its message, and with its session', async () => {
    const [one, two] = [await held(), await held()];
    expect((await call('DELETE', `/api/sessions/${one.id}/messages/${one.id}.1`)).status).toBe(204);
    expect((await call('DELETE', `/api/sessions/${two.id}`)).status).toBe(204);
    expect([await left(one.quarantineId), await left(two.quarantineId)]).toEqual([0, 0]);
    expect((await decide(one.quarantineId, 'release', people.first)).status).toBe(404);
  });

  it('by the sweep, where a release deleted its message that knew of no originals', async () => {
    const [one, other] = [await held(), await held()];
    await service.context.storage.write((tx) =>
      tx.query((db) =>
        db
          .updateTable('chat_messages')
          .set({ deleted_at: clock.iso(), deleted_by: 'person', body: null })
          .where('session', '=', (e) =>
            e.selectFrom('chat_sessions').select('number').where('id', '=', one.id),
          )
          .returning('seq'),
      ),
    );
    expect(await waitsIn(one.id)).toEqual([]);
    await service.context.chat.sweep.run();
    expect([await left(one.quarantineId), await left(other.quarantineId)]).toEqual([0, 1]);
  });

  it('with its subject, counted in the certificate; of others it stays', async () => {
    const subjectId = `subject ${randomUUID()}`;
    const whole = await held({ subjectId });
    const shared = await held({}, { subjectId });
    const other = await send(shared.id, text(`it is ${secret()}`));
    const titled = await session({ subjectId, title: `for ${secret()}` });
    await send(titled.id, text('of somebody else'), { subjectId: `other ${subjectId}` });
    const report = await (
      await fetch(
        `${service.url}/api/governance/subjects/report?subjectId=${encodeURIComponent(subjectId)}`,
        {
          headers: { Authorization: `Bearer ${service.owner}` },
        },
      )
    ).text();
    expect(report).toContain('"quarantined":3');
    for (const { token } of [whole, shared]) expect(report).not.toContain(token);
    const made = await call<{ id: string }>('POST', '/api/governance/erasures', { subjectId, reason: 'r' });
    await expect
      .poll(async () => (await call('GET', `/api/governance/erasures/${made.body.id}`)).body, {
        timeout: 10_000,
      })
      .toMatchObject({
        status: 'done',
        certificate: { erased: { total: { quarantined: 3 } } },
      });
    expect([await left(whole.quarantineId), await left(shared.quarantineId)]).toEqual([0, 0]);
    expect([await waitsIn(titled.id), await left(other.body.quarantineId ?? '')]).toEqual([[], 1]);
  });

  it('by retention with its message, and waits for nobody while it lies in the bin', async () => {
    const { id, token, quarantineId } = await held();
    clock.advance(40 * DAY_MS);
    await policies({}, { message: { days: 30, binDays: 10 } });
    const apply = async () => {
      const { body } = await call<{ id: string; digest: string }>(
        ...(['POST', '/api/governance/retention-plans', {}] as const),
      );
      await call('POST', `/api/governance/retention-plans/${body.id}/apply`, { digest: body.digest });
      const state = async () =>
        (await call<{ state: string }>('GET', `/api/governance/retention-plans/${body.id}`)).body.state;
      await expect.poll(state).toBe('applied');
      return body.id;
    };
    const binned = await apply();
    expect([await waitsIn(id), await left(quarantineId)]).toEqual([[], 1]);
    expect((await decide(quarantineId, 'release', people.first)).status).toBe(404);
    await call('POST', `/api/governance/retention-plans/${binned}/undo`);
    await expect.poll(() => waitsIn(id)).toHaveLength(1);
    expect((await original(quarantineId)).body.parts).toEqual(text(`it is ${token}`));
    await apply();
    clock.advance(12 * DAY_MS);
    await apply();
    expect(await left(quarantineId)).toBe(0);
    await policies({}, { message: { days: null, binDays: 14 } });
  });
});

describe('an import', () => {
  const headers = { 'Content-Type': 'application/x-ndjson' };
  const put = (lines: string, query = '') =>
    call<{ sessions: { id: string; created: boolean }[]; code?: string }>(
      ...(['POST', `/api/sessions/import${query}`, lines, undefined] as const),
      headers,
    );
  const lines = async (id: string) =>
    (
      await fetch(`${service.url}/api/sessions/${id}/export`, {
        headers: { Authorization: `Bearer ${service.owner}` },
      })
    ).text();

  it('holds back what the policy here does not let in, titles too, and records how much', async () => {
    const token = secret();
    const open = await begin({ class: 'general', title: 'A title', subjectId: 'imported' });
    await send(open.id, text('TOKEN'));
    const id = randomUUID();
    const moved = (await lines(open.id))
      .replace('"class":"general"', '"class":"held"')
      .replaceAll(open.id, id)
      .replace('A title', `for ${token}`)
      .replace('TOKEN', `it is ${token}`);
    expect((await put(moved)).status).toBe(201);
    expect((await shown(id))[0]).toMatchObject({
      parts: text(PLACEHOLDER),
      findings: [{ rule: RULE, action: 'quarantine' }],
    });
    expect(await everything()).not.toContain(token);
    const all = await waitsIn(id);
    expect(all.map(({ kind }) => kind).sort()).toEqual(['message', 'title']);
    // Again: the same session, whether it is compared as it was sent or as it is shown.
    expect((await put(moved)).body.sessions).toMatchObject([{ created: false }]);
    expect((await put(await lines(id))).body.sessions).toMatchObject([{ created: false }]);
    for (const one of all)
      for (const as of [people.first, people.second]) await decide(one.id, 'release', as);
    expect((await shown(id))[0]?.parts).toEqual(text(`it is ${token}`));
    expect((await put(await lines(id))).body.sessions).toMatchObject([{ created: false }]);
    expect(await lines(id)).toContain(token);
    const [event] = await service.context.storage.read.query((db) =>
      db
        .selectFrom('events')
        .select('payload')
        .where('stream_id', '=', id)
        .where('type', '=', 'session-imported'),
    );
    expect(JSON.parse(event?.payload ?? '{}')).toMatchObject({ quarantined: 2 });
  });

  it('that ends before its end leaves nothing in quarantine', async () => {
    const { id } = await session();
    await send(id, text(`it is ${secret()}`));
    const before = (await waiting()).length;
    const other = randomUUID();
    const cut = (await lines(id))
      .replaceAll(id, other)
      .replace(PLACEHOLDER, secret())
      .split('\n')
      .slice(0, 2)
      .join('\n');
    expect((await put(`${cut}\n`)).status).toBe(400);
    expect((await waiting()).length).toBe(before);
    const rows = await service.context.storage.read.query((db) =>
      db
        .selectFrom('chat_quarantine as q')
        .leftJoin('chat_sessions as s', 's.number', 'q.session')
        .select('q.id')
        .where('s.number', 'is', null),
    );
    expect(rows).toEqual([]);
  });

  it('exports the placeholder alone, in both forms', async () => {
    const { id, token } = await held();
    const openai = await (
      await fetch(`${service.url}/api/sessions/${id}/export?format=openai`, {
        headers: { Authorization: `Bearer ${service.owner}` },
      })
    ).text();
    for (const out of [await lines(id), openai]) {
      expect(out).toContain(PLACEHOLDER);
      expect(out).not.toContain(token);
    }
  });
});

describe('the queue', () => {
  it('is read page by page, the newest first, each once', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) ids.push((await held()).quarantineId);
    const page = async (query: string) =>
      (await call<{ quarantined: QuarantineView[]; nextCursor: string | null }>('GET', QUARANTINE + query))
        .body;
    const first = await page('?limit=2');
    const second = await page(`?limit=2&cursor=${first.nextCursor}`);
    const got = [...first.quarantined, ...second.quarantined].map(({ id }) => id);
    expect(got.slice(0, 3)).toEqual([...ids].reverse());
    expect(new Set(got).size).toBe(got.length);
    expect((await call('GET', `${QUARANTINE}/${randomUUID()}`)).status).toBe(404);
    expect((await call('GET', `${QUARANTINE}/${ids[0]}`)).body).toMatchObject({
      id: ids[0],
      state: 'waiting',
    });
  });
});

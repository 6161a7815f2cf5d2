import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Covered, HoldView } from '../../service/chat/holds/holding.ts';
import { SESSION_CONTENT } from '../../service/chat/deletion/store-deletion.ts';
import { newId } from '../../service/ids.ts';
import type { Statement } from '../../service/storage/statement.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { rawSql } from '../storage/engine.ts';
import { clientOf } from './client.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine') });
});
afterAll(() => service.close());

const { call, begin, say } = clientOf(() => service);
const HOLDS = '/api/governance/holds';
const hold = async (input: object) =>
  (await call<HoldView & { covers: Covered }>('POST', HOLDS, { reason: 'case 7', ...input })).body;
const release = ({ id }: { id: string }) => call('DELETE', `${HOLDS}/${id}`);
const status = async (method: string, path: string) => (await call<{ code?: string }>(method, path)).status;

type Content = keyof typeof SESSION_CONTENT;

/** A session of one subject with content of another one, in one table. */
async function withContent(table: Content, kind: string): Promise<{ id: string; subject: string }> {
  const [owner, subject] = [`owner ${newId()}`, `subject ${newId()}`];
  const { id } = await begin({ subjectId: owner, class: kind });
  const message = { role: 'user', subjectId: subject, parts: [{ type: 'text', text: 'x' }] };
  await call('POST', `/api/sessions/${id}/messages`, message);
  if (table === 'chat_messages') return { id, subject };
  const { storage } = service.context;
  const [row] = await storage.read.query((db) =>
    db
      .selectFrom('chat_messages as m')
      .innerJoin('chat_sessions as s', 's.number', 'm.session')
      .select(['m.session', 'm.subject', 'm.author', 'm.key_id', 'm.created_at'])
      .where('s.id', '=', id),
  );
  const { session, subject: number, author, key_id, created_at } = row!;
  const common = { session, subject: number!, author, key_id, row_version: 1, created_at };
  await storage.write((tx) =>
    tx.query((db) =>
      table === 'chat_attachments'
        ? db
            .insertInto(table)
            .values({ ...common, id: newId(), bytes: 1, blob: newId() })
            .returning('number')
        : db
            .insertInto('chat_quarantine')
            .values({
              ...{ ...common, project_id: 'main', id: newId(), state: 'waiting' },
              ...{ updated_at: created_at, findings: '[]' },
            })
            .returning('session as number'),
    ),
  );
  expect(await status('DELETE', `/api/sessions/${id}/messages/${id}.1`)).toBe(204);
  return { id, subject };
}

async function rows(table: Content, id: string): Promise<number> {
  const { read } = service.context.storage;
  const [row] = await read.query((db) =>
    db.selectFrom('chat_sessions').select('number').where('id', '=', id),
  );
  const live: Statement<{ session: number }, object> = SESSION_CONTENT[table].live;
  return (await read.all(live, { session: row!.number })).length;
}

describe('content', () => {
  it('is in no table that holds and deletion do not know', async () => {
    const url = service.context.config.databaseUrl;
    const columns = await rawSql(
      url,
      url.startsWith('sqlite:')
        ? "select m.name as name from sqlite_schema m, pragma_table_info(m.name) c where m.type = 'table' and lower(c.type) = 'blob'"
        : "select table_name as name from information_schema.columns where data_type = 'bytea' and table_schema = 'public'",
    );
    const sealed = new Set(
      columns.map(({ name }) => String(name)).filter((name) => name.startsWith('chat_')),
    );
    // The session's own row with its title is asked as such; a subject's name goes by its erasure alone.
    const known = [...Object.keys(SESSION_CONTENT), 'chat_sessions', 'chat_subjects'];
    expect([...sealed].sort()).toEqual(known.sort());
  });

  const tables = Object.keys(SESSION_CONTENT) as Content[];
  const holds = {
    subject: ({ subject }: { subject: string }) => ({ subjectId: subject }),
    session: ({ id }: { id: string }) => ({ sessionId: id }),
    class: (_: object, kind: string) => ({ class: kind }),
    time: (_: object, kind: string) => ({
      class: kind,
      from: '2020-01-01T00:00:00Z',
      to: '2100-01-01T00:00:00Z',
    }),
  };
  const cases = tables.flatMap((table) =>
    Object.keys(holds).map((by) => [table, by as keyof typeof holds] as const),
  );

  it.each(cases)('of %s is kept by a hold on its %s, and goes after the release', async (table, by) => {
    const kind = `k-${table}-${by}`;
    const content = await withContent(table, kind);
    const placed = await hold(holds[by](content, kind));
    expect(await call('DELETE', `/api/sessions/${content.id}`)).toMatchObject({
      status: 409,
      body: { code: 'on-hold' },
    });
    expect(await rows(table, content.id)).toBeGreaterThan(0);
    expect((await release(placed)).status).toBe(204);
    expect(await rows(table, content.id)).toBeGreaterThan(0);
    expect(await status('DELETE', `/api/sessions/${content.id}`)).toBe(204);
    expect(await rows(table, content.id)).toBe(0);
  });
});

describe('a hold', () => {
  it('is placed, listed, shown and released once', async () => {
    const { id } = await begin({ subjectId: 'Held One' });
    await say(id, 'x');
    const { covers, ...placed } = await hold({
      subjectId: 'Held One',
      sessionId: id,
      reason: 'about Held One',
    });
    expect(covers).toMatchObject({ sessions: 1, messages: 1 });
    expect(placed).toMatchObject({ subjectId: 'Held One', sessionId: id, class: null, releasedAt: null });
    expect(placed.reason).toBe(`about subject ${placed.subject}`);
    expect((await call(`GET`, `${HOLDS}/${placed.id}`)).body).toEqual(placed);
    const listed = async (query = '') =>
      (await call<{ holds: HoldView[] }>('GET', `${HOLDS}${query}`)).body.holds;
    expect(await listed()).toContainEqual(placed);
    const auditor = await service.token({ role: 'auditor' });
    expect((await call('GET', `${HOLDS}/${placed.id}`, undefined, auditor)).body).toMatchObject({
      subjectId: null,
    });
    expect((await call('DELETE', `${HOLDS}/${placed.id}`, undefined, auditor)).status).toBe(403);
    expect((await release(placed)).status).toBe(204);
    expect((await release(placed)).status).toBe(204);
    expect(await listed()).not.toContainEqual(expect.objectContaining({ id: placed.id }));
    expect(await listed('?released=true')).toContainEqual(
      expect.objectContaining({ id: placed.id, releasedAt: expect.any(String) }),
    );
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('covers what matches all that it names, and nothing else', async () => {
    const one = await begin({ subjectId: 'Both', class: 'both' });
    const other = await begin({ subjectId: 'Both', class: 'other' });
    for (const { id } of [one, other]) await say(id, 'x');
    const placed = await hold({ subjectId: 'Both', class: 'both' });
    const past = await hold({ subjectId: 'Both', to: '2020-01-01T00:00:00.000Z' });
    expect(await status('DELETE', `/api/sessions/${other.id}`)).toBe(204);
    expect(await status('DELETE', `/api/sessions/${one.id}`)).toBe(409);
    for (const each of [placed, past]) await release(each);
    expect(await status('DELETE', `/api/sessions/${one.id}`)).toBe(204);
  });

  it('of a subject that nothing is about yet keeps what comes', async () => {
    const placed = await hold({ subjectId: 'Not yet' });
    const { id } = await begin({ subjectId: 'Not yet' });
    expect(await status('DELETE', `/api/sessions/${id}`)).toBe(409);
    await release(placed);
    expect(await status('DELETE', `/api/sessions/${id}`)).toBe(204);
  });

  it('has a reason that both databases can keep, as have grants, erasures and decisions', async () => {
    const { id: sessionId } = await begin();
    const expiresAt = new Date(service.context.clock.now() + 3_600_000).toISOString();
    for (const reason of ['nul \u0000', 'half \ud800', '']) {
      const asked: [string, object][] = [
        [HOLDS, { sessionId }],
        ['/api/governance/grants', { sessionId, grantee: 'team', expiresAt }],
        ['/api/governance/erasures', { subjectId: 'nobody' }],
        [`/api/governance/quarantine/${newId()}/release`, {}],
      ];
      for (const [path, body] of asked)
        expect(await call('POST', path, { ...body, reason }), path).toMatchObject({
          ...{ status: 400, body: { code: 'bad-input', problems: [{ path: 'reason' }] } },
        });
    }
  });

  it('is refused where it makes no sense', async () => {
    const refused = async (body: object) => (await call('POST', HOLDS, body)).status;
    expect(await refused({ subjectId: 'x' })).toBe(400);
    expect(await refused({ reason: 'x', from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' })).toBe(
      400,
    );
    expect(await refused({ reason: 'x', sessionId: newId() })).toBe(404);
    const { id } = await begin();
    await call('DELETE', `/api/sessions/${id}`);
    expect(await refused({ reason: 'x', sessionId: id })).toBe(410);
    expect(await status('DELETE', `${HOLDS}/${newId()}`)).toBe(404);
  });
});

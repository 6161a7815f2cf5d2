import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { permissionsOf, ROLES } from '../../service/access/roles.ts';
import { SYSTEM } from '../../service/audit/events.ts';
import { reachOf, type Asker } from '../../service/chat/access.ts';
import type { GrantView } from '../../service/chat/grants/granting.ts';
import { manualClock } from '../../service/clock.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { clientOf } from './client.ts';

const clock = manualClock('2026-05-01T08:00:00.000Z');
const HOUR = 3_600_000;

let service: TestService;
beforeAll(async () => {
  service = await startService({ engine: inject('engine'), clock });
});
afterAll(() => service.close());

const { call, begin, say, sessions } = clientOf(() => service);
const GRANTS = '/api/governance/grants';
const inHours = (hours: number) => new Date(clock.now() + hours * HOUR).toISOString();
const reads = async (id: string, as: string) =>
  (await call('GET', `/api/sessions/${id}/messages`, undefined, as)).status;
const ids = (all: { id: string }[]) => all.map(({ id }) => id);

/** A person of a role, with a token. */
async function person(role: 'planner' | 'reviewer' | 'owner' | 'operator') {
  const { id } = await service.context.people.invite(SYSTEM, { name: `A ${role}`, role });
  return { id, token: await service.token({ role, personId: id }) };
}

const grant = (input: object, as: string) =>
  call<GrantView>('POST', GRANTS, { reason: 'pairing', expiresAt: inHours(2), ...input }, as);

async function breakGlass(on: boolean): Promise<void> {
  const { body } = await call<{ general: object; classes: object }>('GET', '/api/governance/policies');
  const put = await call('PUT', '/api/governance/policies', {
    classes: body.classes,
    general: { ...body.general, breakGlass: on },
  });
  expect(put.status).toBe(200);
  // Off is waited for.
  if (!on) clock.advance(24 * HOUR);
}

describe('a grant', () => {
  it('lets a person read a session that is not theirs, until its end', async () => {
    const [mine, guest, other] = [await person('planner'), await person('reviewer'), await person('planner')];
    const { id } = await begin({ title: 'Mine' }, mine.token);
    await say(id, 'hello', undefined, mine.token);
    expect(await reads(id, guest.token)).toBe(404);
    const made = await grant({ sessionId: id, grantee: guest.id }, mine.token);
    expect(made).toMatchObject({
      status: 201,
      body: { kind: 'session', state: 'active', grantee: guest.id },
    });
    expect(await reads(id, guest.token)).toBe(200);
    expect(ids((await sessions('', guest.token)).sessions)).toContain(id);
    expect((await say(id, 'mine now', undefined, guest.token)).status).toBe(404);
    expect((await call('DELETE', `/api/sessions/${id}`, undefined, guest.token)).status).toBe(404);
    expect((await grant({ sessionId: id, grantee: other.id }, guest.token)).status).toBe(404);
    expect(await reads(id, other.token)).toBe(404);
    clock.advance(3 * HOUR);
    expect(await reads(id, guest.token)).toBe(404);
    expect((await call('GET', `${GRANTS}/${made.body.id}`, undefined, guest.token)).body).toMatchObject({
      state: 'expired',
    });
    expect((await call('GET', `${GRANTS}/${made.body.id}`, undefined, other.token)).status).toBe(404);
  });

  it('to the team is for who does work, and ends when it is revoked', async () => {
    const [mine, guest, operator] = [
      await person('planner'),
      await person('reviewer'),
      await person('operator'),
    ];
    const { id } = await begin({}, mine.token);
    const agent = await service.token({ role: 'agent', personId: guest.id });
    const made = await grant({ sessionId: id, grantee: 'team' }, mine.token);
    expect(await reads(id, guest.token)).toBe(200);
    expect(await reads(id, operator.token)).toBe(404);
    expect(await reads(id, agent)).toBe(404);
    expect((await call('DELETE', `${GRANTS}/${made.body.id}`, undefined, operator.token)).status).toBe(404);
    expect((await call('DELETE', `${GRANTS}/${made.body.id}`, undefined, mine.token)).status).toBe(204);
    expect(await reads(id, guest.token)).toBe(404);
    expect(await service.context.verifyAudit()).toMatchObject({ ok: true, problems: [] });
  });

  it('is refused where it makes no sense', async () => {
    const mine = await person('planner');
    const { id } = await begin({}, mine.token);
    const agent = await service.token({ role: 'agent', personId: mine.id });
    const status = async (input: object, as = mine.token) => (await grant(input, as)).status;
    expect(await status({ sessionId: id, grantee: 'nobody' })).toBe(409);
    expect(await status({ sessionId: id })).toBe(409);
    expect(await status({ sessionId: id, grantee: 'team', expiresAt: inHours(-1) })).toBe(409);
    expect(await status({ sessionId: id, grantee: 'team', expiresAt: inHours(24 * 400) })).toBe(409);
    expect(await status({ sessionId: id, grantee: 'team' }, agent)).toBe(403);
    expect(await status({})).toBe(403);
    expect(await status({}, service.owner)).toBe(409);
  });
});

describe('break-glass', () => {
  it('takes a reason and a second owner, ends by itself, and is seen by whose session it is', async () => {
    const [first, second, mine] = [await person('owner'), await person('owner'), await person('planner')];
    for (const { id } of [first, second]) await service.cookie(id);
    const { id } = await begin({}, mine.token);
    await say(id, 'private', undefined, mine.token);
    await breakGlass(true);
    expect(await reads(id, first.token)).toBe(404);
    expect(ids((await sessions('', first.token)).sessions)).toContain(id);
    expect(
      await call('GET', '/api/governance/subjects/report?subjectId=x', undefined, first.token),
    ).toMatchObject({
      body: { code: 'break-glass-needed' },
    });
    const asked = await grant({ reason: 'incident 9' }, first.token);
    expect(asked).toMatchObject({ status: 201, body: { kind: 'break-glass', state: 'requested' } });
    expect(await reads(id, first.token)).toBe(404);
    const approve = (as: string) => call(`POST`, `${GRANTS}/${asked.body.id}/approve`, undefined, as);
    expect(await approve(first.token)).toMatchObject({ status: 409, body: { code: 'second-person-needed' } });
    expect((await approve(mine.token)).status).toBe(403);
    expect(await approve(second.token)).toMatchObject({
      status: 200,
      body: { state: 'active', decidedBy: second.id },
    });
    expect(await reads(id, first.token)).toBe(200);
    expect(await reads(id, second.token)).toBe(404);
    expect((await say(id, 'x', undefined, first.token)).status).toBe(404);
    const seen = await call<{ grants: GrantView[] }>(
      'GET',
      `${GRANTS}?sessionId=${id}`,
      undefined,
      mine.token,
    );
    expect(seen.body.grants).toMatchObject([
      { kind: 'break-glass', requestedBy: first.id, reason: 'incident 9' },
    ]);
    clock.advance(3 * HOUR);
    expect(await reads(id, first.token)).toBe(404);
    const narrow = await grant({ kind: 'break-glass', sessionId: id }, first.token);
    expect(
      (await call('POST', `${GRANTS}/${narrow.body.id}/refuse`, undefined, second.token)).body,
    ).toMatchObject({ state: 'refused' });
    expect(await reads(id, first.token)).toBe(404);
    expect((await grant({ expiresAt: inHours(48) }, first.token)).status).toBe(409);
    await breakGlass(false);
    expect(await reads(id, first.token)).toBe(200);
  });

  it('is no longer open at its end, whether anybody answered or not', async () => {
    const [first, mine] = [await person('owner'), await person('planner')];
    await breakGlass(true);
    const { id } = await begin({}, mine.token);
    await grant({ sessionId: id, grantee: 'team', expiresAt: inHours(1) }, mine.token);
    const asked = await grant({ kind: 'break-glass', sessionId: id, reason: 'unheard' }, first.token);
    const list = async (query: string) =>
      ids(
        (
          await call<{ grants: GrantView[] }>(
            'GET',
            `${GRANTS}?sessionId=${id}${query}`,
            undefined,
            first.token,
          )
        ).body.grants,
      );
    expect(await list('&open=true')).toHaveLength(2);
    clock.advance(HOUR + 1000);
    expect(await list('&open=true')).toEqual([asked.body.id]);
    clock.advance(HOUR);
    expect(await list('&open=true')).toEqual([]);
    expect(await list('')).toContain(asked.body.id);
    expect((await call('GET', `${GRANTS}/${asked.body.id}`, undefined, first.token)).body).toMatchObject({
      state: 'expired',
    });
    await breakGlass(false);
  });

  it('counts after a waiting time where there is one person', async () => {
    const alone = await startService({ engine: inject('engine'), clock });
    const client = clientOf(() => alone);
    const { body } = await client.call<{ general: object; classes: object }>(
      'GET',
      '/api/governance/policies',
    );
    await client.call('PUT', '/api/governance/policies', {
      ...body,
      general: { ...body.general, breakGlass: true },
    });
    const left = await alone.context.people.invite(SYSTEM, { name: 'Left', role: 'planner' });
    const { id } = await client.begin({}, await alone.token({ role: 'planner', personId: left.id }));
    await alone.context.people.remove(SYSTEM, left.id);
    const read = async () => (await client.call('GET', `/api/sessions/${id}/messages`)).status;
    expect(await read()).toBe(404);
    const asked = await client.call<GrantView>('POST', GRANTS, { reason: 'alone', expiresAt: inHours(1) });
    expect(asked.body).toMatchObject({
      state: 'active',
      startsAt: new Date(clock.now() + 300_000).toISOString(),
    });
    expect(await read()).toBe(404);
    clock.advance(301_000);
    expect(await read()).toBe(200);
    await alone.close();
  });
});

describe('the list of sessions', () => {
  it('is all of them, filtered by the check of a single one', async () => {
    const { storage } = service.context;
    const people = [await person('planner'), await person('reviewer'), await person('planner')];
    for (const { id, token } of people) {
      await begin({ class: 'parity' }, token);
      await begin({ class: 'parity' }, await service.token({ role: 'agent', personId: id }));
    }
    const rows = await storage.read.query((db) =>
      db.selectFrom('chat_sessions').selectAll().where('class', '=', 'parity'),
    );
    const authors = rows.map(({ author }) => author);
    const asker: fc.Arbitrary<Asker> = fc
      .record({
        roles: fc.subarray([...ROLES]),
        personId: fc.constantFrom('nobody', ...people.map(({ id }) => id)),
        author: fc.option(fc.constantFrom(...authors)),
        grants: fc.array(
          fc.record({
            session: fc.option(fc.constantFrom(...rows.map(({ number }) => number)), { freq: 6 }),
          }),
          { maxLength: 3 },
        ),
        breakGlass: fc.boolean(),
      })
      .map(({ roles, personId, ...rest }) => ({
        principal: { roles, personId, permissions: permissionsOf(roles) },
        ...rest,
      }));
    await fc.assert(
      fc.asyncProperty(asker, fc.constantFrom('see', 'read'), async (who, act: 'see' | 'read') => {
        const reach = reachOf(who);
        const listed = await storage.read.query((db) =>
          db
            .selectFrom('chat_sessions')
            .select('number')
            .where('class', '=', 'parity')
            .where(reach.filter(act))
            .orderBy('number'),
        );
        const checked = rows.filter((row) => reach.can(act, row)).map(({ number }) => number);
        expect(listed.map(({ number }) => number)).toEqual(checked.sort((a, b) => a - b));
        if (reach.canReadAll) expect(rows.every((row) => reach.can('read', row))).toBe(true);
      }),
      { numRuns: 300, seed: 5 },
    );
  });
});
